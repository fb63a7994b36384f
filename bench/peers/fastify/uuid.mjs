// UUIDv7: milliseconds, then random bits; ids made in one millisecond keep counting up, so
// that new rows land at the end of the index.

import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4096)
let used = pool.length
let last = 0
let count = 0

export function uuidv7 (now) {
  if (used + 8 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  if (now > last) {
    last = now
    count = pool.readUInt16BE(used) & 0x7ff
  } else if (++count > 0xfff) {
    last++
    count = 0
  }
  const ms = last.toString(16).padStart(12, '0')
  const tail = pool.toString('hex', used, used + 8)
  used += 8
  const variant = '89ab'[pool[used - 8] & 3]
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${count.toString(16).padStart(3, '0')}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`
}
