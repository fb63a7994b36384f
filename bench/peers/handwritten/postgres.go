package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The tables are laid out as Plinth lays out the same app, so that both move the same bytes; that an
// author exists is a foreign key.
const postgresSchema = `
CREATE TABLE IF NOT EXISTS authors (
  id text COLLATE "C" PRIMARY KEY, created timestamptz(3), updated timestamptz(3), rev bigint,
  name text COLLATE "C", bio text COLLATE "C"
);
CREATE TABLE IF NOT EXISTS posts (
  id text COLLATE "C" PRIMARY KEY, created timestamptz(3), updated timestamptz(3), rev bigint,
  title text COLLATE "C", body text COLLATE "C", status text COLLATE "C", views bigint,
  author text COLLATE "C" REFERENCES authors (id)
);
CREATE INDEX IF NOT EXISTS posts_status_created ON posts (status NULLS FIRST, created, id);
CREATE INDEX IF NOT EXISTS posts_author ON posts (author NULLS FIRST, id);
CREATE TABLE IF NOT EXISTS changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created timestamptz(3), updated timestamptz(3), rev bigint,
  collection text COLLATE "C", record text COLLATE "C", op text COLLATE "C", old text COLLATE "C", new text COLLATE "C"
);
`

const (
	pgPost   = "SELECT " + postColumns + fromPosts + " WHERE p.id = $1"
	pgAuthor = "SELECT " + authorColumns + " FROM authors a WHERE a.id = $1"

	pgInsertPost = `WITH stored AS (
		INSERT INTO posts (id, created, updated, rev, title, body, status, views, author) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9))
		INSERT INTO changes (` + changeColumns + `) VALUES ($2, $3, $4, 'posts', $1, 'create', NULL, $10)`
	pgInsertAuthor = `WITH stored AS (
		INSERT INTO authors (id, created, updated, rev, name, bio) VALUES ($1, $2, $3, $4, $5, $6))
		INSERT INTO changes (` + changeColumns + `) VALUES ($2, $3, $4, 'authors', $1, 'create', NULL, $7)`

	pgInsertPosts = `WITH stored AS (
		INSERT INTO posts (id, created, updated, rev, title, body, status, views, author)
		SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[]))
		INSERT INTO changes (` + changeColumns + `)
		SELECT created, created, rev, 'posts', id, 'create', NULL, image
		FROM unnest($1::text[], $2::timestamptz[], $4::bigint[], $10::text[]) AS new (id, created, rev, image)`
	pgInsertAuthors = `WITH stored AS (
		INSERT INTO authors (id, created, updated, rev, name, bio)
		SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[]))
		INSERT INTO changes (` + changeColumns + `)
		SELECT created, created, rev, 'authors', id, 'create', NULL, image
		FROM unnest($1::text[], $2::timestamptz[], $4::bigint[], $7::text[]) AS new (id, created, rev, image)`

	// pgPatchPost leaves a row in the log for the post that it changes, if it changes one.
	pgPatchPost = `WITH stored AS (UPDATE posts SET updated = $3, rev = $4, %s WHERE id = $1 AND rev = $2 RETURNING id)
		INSERT INTO changes (` + changeColumns + `) SELECT $3::timestamptz, $3, $4::bigint, 'posts', id, 'update', $5::text, $6::text FROM stored`
)

// postgresStore is a pool of connections. pgx prepares a statement once on each, and its values travel in
// the binary format. A record and its row in the log are one statement, which is a transaction by itself: one round trip.
type postgresStore struct{ pool *pgxpool.Pool }

func openPostgres(ctx context.Context, db string) (store, error) {
	config, err := pgxpool.ParseConfig(db)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(4 * runtime.NumCPU())
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		_, err = pool.Exec(ctx, postgresSchema)
	}
	return &postgresStore{pool}, err
}

func (s *postgresStore) close() { s.pool.Close() }

func (s *postgresStore) post(ctx context.Context, id string, yield func(cells)) (bool, error) {
	n, err := s.rows(ctx, yield, pgPost, id)
	return n > 0, err
}

func (s *postgresStore) author(ctx context.Context, id string, yield func(cells)) (bool, error) {
	n, err := s.rows(ctx, yield, pgAuthor, id)
	return n > 0, err
}

// posts writes the limit into the statement: it is nearly always the same, and where it is an argument
// the server does not plan once for all. Only what is shown is joined, or the server may join all.
func (s *postgresStore) posts(ctx context.Context, q question, yield func(cells)) error {
	sql := "SELECT " + postColumns + fromPosts + " WHERE p.status = $1"
	args := []any{q.status}
	if q.id != "" {
		sql += " AND (p.created, p.id) < ($2, $3)"
		args = append(args, time.UnixMilli(q.created), q.id)
	}
	sql += newest + strconv.Itoa(q.limit+1)
	if q.expand {
		sql = "SELECT " + postColumns + ", " + authorColumns + " FROM (" + sql + ") p LEFT JOIN authors a ON a.id = p.author ORDER BY p.created DESC, p.id DESC"
	}
	_, err := s.rows(ctx, yield, sql, args...)
	return err
}

