// What comes in and what goes out, per route.

const text = { type: 'string' }
const int = { type: 'integer' }
const nullText = { type: 'string', nullable: true }
const nullInt = { type: 'integer', nullable: true }
const uuid7 = { type: 'string', pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' }
const head = { id: text, created: text, updated: text, rev: int }

const author = { type: 'object', properties: { ...head, name: text, bio: nullText } }
const post = {
  type: 'object',
  properties: { ...head, title: text, body: nullText, status: nullText, views: nullInt, author: text }
}
const expandedPost = {
  type: 'object',
  properties: { ...post.properties, expand: { type: 'object', properties: { author } } }
}

// text without U+0000 and lone surrogates
const clean = '^(?:[\\u0001-\\uD7FF\\uE000-\\u{10FFFF}])*$'
const postFields = {
  title: { type: 'string', maxLength: 200, pattern: clean },
  body: { type: 'string', nullable: true, maxLength: 20000, pattern: clean },
  status: { type: 'string', nullable: true, enum: ['draft', 'published', 'archived', null] },
  views: { type: 'integer', nullable: true, minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  author: { type: 'string', maxLength: 36 }
}
const newPost = {
  type: 'object',
  properties: { id: uuid7, ...postFields },
  required: ['title', 'author'],
  additionalProperties: false
}
const newAuthor = {
  type: 'object',
  properties: {
    id: uuid7,
    name: { type: 'string', maxLength: 100, pattern: clean },
    bio: { type: 'string', nullable: true, maxLength: 2000, pattern: clean }
  },
  required: ['name'],
  additionalProperties: false
}

const create = (collection, body) => ({
  type: 'object',
  properties: { op: { const: 'create' }, collection: { const: collection }, body },
  required: ['op', 'collection', 'body'],
  additionalProperties: false
})

export const schemas = {
  readPost: { response: { 200: post } },
  readAuthor: { response: { 200: author } },
  listPosts: {
    querystring: {
      type: 'object',
      properties: {
        status: text,
        sort: { const: '-created' },
        limit: { type: 'string', pattern: '^[0-9]{1,3}$' },
        expand: { const: 'author' },
        cursor: text
      },
      required: ['status'],
      additionalProperties: false
    },
    response: {
      200: { type: 'object', properties: { items: { type: 'array', items: expandedPost }, next: text } }
    }
  },
  createPost: { body: newPost, response: { 201: post } },
  createAuthor: { body: newAuthor, response: { 201: author } },
  patchPost: {
    body: { type: 'object', properties: postFields, additionalProperties: false },
    response: { 200: post }
  },
  batch: {
    body: {
      type: 'object',
      properties: {
        atomic: { const: true },
        operations: {
          type: 'array',
          maxItems: 500,
          items: {
            type: 'object',
            required: ['collection'],
            discriminator: { propertyName: 'collection' },
            oneOf: [create('posts', newPost), create('authors', newAuthor)]
          }
        }
      },
      required: ['operations'],
      additionalProperties: false
    },
    response: {
      200: {
        type: 'object',
        properties: {
          results: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                status: int,
                body: { type: 'object', properties: { ...post.properties, ...author.properties } }
              }
            }
          }
        }
      }
    }
  }
}
