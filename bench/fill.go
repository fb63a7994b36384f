package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// fill writes posts straight into the server's table, as the server does it: ten million of them over HTTP would
// take longer than measuring them. The server is not running.
func fill(ctx context.Context, file string, rows int, authors []string) (err error) {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	defer conn.Close()
	for _, pragma := range []string{"synchronous = OFF", "cache_size = -512000", "temp_store = MEMORY"} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil); err != nil {
			return err
		}
	}
	insert, err := conn.Prepare(`INSERT INTO posts (id, created, updated, rev, title, body, status, views, author, _rowid_)
		VALUES (?1, ?2, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8)`)
	if err != nil {
		return fmt.Errorf("the table is not laid out as expected: %w", err)
	}
	const chunk = 100_000
	for from := 0; from < rows; from += chunk {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fillChunk(conn, insert, from, min(from+chunk, rows), authors); err != nil {
			return err
		}
		if done := from + chunk; done%1_000_000 == 0 && done < rows {
			progress("  %d million", done/1_000_000)
		}
	}
	return sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil)
}

func fillChunk(conn *sqlite.Conn, insert *sqlite.Stmt, from, to int, authors []string) (err error) {
	defer sqlitex.Transaction(conn)(&err)
	for n := from; n < to; n++ {
		p := seedPost(n, authors[authorOf(n)])
		insert.BindText(1, filledID(n))
		insert.BindInt64(2, filledAt(n))
		insert.BindText(3, p.Title)
		insert.BindText(4, p.Body)
		insert.BindText(5, p.Status)
		insert.BindInt64(6, int64(p.Views))
		insert.BindText(7, p.Author)
		insert.BindInt64(8, filledRow(n))
		if _, err := insert.Step(); err != nil {
			return err
		}
		if err := insert.Reset(); err != nil {
			return err
		}
	}
	return nil
}

// filledAt is one row per 10 ms from a fixed day on; ten million rows are 28 hours.
func filledAt(n int) int64 {
	return time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + 10*int64(n)
}

// filledID is a UUIDv7 of that time, the rest of it a function of the number.
func filledID(n int) string {
	ms, r := uint64(filledAt(n)), scatter(n)
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, r>>52, 0x8000|r>>38&0x3fff, r&0xffffffffffff)
}

// filledRow is where Plinth puts that row: the time and the 12 bits behind the version.
func filledRow(n int) int64 { return filledAt(n)<<12 | int64(scatter(n)>>52) }
