package sqlite

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// Who only looks changes nothing, and is not led astray by who begins to write meanwhile.
func TestLook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?#%41.db")
	if _, err := Open(path, Options{Look: true}); err == nil {
		t.Fatal("what is not there was opened")
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("it was made")
	}
	fill := func(e *Engine, from, to int) {
		t.Helper()
		err := e.writer.do(t.Context(), func(c *conn) error {
			if err := c.script(`CREATE TABLE IF NOT EXISTS x (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX IF NOT EXISTS xb ON x (b)`); err != nil {
				return err
			}
			return c.script(`WITH RECURSIVE n(i) AS (VALUES (` + strconv.Itoa(from) + `) UNION ALL SELECT i + 1 FROM n WHERE i < ` + strconv.Itoa(to) + `) INSERT INTO x SELECT i, hex(randomblob(200)) FROM n`)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(e, 1, 2000)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	looks, err := Open(path, Options{Look: true})
	if err != nil {
		t.Fatal(err)
	}
	defer looks.Close()
	if !looks.still {
		t.Fatal("there is a log, so this shows nothing")
	}
	err = looks.Write(t.Context(), func(tx driver.Tx) error { _, err := tx.Now(); return err })
	if err != nil {
		t.Error("what time it is was not told:", err)
	}
	if err := looks.Check(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Error("it was written:", err)
	}
	if err := looks.Verify(t.Context()); err != nil {
		t.Error(err)
	}

	again, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	fill(again, 2001, 6000)
	if _, err := again.writer.c.checkpoint(0); err != nil {
		t.Fatal(err)
	}
	if err := looks.Verify(t.Context()); err != nil {
		t.Error("what was changed meanwhile was taken for damage:", err)
	}
	rows := 0
	beside, err := Open(path, Options{Look: true})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	err = beside.Read(t.Context(), func(r driver.Reader) error {
		return r.(*reader).c.each(`SELECT count(*) FROM x`, func(s *sqlite.Stmt) error { rows = s.ColumnInt(0); return nil })
	})
	if err != nil || rows != 6000 || beside.still {
		t.Errorf("beside a writer %d rows are seen (%v)", rows, err)
	}
}
