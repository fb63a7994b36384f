// Package data is the portable database: records, rules and transactions with one meaning on every
// engine. It is the one place that authorises and projects.
//
// Order to read in: api.go (the nouns), caller.go (who asks, and what he may), create.go and write.go (a
// write, from body to commit; update, put, increment, delete and batch are its siblings), draft.go,
// list.go, fetch.go and view.go (a question, compiled once and then only bound), question.go (the names
// that a caller may use), expand.go, group.go, cursor.go, held.go and unique.go (new records, and what is taken),
// idempotency.go, companions.go and seal.go (hidden columns, encryption), and for schema changes
// schema.go, shape.go, diff.go, survey.go, journal.go, migrate.go, backfill.go.
package data
