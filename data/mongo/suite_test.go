package mongo

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/spec"
)

var update = flag.Bool("update", false, "write anew what servers without transactions are known to refuse")

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

// TestSuite runs the suite on a server: FerretDB 1, or the one at PLINTH_TEST_MONGO_URL, which may refuse what it
// lacks. Of FerretDB 1 it is known what that is.
func TestSuite(t *testing.T) {
	t.Parallel()
	open := func(t testing.TB, _ *spec.App) driver.Engine { return openAt(t, mongotest.Database(t)) }
	known := drivertest.Known{"lifecycle/a backup beside writers": "mongodump is the tool"}
	if mongotest.Given() {
		e := openAt(t, mongotest.Database(t))
		if !e.Caps().Transactions {
			known["tx/a snapshot stays what it was"] = "without transactions each question has its own moment"
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		drivertest.Run(t, open, known)
		return
	}
	known["tx/a snapshot stays what it was"] = "without transactions each question has its own moment"
	lacking(t, "ferretdb.refused", open, known)
}

// lacking runs the suite on a server of which it is known what it refuses: the cases in a file of testdata.
func lacking(t *testing.T, name string, open drivertest.Open, known drivertest.Known) {
	file := filepath.Join("testdata", name)
	if !*update {
		drivertest.RunLacking(t, open, refusals(t, file), nil, known)
		return
	}
	var mu sync.Mutex
	seen := map[string]string{}
	t.Cleanup(func() {
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(seen)) {
			lines = append(lines, name+"\t"+seen[name]+"\n")
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Error(err)
		}
	})
	drivertest.RunLacking(t, open, nil, func(name, lacks string) {
		mu.Lock()
		defer mu.Unlock()
		seen[name] = lacks
	}, known)
}

// refusals reads a line for each case: its name, a tab, what is lacking.
func refusals(t *testing.T, file string) drivertest.Refusals {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := drivertest.Refusals{}
	for line := range strings.Lines(string(text)) {
		name, lacks, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			t.Fatalf("%s: %q has no tab", file, line)
		}
		all[name] = lacks
	}
	return all
}
