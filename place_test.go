package plinth

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNoFolder: a database is not made where its folder is not.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, fine := range map[string]bool{"x.db": true, "data/plinth.db": true, "none/x.db": false, "new/data/plinth.db": true, "data/x.db": true} {
		if name == "data/x.db" {
			if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		f, err := place{file: filepath.Join(dir, name)}.lock()
		if (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("it was made")
	}
}
