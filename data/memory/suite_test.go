package memory_test

import (
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/spec"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(testing.TB, *spec.App) driver.Engine { return memory.Open() })
}
