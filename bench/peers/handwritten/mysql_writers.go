package main

import (
	"context"
	"database/sql"
	"errors"
	"runtime"

	"github.com/go-sql-driver/mysql"
)

// mysqlWriters lends out connections on which autocommit is off: the first statement of a write begins its
// transaction, which database/sql would do by one of its own, a round trip more.
type mysqlWriters struct {
	db   *sql.DB
	free chan *mysqlWriter
}

// mysqlWriter is such a connection, once it is needed, with the statements that were prepared on it.
type mysqlWriter struct {
	db       *sql.DB
	conn     *sql.Conn
	prepared map[string]*sql.Stmt // by their text
}

func newMySQLWriters(db *sql.DB) *mysqlWriters {
	n := 4 * runtime.NumCPU()
	db.SetMaxOpenConns(n)
	ws := &mysqlWriters{db: db, free: make(chan *mysqlWriter, n)}
	for range n {
		ws.free <- &mysqlWriter{db: db}
	}
	return ws
}

func (ws *mysqlWriters) close() {
	for range cap(ws.free) {
		(<-ws.free).close()
	}
	ws.db.Close()
}

// do runs work and commits it, or none of it where it fails. What has begun is carried through, whoever waits for it.
func (ws *mysqlWriters) do(ctx context.Context, work func(*mysqlWriter) error) error {
	var w *mysqlWriter
	select {
	case w = <-ws.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { ws.free <- w }()
	err := work(w)
	if err == nil {
		err = w.end("COMMIT")
	} else if w.conn != nil && w.end("ROLLBACK") != nil {
		w.close()
	}
	return err
}

func (w *mysqlWriter) end(text string) error {
	if w.conn == nil {
		return nil // nothing was asked
	}
	_, err := w.conn.ExecContext(context.Background(), text)
	if err != nil {
		w.close()
	}
	return err
}

// exec gives the number of rows that were changed.
func (w *mysqlWriter) exec(text string, args ...any) (int64, error) {
	ctx := context.Background()
	st, err := w.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	done, err := st.ExecContext(ctx, args...)
	if err != nil {
		if !errors.As(err, new(*mysql.MySQLError)) {
			w.close() // the connection is lost
		}
		return 0, err
	}
	return done.RowsAffected()
}

func (w *mysqlWriter) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if st := w.prepared[text]; st != nil {
		return st, nil
	}
	if w.conn == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		w.conn, w.prepared = conn, map[string]*sql.Stmt{}
	}
	st, err := w.conn.PrepareContext(ctx, text)
	if err == nil {
		w.prepared[text] = st
	}
	return st, err
}

func (w *mysqlWriter) close() {
	if w.conn == nil {
		return
	}
	for _, st := range w.prepared {
		st.Close()
	}
	w.conn.Close()
	w.conn, w.prepared = nil, nil
}
