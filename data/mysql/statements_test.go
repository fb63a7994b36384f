package mysql_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
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

// TestFewStatements: a server keeps so many prepared statements for all that are connected (max_prepared_stmt_count). An
// engine keeps half of them at most, and gives up its own where others keep the rest.
func TestFewStatements(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	server.Exec(t, "SET GLOBAL max_prepared_stmt_count = 60")
	address := server.Database(t)
	e := openWith(t, address, 1)
	create(t, e)
	if err := insert(e, post(1)); err != nil {
		t.Fatal(err)
	}
	admin := raw(t, address)
	kept := func() (n int) {
		t.Helper()
		if err := admin.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(new(string), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ask := func(n int) {
		t.Helper()
		q := one()
		q.Where = op(expr.OpOr, q.Where)
		for range n { // another text
			q.Where.Args = append(q.Where.Args, one().Where)
		}
		if rows, err := texts(e, prepare(t, e, q), expr.TextOf(id(1))); err != nil || len(rows) != 1 {
			t.Fatalf("question %d: %q, %v", n, rows, err)
		}
	}
	for n := range 100 {
		ask(n + 1)
	}
	if n := kept(); n < 10 || n > 30 {
		t.Errorf("%d statements are kept of 60", n)
	}
	server.Exec(t, "SET GLOBAL max_prepared_stmt_count = "+strconv.Itoa(kept()))
	for n := range 3 {
		ask(n + 1)
	}
}

// TestSmallPackets: what a server takes no packet for is told as too large, whichever way it is stored, and nothing of it is stored.
func TestSmallPackets(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	server.Exec(t, "SET GLOBAL max_allowed_packet = 65536")
	e := openWith(t, server.Database(t), 1)
	create(t, e)
	others := another(t, e)
	defer has(t, e)
	for _, size := range []int{66_000, 200_000} {
		large := post(1)
		large[postTitle] = expr.TextOf(strings.Repeat("x", size))
		for name, store := range map[string]func(driver.Tx) (int, error){
			"alone": func(tx driver.Tx) (int, error) {
				return tx.(driver.Finisher).Finish(nil, []driver.Insertion{{C: posts, R: large}})
			},
			"together": func(tx driver.Tx) (int, error) {
				return tx.(driver.Finisher).Finish(nil, []driver.Insertion{{C: posts, R: large}, {C: others, R: plain(5).R}})
			},
			"in a transaction": func(tx driver.Tx) (int, error) { return 1, tx.Insert(posts, large) },
		} {
			err := e.Write(t.Context(), func(tx driver.Tx) error { _, err := store(tx); return err })
			if !fault.Is(err, fault.TooLarge) {
				t.Errorf("%d bytes, %s: %v", size, name, err)
			}
		}
	}
}
