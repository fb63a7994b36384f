package mysql_test

import (
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// TestStatementsAreKept asks the server itself how often it prepared what the engine sends and how often it ran it: a
// statement is prepared once for each connection, and nothing that reads or changes a record is sent as text.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	address := server.Database(t)
	e := openWith(t, address, 4)
	create(t, e)
	fill(t, e, 1)
	admin := raw(t, address)
	status := func(name string) (n int) {
		t.Helper()
		if err := admin.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(new(string), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}

	const times = 200
	read := prepare(t, e, one())
	round := func(n int) {
		if rows, err := texts(e, read, expr.TextOf(id(1))); err != nil || len(rows) != 1 {
			t.Fatalf("read %d: %q, %v", n, rows, err)
		}
		if err := insert(e, post(n+2)); err != nil {
			t.Fatal(err)
		}
		err := e.Write(t.Context(), func(tx driver.Tx) error {
			r := post(1)
			r[spec.OrdRev], r[postScore] = expr.IntOf(int64(n+2)), expr.IntOf(int64(n))
			was, err := tx.Update(posts, id(1), int64(n+1), r, []int{spec.OrdRev, postScore})
			if err == nil && !was {
				t.Errorf("update %d finds no such record", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	round(0) // who connects is told of the server by a text
	before := map[string]int{}
	names := []string{"Com_stmt_prepare", "Com_stmt_execute", "Com_select", "Com_insert", "Com_update"}
	for _, name := range names {
		before[name] = status(name)
	}
	for n := range times {
		round(n + 1)
	}
	done := map[string]int{}
	for _, name := range names {
		done[name] = status(name) - before[name]
	}
	t.Logf("%v", done)
	for _, name := range names[2:] {
		if done[name] < times {
			t.Errorf("%s is %d, want %d: the test does not see what it should", name, done[name], times)
		}
	}
	if all := done["Com_select"] + done["Com_insert"] + done["Com_update"]; done["Com_stmt_execute"] < all {
		t.Errorf("%d of %d statements were prepared ones", done["Com_stmt_execute"], all)
	}
	if done["Com_stmt_prepare"] > times/10 {
		t.Errorf("%d statements were prepared for %d rounds, want %d at most", done["Com_stmt_prepare"], times, times/10)
	}
}
