package main

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The tables are laid out as Plinth lays out the same app, so that both move the same bytes; that an
// author exists is a foreign key.
var mysqlSchema = []string{
	`CREATE TABLE IF NOT EXISTS authors (
  id VARCHAR(36) NOT NULL, created DATETIME(3), updated DATETIME(3), rev BIGINT, name LONGTEXT, bio LONGTEXT,
  PRIMARY KEY (id)
)` + mysqlTable,
	`CREATE TABLE IF NOT EXISTS posts (
  id VARCHAR(36) NOT NULL, created DATETIME(3), updated DATETIME(3), rev BIGINT,
  title LONGTEXT, body LONGTEXT, status VARCHAR(255), views BIGINT, author VARCHAR(36),
  PRIMARY KEY (id), INDEX posts_status_created (status, created, id), INDEX posts_author (author, id),
  FOREIGN KEY (author) REFERENCES authors (id)
)` + mysqlTable,
	`CREATE TABLE IF NOT EXISTS changes (
  id BIGINT NOT NULL AUTO_INCREMENT, created DATETIME(3), updated DATETIME(3), rev BIGINT,
  collection VARCHAR(40), record VARCHAR(36), op VARCHAR(20), old LONGTEXT, new LONGTEXT,
  PRIMARY KEY (id)
)` + mysqlTable,
}

const (
	mysqlTable = " ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"

	mysqlPosts   = "INSERT INTO posts (id, created, updated, rev, title, body, status, views, author) VALUES (?,?,?,?,?,?,?,?,?)"
	mysqlAuthors = "INSERT INTO authors (id, created, updated, rev, name, bio) VALUES (?,?,?,?,?,?)"
	mysqlChanges = "INSERT INTO changes (" + changeColumns + ") VALUES (?,?,?,?,?,?,?,?)"
)

// Many rows are inserted by statements for so many of them at once, so that there are few to prepare.
var mysqlSizes = []int{100, 10, 1}

// mysqlStore has a pool of connections that read, with statements that are prepared once on each, and others
// that write (mysql_writers.go).
type mysqlStore struct {
	db         *sql.DB
	byID       *sql.Stmt // a post
	authorByID *sql.Stmt
	list       [2][2]*sql.Stmt // by expanded, then by continued
	rows       sync.Pool

	writers *mysqlWriters
	inserts map[string][]string // their texts, by collection or changes and then by the sizes
}

// openMySQL takes an address as the driver reads it.
func openMySQL(ctx context.Context, address string) (store, error) {
	config, err := mysql.ParseDSN(address)
	if err != nil {
		return nil, err
	}
	config.Collation = "utf8mb4_nopad_bin"
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	writes := config.Clone()
	if writes.Params == nil {
		writes.Params = map[string]string{}
	}
	writes.Params["autocommit"] = "0"
	writing, err := mysql.NewConnector(writes)
	if err != nil {
		return nil, err
	}
	s := &mysqlStore{db: sql.OpenDB(connector), writers: newMySQLWriters(sql.OpenDB(writing)), inserts: map[string][]string{}}
	s.rows.New = func() any { return newMySQLRow() }
	s.db.SetMaxOpenConns(4 * runtime.NumCPU())
	s.db.SetMaxIdleConns(4 * runtime.NumCPU())
	for _, table := range mysqlSchema {
		if _, err := s.db.ExecContext(ctx, table); err != nil {
			return nil, err
		}
	}
	return s, s.prepare(ctx)
}

func (s *mysqlStore) prepare(ctx context.Context) (err error) {
	one := func(text string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var st *sql.Stmt
		st, err = s.db.PrepareContext(ctx, text)
		return st
	}
	s.byID = one("SELECT " + postColumns + fromPosts + " WHERE p.id = ?")
	s.authorByID = one("SELECT " + authorColumns + " FROM authors a WHERE a.id = ?")
	for i, head := range []string{"SELECT " + postColumns + fromPosts, "SELECT " + postColumns + ", " + authorColumns + withAuthors} {
		head += " WHERE p.status = ?"
		s.list[i][0] = one(head + newest + "?")
		s.list[i][1] = one(head + " AND p.created <= CAST(? AS DATETIME(3)) AND (p.created < CAST(? AS DATETIME(3)) OR p.id < ?)" + newest + "?")
	}
	for _, size := range mysqlSizes {
		s.inserts["posts"] = append(s.inserts["posts"], mysqlPosts+strings.Repeat(",(?,?,?,?,?,?,?,?,?)", size-1))
		s.inserts["authors"] = append(s.inserts["authors"], mysqlAuthors+strings.Repeat(",(?,?,?,?,?,?)", size-1))
		s.inserts["changes"] = append(s.inserts["changes"], mysqlChanges+strings.Repeat(",(?,?,?,?,?,?,?,?)", size-1))
	}
	return err
}

func (s *mysqlStore) close() {
	s.writers.close()
	s.db.Close()
}

func (s *mysqlStore) post(ctx context.Context, id string, yield func(cells)) (bool, error) {
	n, err := s.query(ctx, yield, s.byID, postWidth, id)
	return n > 0, err
}

