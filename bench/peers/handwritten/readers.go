package main

import (
	"context"
	"fmt"
	"runtime"

	"zombiezen.com/go/sqlite"
)

const (
	postColumns   = "p.id, p.created, p.updated, p.rev, p.title, p.body, p.status, p.views, p.author"
	authorColumns = "a.id, a.created, a.updated, a.rev, a.name, a.bio"

	postByID   = "SELECT " + postColumns + " FROM posts p WHERE p.id = ?"
	authorByID = "SELECT " + authorColumns + " FROM authors a WHERE a.id = ?"

	byStatus = " FROM posts p WHERE p.status = ?1"
	withBoth = " FROM posts p LEFT JOIN authors a ON a.id = p.author WHERE p.status = ?1"
	after    = " AND (p.created, p.id) < (?3, ?4)"
	newest   = " ORDER BY p.created DESC, p.id DESC LIMIT ?2"
)

// reader is a read-only connection with its statements.
type reader struct {
	conn   *sqlite.Conn
	post   *sqlite.Stmt
	author *sqlite.Stmt
	list   [2][2]*sqlite.Stmt // by expanded, then by continued
}

// readers lends readers out; whoever takes one gives it back.
type readers struct {
	free chan *reader
}

func openReaders(path string) (*readers, error) {
	n := 2 * runtime.NumCPU()
	rs := &readers{free: make(chan *reader, n)}
	for range n {
		conn, err := open(path, sqlite.OpenReadOnly)
		if err != nil {
			return nil, err
		}
		r := &reader{conn: conn}
		err = prepare(conn, map[**sqlite.Stmt]string{
			&r.post:       postByID,
			&r.author:     authorByID,
			&r.list[0][0]: "SELECT " + postColumns + byStatus + newest,
			&r.list[0][1]: "SELECT " + postColumns + byStatus + after + newest,
			&r.list[1][0]: "SELECT " + postColumns + ", " + authorColumns + withBoth + newest,
			&r.list[1][1]: "SELECT " + postColumns + ", " + authorColumns + withBoth + after + newest,
		})
		if err != nil {
			return nil, err
		}
		rs.free <- r
	}
	return rs, nil
}

func (rs *readers) take(ctx context.Context) (*reader, error) {
	select {
	case r := <-rs.free:
		return r, nil
	default:
	}
	select {
	case r := <-rs.free:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (rs *readers) give(r *reader) { rs.free <- r }

func (rs *readers) close() {
	for range cap(rs.free) {
		r := <-rs.free
		r.conn.Close()
	}
}

func prepare(conn *sqlite.Conn, statements map[**sqlite.Stmt]string) error {
	for to, sql := range statements {
		stmt, err := conn.Prepare(sql)
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		*to = stmt
	}
	return nil
}
