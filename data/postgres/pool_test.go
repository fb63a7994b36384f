package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
)

// TestPooled: what an address says of the pool is taken for it, and is not sent to the server.
func TestPooled(t *testing.T) {
	t.Parallel()
	params := map[string]string{"pool_max_conns": "3", "pool_max_conn_idle_time": "90s", "pool_max_conn_lifetime": "2h", "pool_max_conn_lifetime_jitter": "0s", "application_name": "x"}
	got, err := postgres.Pooled(params)
	if err != nil || got.Most != 3 || got.Idle != 90*time.Second || got.Life != 2*time.Hour || got.Jitter != 0 || len(params) != 1 {
		t.Errorf("%+v, and left %q: %v", got, params, err)
	}
	got, err = postgres.Pooled(nil)
	if err != nil || got.Most < 4 || got.Idle != 30*time.Minute || got.Life != time.Hour || got.Jitter == 0 {
		t.Errorf("%+v: %v", got, err)
	}
}

// TestRenewed: a connection that is used all the time is renewed when it is old, and one that nobody uses is closed.
func TestRenewed(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	pg, err := pgconn.Connect(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(context.Background())
	e := open(t, address+" pool_max_conns=1 pool_max_conn_lifetime=1s pool_max_conn_lifetime_jitter=0s pool_max_conn_idle_time=1s")
	create(t, e)
	process := func() (pid string) {
		r, err := pg.Exec(context.Background(), "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY backend_start DESC LIMIT 1").ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(r[0].Rows) > 0 {
			pid = string(r[0].Rows[0][0])
		}
		return pid
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	has(t, e)
	first := process()
	until("it is not renewed", func() bool { has(t, e); now := process(); return now != first && now != "" })
	until("it is not closed", func() bool { return process() == "" })
	if l := e.Load(); l != (driver.Load{Most: 1}) {
		t.Errorf("%+v", l)
	}
	has(t, e)
}
