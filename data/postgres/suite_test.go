package postgres_test

import (
	"context"
	"os"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/spec"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestSuite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t testing.TB, _ *spec.App) driver.Engine {
		eng, err := postgres.Open(context.Background(), pgtest.Database(t), postgres.Options{Conns: 20})
		if err != nil {
			t.Fatal(err)
		}
		return eng
	}, drivertest.Known{"lifecycle/a backup beside writers": "pg_dump is the tool"})
}
