package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/spec"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t testing.TB, _ *spec.App) driver.Engine {
		eng, err := sqlite.Open(filepath.Join(t.TempDir(), "test.db"), sqlite.Options{Readers: 2})
		if err != nil {
			t.Fatal(err)
		}
		return eng
	})
}
