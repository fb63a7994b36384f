package plinth_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// An embedder backs up and restores by the same two functions as the command line; the copy of the database
// goes nowhere but to the backup.
func TestBackupRestore(t *testing.T) {
	dir, key := folder(t, notes), env(strings.Repeat("k", 32))
	elsewhere := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(elsewhere, "not there"))
	at := func(dir string) plinth.Option {
		return plinth.OnFile(filepath.Join(dir, "data", "plinth.db"), opened)
	}
	p, err := plinth.Open(t.Context(), dir, at(dir), key)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	body := doc.NewObject()
	body.Set("text", doc.NewString("kept"))
	if _, err := p.DB().Create(t.Context(), data.System, "notes", body, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(elsewhere, "one.plinth")
	if _, err := plinth.Backup(t.Context(), dir, file, nil, at(dir), key); err != nil {
		t.Fatal(err)
	}
	if _, err := plinth.Backup(t.Context(), dir, file, nil, at(dir), key); !fault.Is(err, fault.Conflict) {
		t.Errorf("written over another: %v", err)
	}
	other := folder(t, notes)
	restore := func(o plinth.RestoreOptions) error {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		about, err := plinth.Restore(t.Context(), f, other, o, plinth.OnFile("", opened))
		if err == nil && about.Engine != "sqlite" {
			t.Errorf("%+v", about)
		}
		return err
	}
	if err := restore(plinth.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := restore(plinth.RestoreOptions{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("restored over another: %v", err)
	}
	if err := restore(plinth.RestoreOptions{AllowLoss: true}); err != nil {
		t.Error(err)
	}
	again, err := plinth.Open(t.Context(), other, at(other), key)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	list, _, err := again.DB().Records(t.Context(), data.System, &data.ListQuery{Collection: "notes"})
	if err != nil || len(list) != 1 {
		t.Errorf("%d records, %v", len(list), err)
	}
	left, _ := filepath.Glob(filepath.Join(elsewhere, ".*backup-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

func opened(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) }
