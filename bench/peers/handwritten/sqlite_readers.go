package main

import (
	"context"
	"fmt"
	"runtime"

	"zombiezen.com/go/sqlite"
)

const (
	postByID   = "SELECT " + postColumns + fromPosts + " WHERE p.id = ?"
	authorByID = "SELECT " + authorColumns + " FROM authors a WHERE a.id = ?"

	ofStatus = " WHERE p.status = ?1"
	after    = " AND (p.created, p.id) < (?3, ?4)"
)

// reader is a read-only connection with its statements.
type reader struct {
	conn   *sqlite.Conn
	post   *sqlite.Stmt
	author *sqlite.Stmt
	list   [2][2]*sqlite.Stmt // by expanded, then by continued
	row    row
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
		r := &reader{conn: conn, row: row{scratch: make([]byte, 4<<10)}}
		err = prepare(conn, map[**sqlite.Stmt]string{
			&r.post:       postByID,
			&r.author:     authorByID,
			&r.list[0][0]: "SELECT " + postColumns + fromPosts + ofStatus + newest + "?2",
			&r.list[0][1]: "SELECT " + postColumns + fromPosts + ofStatus + after + newest + "?2",
			&r.list[1][0]: "SELECT " + postColumns + ", " + authorColumns + withAuthors + ofStatus + newest + "?2",
			&r.list[1][1]: "SELECT " + postColumns + ", " + authorColumns + withAuthors + ofStatus + after + newest + "?2",
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
