package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/fault"
)

// TestVerify: a page that is no page is found by reading everything.
func TestVerify(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	address := server.Database(t)
	e := open(t, address)
	create(t, e)
	fill(t, e, 100)
	if err := e.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	pg, err := pgconn.Connect(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	results, err := pg.Exec(context.Background(), `CHECKPOINT; SELECT pg_relation_filepath('posts')`).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(server.Dir, "data", string(results[1].Rows[0][0])), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("\xff", 64)), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	server.Crash(t)
	if err := open(t, address).Verify(context.Background()); !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}
