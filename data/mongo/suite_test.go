package mongo

import (
	"context"
	"os"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/spec"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopNodes()
	mongotest.Stop()
	os.Exit(code)
}

func openAt(t testing.TB, address string) *Engine {
	t.Helper()
	e, err := Open(context.Background(), address, Options{Conns: 20})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSuite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t testing.TB, _ *spec.App) driver.Engine { return openAt(t, mongotest.Database(t)) },
		drivertest.Known{
			"lifecycle/a backup beside writers": "mongodump is the tool",
			"tx/a snapshot stays what it was":   "without transactions each question has its own moment",

			"concurrency/a locked row is counted up without loss": "FerretDB 1 reads a document and writes it in two steps: the condition of an update is not atomic there",
			"concurrency/stock is not oversold":                   "the same",
		})
}
