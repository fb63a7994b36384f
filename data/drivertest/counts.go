package drivertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Counts are added to the folder that PLINTH_TEST_COUNTS names, in a file for each engine: a line for each
// topic, with how many cases passed and how many were refused, and one for each case that is known to fail.
// TestTable makes docs/conformance.md of them.
type counts struct {
	mu    sync.Mutex
	lines strings.Builder
}

// counting adds to the file when the suite has ended without a failure. An engine is named for the folder of
// its package and for what TestSuite has behind its name.
func counting(t *testing.T) *counts {
	c := &counts{}
	dir := os.Getenv("PLINTH_TEST_COUNTS")
	if dir == "" {
		return c
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(here) + strings.TrimPrefix(t.Name(), "TestSuite")
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = f.WriteString(c.lines.String())
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *counts) topic(name string, passed, refused int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.lines, "topic\t%s\t%d\t%d\n", name, passed, refused)
}

func (c *counts) known(name, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.lines, "known\t%s\t%s\n", name, reason)
}
