package postgres_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// TestStatementsAreKept asks PostgreSQL itself, through pg_stat_statements, how often it ran what the engine sends
// and how often it planned it: a statement is prepared once for each connection, and planned a few times there
// until PostgreSQL trusts the plan that fits all arguments.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
	address := server.Database(t)
	admin, err := pgconn.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	ask := func(sql string) [][][]byte {
		t.Helper()
		results, err := admin.Exec(t.Context(), sql).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Rows
	}
	ask("CREATE EXTENSION pg_stat_statements")
	e := open(t, address)
	create(t, e)
	fill(t, e, 1)
	ask("SELECT pg_stat_statements_reset()")

	const times = 500
	read := prepare(t, e, one())
	for n := range times {
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

	for _, word := range []string{"SELECT", "INSERT", "UPDATE"} {
		rows := ask(`SELECT query, calls, plans FROM pg_stat_statements WHERE query LIKE '` + word + `%"posts"%' AND calls > 1`)
		if len(rows) != 1 {
			t.Errorf("%d different statements %s: %q", len(rows), word, rows)
			continue
		}
		calls, _ := strconv.Atoi(string(rows[0][1]))
		plans, _ := strconv.Atoi(string(rows[0][2]))
		t.Logf("%d calls, %d plans: %.60s", calls, plans, strings.Join(strings.Fields(string(rows[0][0])), " "))
		if calls != times || plans > times/10 {
			t.Errorf("%s: %d calls, want %d, and %d plans, want %d at most", rows[0][0], calls, times, plans, times/10)
		}
	}
}