func (s *mysqlStore) author(ctx context.Context, id string, yield func(cells)) (bool, error) {
	n, err := s.query(ctx, yield, s.authorByID, authorWidth, id)
	return n > 0, err
}

func (s *mysqlStore) posts(ctx context.Context, q question, yield func(cells)) error {
	args := []any{q.status}
	if q.id != "" {
		at := mysqlTime(q.created)
		args = append(args, at, at, q.id)
	}
	width := postWidth
	if q.expand {
		width += authorWidth
	}
	_, err := s.query(ctx, yield, s.list[index(q.expand)][index(q.id != "")], width, append(args, q.limit+1)...)
	return err
}

func (s *mysqlStore) query(ctx context.Context, yield func(cells), st *sql.Stmt, width int, args ...any) (n int, err error) {
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	r := s.rows.Get().(*mysqlRow)
	defer s.rows.Put(r)
	for rows.Next() {
		if err := rows.Scan(r.into[:width]...); err != nil {
			return n, err
		}
		n++
		yield(r)
	}
	return n, rows.Err()
}

// create stores the records, then their rows in the log.
func (s *mysqlStore) create(ctx context.Context, operations []operation) error {
	changes := changesOf(operations)
	return s.writers.do(ctx, func(w *mysqlWriter) error {
		for run := range runs(operations) {
			insert, values := "posts", postValues
			if run[0].post == nil {
				insert, values = "authors", authorValues
			}
			if err := insertMany(w, s.inserts[insert], run, values); err != nil {
				return refusedByMySQL(err)
			}
		}
		return insertMany(w, s.inserts["changes"], changes, changeValues)
	})
}

// insertMany inserts rows by statements of the sizes.
func insertMany[T any](w *mysqlWriter, texts []string, rows []T, values func([]any, T) []any) error {
	var args []any
	for i, size := range mysqlSizes {
		for ; len(rows) >= size; rows = rows[size:] {
			args = args[:0]
			for _, row := range rows[:size] {
				args = values(args, row)
			}
			if _, err := w.exec(texts[i], args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func postValues(args []any, op operation) []any {
	p := op.post
	return append(args, p.id, mysqlTime(p.created), mysqlTime(p.updated), p.rev, p.title, p.body.any(), p.status.any(), p.views.any(), p.author)
}

func authorValues(args []any, op operation) []any {
	a := op.author
	return append(args, a.id, mysqlTime(a.created), mysqlTime(a.updated), a.rev, a.name, a.bio.any())
}

func changeValues(args []any, c change) []any {
	at := mysqlTime(c.at)
	return append(args, at, at, c.rev, c.collection, c.record, c.op, orNull(c.old), orNull(c.new))
}

// patch writes only over the revision that it has read, and begins anew where another was faster: no lock is
// held while it thinks.
func (s *mysqlStore) patch(ctx context.Context, id string, edit func(*post) (fields, error)) error {
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
		done := false
		err = s.writers.do(ctx, func(w *mysqlWriter) error {
			args := append(p.changes([]any{mysqlTime(p.updated), p.rev}, changed), id, old.rev)
			n, err := w.exec("UPDATE posts SET updated = ?, rev = ?, "+
				set(changed, func(int) string { return "?" })+" WHERE id = ? AND rev = ?", args...)
			if err != nil || n == 0 {
				return refusedByMySQL(err)
			}
			done = true
			_, err = w.exec(mysqlChanges, changeValues(nil, c)...)
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

// refusedByMySQL turns what the database refuses into an answer.
func refusedByMySQL(err error) error {
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		switch refused.Number {
		case 1452:
			return errNoAuthor
		case 1062:
			return errTaken
		}
	}
	return err
}

const mysqlLayout = "2006-01-02 15:04:05.000"

func mysqlTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(mysqlLayout) }

// mysqlRow is a row whose columns lie where the driver has them.
type mysqlRow struct {
	raw  [postWidth + authorWidth]sql.RawBytes
	into []any
}

func newMySQLRow() *mysqlRow {
	r := &mysqlRow{}
	for i := range r.raw {
		r.into = append(r.into, &r.raw[i])
	}
	return r
}

func (r *mysqlRow) text(col int) []byte { return r.raw[col] }

func (r *mysqlRow) int(col int) int64 {
	n, _ := strconv.ParseInt(string(r.raw[col]), 10, 64)
	return n
}

func (r *mysqlRow) time(col int) int64 {
	t, _ := time.Parse(mysqlLayout, string(r.raw[col]))
	return t.UnixMilli()
}

func (r *mysqlRow) appendInt(b []byte, col int) []byte {
	if r.raw[col] == nil {
		return append(b, "null"...)
	}
	return append(b, r.raw[col]...)
}

// appendTime: a DATETIME(3) comes as text, in nearly the form that is wanted.
func (r *mysqlRow) appendTime(b []byte, col int) []byte {
	b = append(b, r.raw[col]...)
	b[len(b)-len(r.raw[col])+len("2006-01-02")] = 'T'
	return append(b, 'Z')
}
