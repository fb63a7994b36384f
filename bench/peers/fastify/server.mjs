// The posts API of bench/app on Fastify and better-sqlite3, written as their users write it:
// schemas for every route (Ajv checks what comes in, fast-json-stringify writes what goes
// out), statements prepared once, WAL with a sync at each commit.
//
//   node server.mjs --listen 127.0.0.1:8080 --db FILE

import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import { openStore } from './store.mjs'
import { schemas } from './schemas.mjs'

const { values: flags } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:8080' },
    db: { type: 'string', default: 'fastify.db' }
  }
})

const store = openStore(flags.db)
const app = Fastify({
  logger: false,
  bodyLimit: 1 << 20,
  // unknown members are refused, not dropped; nothing is converted to fit
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, discriminator: true } }
})

app.get('/healthz', async () => ({ ok: true }))

app.get('/api/posts/:id', { schema: schemas.readPost }, (request, reply) => {
  sendRecord(request, reply, store.readPost(request.params.id))
})

app.get('/api/authors/:id', { schema: schemas.readAuthor }, (request, reply) => {
  sendRecord(request, reply, store.readAuthor(request.params.id))
})

app.get('/api/posts', { schema: schemas.listPosts }, (request, reply) => {
  const { status, expand, cursor } = request.query
  const limit = Number(request.query.limit ?? 30)
  if (limit < 1 || limit > 500) return problem(reply, 400, 'limit must be from 1 to 500')
  const after = cursor === undefined ? undefined : readCursor(cursor)
  if (after === null) return problem(reply, 400, 'this is not a cursor of this list')

  const items = store.listPosts({ status, limit: limit + 1, expand: expand === 'author', after })
  const page = { items }
  if (items.length > limit) {
    items.length = limit
    page.next = writeCursor(items[limit - 1])
  }
  cacheHeaders(reply)
  reply.send(page)
})

app.post('/api/posts', { schema: schemas.createPost }, (request, reply) => {
  const record = store.createPost(request.body)
  reply.code(201).header('location', '/api/posts/' + record.id)
  sendRecord(request, reply, record)
})

app.post('/api/authors', { schema: schemas.createAuthor }, (request, reply) => {
  const record = store.createAuthor(request.body)
  reply.code(201).header('location', '/api/authors/' + record.id)
  sendRecord(request, reply, record)
})

app.patch('/api/posts/:id', { schema: schemas.patchPost }, (request, reply) => {
  const { record, conflict } = store.patchPost(request.params.id, request.body, request.headers['if-match'])
  if (conflict) return problem(reply, 412, 'the record was changed in the meantime')
  sendRecord(request, reply, record)
})

app.post('/api/batch', { schema: schemas.batch }, (request, reply) => {
  reply.send({ results: store.batch(request.body.operations) })
})

app.setErrorHandler((error, request, reply) => {
  if (error.validation) return problem(reply, error.validationContext === 'body' ? 422 : 400, error.message)
  if (error.code === 'SQLITE_CONSTRAINT_FOREIGNKEY') return problem(reply, 422, 'author is not an author')
  if (error.code === 'SQLITE_CONSTRAINT_UNIQUE') return problem(reply, 409, 'the id is taken')
  if (error.statusCode && error.statusCode < 500) return problem(reply, error.statusCode, error.message)
  console.error(error)
  problem(reply, 500, 'internal error')
})

function sendRecord (request, reply, record) {
  if (record === undefined) return problem(reply, 404, 'there is no such record')
  const etag = `"${record.rev}"`
  reply.header('etag', etag)
  cacheHeaders(reply)
  if (request.method === 'GET' && request.headers['if-none-match'] === etag) return reply.code(304).send()
  reply.send(record)
}

function cacheHeaders (reply) {
  reply.header('cache-control', 'private, no-cache')
  reply.header('vary', 'Authorization, Cookie')
}

function problem (reply, status, detail) {
  reply.code(status).type('application/problem+json').serializer(JSON.stringify)
  reply.send({ type: 'about:blank', title: 'The request was refused', status, detail })
}

function writeCursor (record) {
  return Buffer.from(`${Date.parse(record.created)} ${record.id}`).toString('base64url')
}

function readCursor (text) {
  const [created, id] = Buffer.from(text, 'base64url').toString().split(' ')
  return id ? { created: Number(created), id } : null
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    await app.close()
    store.close()
    process.exit(0)
  })
}

const [host, port] = flags.listen.split(':')
console.log('fastify: listening on ' + await app.listen({ host, port: Number(port) }))