func (s *postgresStore) rows(ctx context.Context, yield func(cells), sql string, args ...any) (n int, err error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
		yield(pgRow(rows.RawValues()))
	}
	return n, rows.Err()
}

// create makes each run of one collection one statement; all of them travel together and are one
// transaction.
func (s *postgresStore) create(ctx context.Context, operations []operation) error {
	if len(operations) == 1 {
		if p := operations[0].post; p != nil {
			_, err := s.pool.Exec(ctx, pgInsertPost, p.id, time.UnixMilli(p.created), time.UnixMilli(p.updated), p.rev,
				p.title, p.body.any(), p.status.any(), p.views.any(), p.author, p.image())
			return refusedByPostgres(err)
		}
		a := operations[0].author
		_, err := s.pool.Exec(ctx, pgInsertAuthor, a.id, time.UnixMilli(a.created), time.UnixMilli(a.updated), a.rev, a.name, a.bio.any(), a.image())
		return refusedByPostgres(err)
	}
	var batch pgx.Batch
	for run := range runs(operations) {
		if run[0].post != nil {
			batch.Queue(pgInsertPosts, postArrays(run)...)
		} else {
			batch.Queue(pgInsertAuthors, authorArrays(run)...)
		}
	}
	return refusedByPostgres(s.pool.SendBatch(ctx, &batch).Close())
}

func postArrays(run []operation) []any {
	n := len(run)
	ids, titles, authors := make([]string, n), make([]string, n), make([]string, n)
	created, updated, revs := make([]time.Time, n), make([]time.Time, n), make([]int64, n)
	bodies, states, views, images := make([]*string, n), make([]*string, n), make([]*int64, n), make([]string, n)
	for i, op := range run {
		p := op.post
		ids[i], created[i], updated[i], revs[i] = p.id, time.UnixMilli(p.created), time.UnixMilli(p.updated), p.rev
		titles[i], bodies[i], states[i], views[i], authors[i] = p.title, p.body.pointer(), p.status.pointer(), p.views.pointer(), p.author
		images[i] = p.image()
	}
	return []any{ids, created, updated, revs, titles, bodies, states, views, authors, images}
}

func authorArrays(run []operation) []any {
	n := len(run)
	ids, names, bios, images := make([]string, n), make([]string, n), make([]*string, n), make([]string, n)
	created, updated, revs := make([]time.Time, n), make([]time.Time, n), make([]int64, n)
	for i, op := range run {
		a := op.author
		ids[i], created[i], updated[i], revs[i] = a.id, time.UnixMilli(a.created), time.UnixMilli(a.updated), a.rev
		names[i], bios[i], images[i] = a.name, a.bio.pointer(), a.image()
	}
	return []any{ids, created, updated, revs, names, bios, images}
}

// patch writes only over the revision that it has read, and begins anew where another was faster: two
// statements, and no lock that is held between them.
func (s *postgresStore) patch(ctx context.Context, id string, edit func(*post) (fields, error)) error {
	for {
		var p post
		found, err := s.post(ctx, id, func(r cells) { p = postOf(r) })
		switch {
		case err != nil:
			return err
		case !found:
			return errNotFound
		}
		old := p
		changed, err := edit(&p)
		if err != nil || changed == 0 {
			return err
		}
		c := patched(&old, &p, changed)
		args := p.changes([]any{id, old.rev, time.UnixMilli(p.updated), p.rev, c.old, c.new}, changed)
		done, err := s.pool.Exec(ctx, fmt.Sprintf(pgPatchPost, set(changed, func(n int) string { return "$" + strconv.Itoa(n+7) })), args...)
		if err != nil {
			return refusedByPostgres(err)
		}
		if done.RowsAffected() == 1 {
			return nil
		}
	}
}

// refusedByPostgres turns what the database refuses into an answer.
func refusedByPostgres(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case "23503":
			return errNoAuthor
		case "23505":
			return errTaken
		}
	}
	return err
}

// pgRow is a row in the binary format.
type pgRow [][]byte

func (r pgRow) text(col int) []byte { return r[col] }
func (r pgRow) int(col int) int64   { return int64(binary.BigEndian.Uint64(r[col])) }

// time: a timestamptz is microseconds since 2000.
func (r pgRow) time(col int) int64 { return r.int(col)/1000 + 946_684_800_000 }

func (r pgRow) appendInt(b []byte, col int) []byte {
	if r[col] == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, r.int(col), 10)
}

func (r pgRow) appendTime(b []byte, col int) []byte { return appendTime(b, r.time(col)) }
