// The database: the same tables and indexes as the other peers, and one function per request.

import Database from 'better-sqlite3'
import { uuidv7 } from './uuid.mjs'

const schema = `
CREATE TABLE IF NOT EXISTS authors (
  id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, rev INTEGER NOT NULL,
  name TEXT, bio TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS authors_id ON authors (id);
CREATE TABLE IF NOT EXISTS posts (
  id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, rev INTEGER NOT NULL,
  title TEXT, body TEXT, status TEXT, views INTEGER, author TEXT REFERENCES authors (id)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS posts_id ON posts (id);
CREATE INDEX IF NOT EXISTS posts_status_created ON posts (status, created, id);
CREATE INDEX IF NOT EXISTS posts_author ON posts (author, id);
`

const newest = 'ORDER BY p.created DESC, p.id DESC LIMIT @limit'
const after = 'AND (p.created, p.id) < (@created, @id)'
const expanded = `SELECT p.*, a.id AS a_id, a.created AS a_created, a.updated AS a_updated, a.rev AS a_rev,
  a.name AS a_name, a.bio AS a_bio FROM posts p LEFT JOIN authors a ON a.id = p.author WHERE p.status = @status`
const plain = 'SELECT p.* FROM posts p WHERE p.status = @status'

export function openStore (path) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  db.pragma('cache_size = -32000')
  db.pragma('mmap_size = 1073741824')
  db.pragma('temp_store = MEMORY')
  db.exec(schema)

  const post = db.prepare('SELECT * FROM posts WHERE id = ?')
  const author = db.prepare('SELECT * FROM authors WHERE id = ?')
  const lists = {
    plain: db.prepare(`${plain} ${newest}`),
    plainAfter: db.prepare(`${plain} ${after} ${newest}`),
    expanded: db.prepare(`${expanded} ${newest}`),
    expandedAfter: db.prepare(`${expanded} ${after} ${newest}`)
  }
  const insertPost = db.prepare(`INSERT INTO posts (id, created, updated, rev, title, body, status, views, author)
    VALUES (@id, @created, @updated, @rev, @title, @body, @status, @views, @author)`)
  const insertAuthor = db.prepare(`INSERT INTO authors (id, created, updated, rev, name, bio)
    VALUES (@id, @created, @updated, @rev, @name, @bio)`)
  const updates = new Map() // by the set of changed fields, so that other indexes are left alone

  function update (changed) {
    const key = changed.join()
    let statement = updates.get(key)
    if (!statement) {
      const sets = ['updated', 'rev', ...changed].map((field) => `${field} = @${field}`)
      statement = db.prepare(`UPDATE posts SET ${sets.join(', ')} WHERE id = @id`)
      updates.set(key, statement)
    }
    return statement
  }

  function createPost (body) {
    const now = Date.now()
    const row = {
      id: body.id ?? uuidv7(now),
      created: now,
      updated: now,
      rev: 1,
      title: body.title.normalize(),
      body: body.body?.normalize() ?? null,
      status: body.status === undefined ? 'draft' : body.status,
      views: body.views === undefined ? 0 : body.views,
      author: body.author
    }
    insertPost.run(row)
    return withTimes(row)
  }

  function createAuthor (body) {
    const now = Date.now()
    const row = {
      id: body.id ?? uuidv7(now),
      created: now,
      updated: now,
      rev: 1,
      name: body.name.normalize(),
      bio: body.bio?.normalize() ?? null
    }
    insertAuthor.run(row)
    return withTimes(row)
  }

  const patchPost = db.transaction((id, body, ifMatch) => {
    const row = post.get(id)
    if (!row) return {}
    if (ifMatch && ifMatch !== '*' && ifMatch !== `"${row.rev}"`) return { conflict: true }
    const changed = []
    for (const field of ['title', 'body', 'status', 'views', 'author']) {
      let value = body[field]
      if (value === undefined) continue
      if (typeof value === 'string') value = value.normalize()
      if (value === row[field]) continue
      row[field] = value
      changed.push(field)
    }
    if (changed.length > 0) {
      row.rev++
      row.updated = Math.max(Date.now(), row.updated)
      update(changed).run(row)
    }
    return { record: withTimes(row) }
  })

  const batch = db.transaction((operations) => operations.map(({ collection, body }) => ({
    status: 201,
    body: collection === 'posts' ? createPost(body) : createAuthor(body)
  })))

  return {
    readPost: (id) => withTimes(post.get(id)),
    readAuthor: (id) => withTimes(author.get(id)),
    listPosts ({ status, limit, expand, after }) {
      const statement = expand
        ? (after ? lists.expandedAfter : lists.expanded)
        : (after ? lists.plainAfter : lists.plain)
      const rows = statement.all({ status, limit, ...after })
      return rows.map(expand ? withAuthor : withTimes)
    },
    createPost,
    createAuthor,
    patchPost: patchPost.immediate,
    batch: batch.immediate,
    close: () => db.close()
  }
}

function withTimes (row) {
  if (row === undefined) return row
  row.created = time(row.created)
  row.updated = time(row.updated)
  return row
}

function withAuthor (row) {
  const record = withTimes(row)
  record.expand = row.a_id === null
    ? {}
    : {
        author: {
          id: row.a_id,
          created: time(row.a_created),
          updated: time(row.a_updated),
          rev: row.a_rev,
          name: row.a_name,
          bio: row.a_bio
        }
      }
  return record
}

function time (ms) {
  return new Date(ms).toISOString()
}
