package main

import (
	"context"
	"strconv"

	"zombiezen.com/go/sqlite"
)

// sqliteStore has readers, each a connection, and one writer.
type sqliteStore struct {
	readers *readers
	writer  *writer
}

func openSQLite(path string) (store, error) {
	w, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	r, err := openReaders(path)
	return &sqliteStore{readers: r, writer: w}, err
}

func (s *sqliteStore) close() {
	s.readers.close()
	s.writer.close()
}

func (s *sqliteStore) post(ctx context.Context, id string, yield func(cells)) (bool, error) {
	return s.one(ctx, func(rd *reader) *sqlite.Stmt { return rd.post }, id, yield)
}

func (s *sqliteStore) author(ctx context.Context, id string, yield func(cells)) (bool, error) {
	return s.one(ctx, func(rd *reader) *sqlite.Stmt { return rd.author }, id, yield)
}

func (s *sqliteStore) one(ctx context.Context, pick func(*reader) *sqlite.Stmt, id string, yield func(cells)) (bool, error) {
	rd, err := s.readers.take(ctx)
	if err != nil {
		return false, err
	}
	defer s.readers.give(rd)
	stmt := pick(rd)
	stmt.BindText(1, id)
	defer stmt.Reset()
	found, err := stmt.Step()
	if found {
		rd.row.stmt = stmt
		yield(&rd.row)
	}
	return found, err
}

func (s *sqliteStore) posts(ctx context.Context, q question, yield func(cells)) error {
	rd, err := s.readers.take(ctx)
	if err != nil {
		return err
	}
	defer s.readers.give(rd)
	stmt := rd.list[index(q.expand)][index(q.id != "")]
	stmt.BindText(1, q.status)
	stmt.BindInt64(2, int64(q.limit+1))
	if q.id != "" {
		stmt.BindInt64(3, q.created)
		stmt.BindText(4, q.id)
	}
	defer stmt.Reset()
	rd.row.stmt = stmt
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return err
		}
		yield(&rd.row)
	}
}

func (s *sqliteStore) create(_ context.Context, operations []operation) error {
	changes := changesOf(operations) // before it is the writer's turn
	return s.writer.do(func(w *writer) error {
		for _, op := range operations {
			var err error
			if op.post != nil {
				err = w.addPost(op.post)
			} else {
				err = w.addAuthor(op.author)
			}
			if err != nil {
				return conflict(err)
			}
		}
		for i := range changes {
			if err := w.addChange(&changes[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteStore) patch(_ context.Context, id string, edit func(*post) (fields, error)) error {
	return s.writer.do(func(w *writer) error {
		var p post
		if err := w.loadPost(id, &p); err != nil {
			return err
		}
		old := p
		changed, err := edit(&p)
		if err != nil || changed == 0 {
			return err
		}
		if err := w.storePost(&p, changed); err != nil {
			return conflict(err)
		}
		c := patched(&old, &p, changed)
		return w.addChange(&c)
	})
}

// conflict turns what the database refuses into an answer.
func conflict(err error) error {
	switch sqlite.ErrCode(err) {
	case sqlite.ResultConstraintForeignKey:
		return errNoAuthor
	case sqlite.ResultConstraintUnique:
		return errTaken
	}
	return err
}

func (w *writer) addPost(p *post) error {
	s := w.insertPost
	s.BindText(1, p.id)
	s.BindInt64(2, p.created)
	s.BindInt64(3, p.updated)
	s.BindInt64(4, p.rev)
	s.BindText(5, p.title)
	bindText(s, 6, p.body)
	bindText(s, 7, p.status)
	bindInt(s, 8, p.views)
	s.BindText(9, p.author)
	return exec(s)
}

func (w *writer) addAuthor(a *author) error {
	s := w.insertAuthor
	s.BindText(1, a.id)
	s.BindInt64(2, a.created)
	s.BindInt64(3, a.updated)
	s.BindInt64(4, a.rev)
	s.BindText(5, a.name)
	bindText(s, 6, a.bio)
	return exec(s)
}

func (w *writer) addChange(c *change) error {
	s := w.insertChange
	s.BindInt64(1, c.at)
	s.BindInt64(2, c.rev)
	s.BindText(3, c.collection)
	s.BindText(4, c.record)
	s.BindText(5, c.op)
	bindText(s, 6, nullable[string]{value: c.old, null: c.old == ""})
	bindText(s, 7, nullable[string]{value: c.new, null: c.new == ""})
	return exec(s)
}

func (w *writer) loadPost(id string, p *post) error {
	s := w.post
	s.BindText(1, id)
	defer s.Reset()
	found, err := s.Step()
	if err != nil {
		return err
	}
	if !found {
		return errNotFound
	}
	*p = postOf(&row{stmt: s, scratch: w.scratch})
	return nil
}

func (w *writer) storePost(p *post, changed fields) error {
	s, err := w.update(changed)
	if err != nil {
		return err
	}
	s.BindText(1, p.id)
	s.BindInt64(2, p.updated)
	s.BindInt64(3, p.rev)
	at := 4
	if changed&title != 0 {
		s.BindText(at, p.title)
		at++
	}
	if changed&body != 0 {
		bindText(s, at, p.body)
		at++
	}
	if changed&status != 0 {
		bindText(s, at, p.status)
		at++
	}
	if changed&views != 0 {
		bindInt(s, at, p.views)
		at++
	}
	if changed&authorRef != 0 {
		s.BindText(at, p.author)
	}
	return exec(s)
}

// update gives the statement that sets exactly the changed fields, so that the indexes of
// the others are left alone.
func (w *writer) update(changed fields) (*sqlite.Stmt, error) {
	if s := w.updatePost[changed]; s != nil {
		return s, nil
	}
	s, err := w.conn.Prepare("UPDATE posts SET updated = ?2, rev = ?3, " +
		set(changed, func(int) string { return "?" }) + " WHERE id = ?1")
	w.updatePost[changed] = s
	return s, err
}

func bindText(s *sqlite.Stmt, at int, v nullable[string]) {
	if v.null {
		s.BindNull(at)
		return
	}
	s.BindText(at, v.value)
}

func bindInt(s *sqlite.Stmt, at int, v nullable[int64]) {
	if v.null {
		s.BindNull(at)
		return
	}
	s.BindInt64(at, v.value)
}

// row is the current row of a statement, with room for one column's bytes.
type row struct {
	stmt    *sqlite.Stmt
	scratch []byte
}

func (r *row) int(col int) int64  { return r.stmt.ColumnInt64(col) }
func (r *row) time(col int) int64 { return r.stmt.ColumnInt64(col) }

func (r *row) text(col int) []byte {
	if r.stmt.ColumnType(col) == sqlite.TypeNull {
		return nil
	}
	n := r.stmt.ColumnBytes(col, r.scratch)
	if n == len(r.scratch) {
		r.scratch = make([]byte, r.stmt.ColumnLen(col)+1)
		n = r.stmt.ColumnBytes(col, r.scratch)
	}
	return r.scratch[:n]
}

func (r *row) appendInt(b []byte, col int) []byte {
	if r.stmt.ColumnType(col) == sqlite.TypeNull {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, r.int(col), 10)
}

func (r *row) appendTime(b []byte, col int) []byte { return appendTime(b, r.time(col)) }
