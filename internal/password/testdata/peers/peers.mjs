// Hashes of passwords made by Node's own crypto.scrypt and by npm's bcryptjs, and Firebase's form of scrypt of Node's
// functions: see peers.py for what is read and written.
import { createCipheriv, randomBytes, scryptSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import bcrypt from 'bcryptjs'

const b64 = b => b.toString('base64').replace(/=+$/, '')

function phc(password, ln) {
  const salt = randomBytes(16)
  return `$scrypt$ln=${ln},r=8,p=1$${b64(salt)}$${b64(scryptSync(password, salt, 32, { N: 2 ** ln, r: 8, p: 1 }))}`
}

// What tutorials do: the salt is hexadecimal digits, and these are hashed, not the bytes that they stand for.
function text(password, ln) {
  const salt = randomBytes(16).toString('hex')
  return `$scrypt-hex$ln=${ln},r=8,p=1,salt=text$${salt}:${scryptSync(password, salt, 64, { N: 2 ** ln }).toString('hex')}`
}

function bytes(password, ln) {
  const salt = randomBytes(16)
  return `$scrypt-hex$ln=${ln},r=8,p=1,salt=hex$${salt.toString('hex')}:${scryptSync(password, salt, 64, { N: 2 ** ln }).toString('hex')}`
}

const signer = randomBytes(64)
function firebase(password, n) {
  const salt = randomBytes(10), separator = Buffer.from([7])
  const key = scryptSync(password, Buffer.concat([salt, separator]), 32, { N: 2 ** n, r: 8, p: 1 })
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const hash = Buffer.concat([cipher.update(signer), cipher.final()])
  return `$firebase-scrypt$v=1,n=${n},r=8,p=1,ss=${separator.toString('base64')},sk=${signer.toString('base64')}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

const makers = [
  ['bcryptjs', 'bcrypt', (password, first) => bcrypt.hashSync(password, first ? 10 : 4)],
  [`Node ${process.version}`, 'scrypt', (password, first) => phc(password, first ? 14 : 10)],
  [`Node ${process.version}`, 'scrypt-hex', (password, first) => text(password, first ? 14 : 10)],
  [`Node ${process.version}`, 'scrypt-hex', (password, first) => bytes(password, first ? 14 : 10)],
  [`Node ${process.version}, as Firebase`, 'firebase-scrypt', (password, first) => firebase(password, first ? 14 : 10)],
]
const { passwords } = JSON.parse(readFileSync(0))
for (const [by, scheme, make] of makers) {
  passwords.forEach((encoded, i) => {
    const stored = make(Buffer.from(encoded, 'base64').toString(), i === 0)
    console.log(JSON.stringify({ by, scheme, password: i, stored }))
  })
}
