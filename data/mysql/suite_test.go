package mysql_test

import (
	"context"
	"os"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/spec"
)

func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }

func TestSuite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t testing.TB, _ *spec.App) driver.Engine {
		eng, err := mysql.Open(context.Background(), mysqltest.Database(t), mysql.Options{Conns: 20})
		if err != nil {
			t.Fatal(err)
		}
		return eng
	}, drivertest.Known{"lifecycle/a backup beside writers": "mariadb-dump is the tool"})
}

// TestOneByOne: where the server takes no compound statements, as MySQL's does not, one comes after the other.
func TestOneByOne(t *testing.T) {
	t.Parallel()
	drivertest.RunTopics(t, func(t testing.TB, _ *spec.App) driver.Engine {
		eng, err := mysql.Open(context.Background(), mysqltest.Database(t), mysql.Options{Conns: 20})
		if err != nil {
			t.Fatal(err)
		}
		eng.OneByOne()
		return eng
	}, "inserts", "updates", "unique", "refs", "lists", "tx", "changes", "concurrency", "jobs")
}
