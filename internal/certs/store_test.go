package certs_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/mongo"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/internal/certs"
)

func TestMain(m *testing.M) {
	code := m.Run()
	mongotest.Stop()
	os.Exit(code)
}

// What certmagic keeps is kept on every sort of engine: with transactions and without. The file of a database has no key in clear.
func TestStore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plinth.db")
	for name, open := range map[string]func(t *testing.T) (driver.Engine, error){
		"memory": func(*testing.T) (driver.Engine, error) { return memory.Open(), nil },
		"sqlite": func(*testing.T) (driver.Engine, error) { return sqlite.Open(file, sqlite.Options{}) },
		"alone": func(t *testing.T) (driver.Engine, error) {
			return mongo.Open(t.Context(), mongotest.Alone(t), mongo.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eng, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			db := openOn(t, readApp(t, "server: {domains: [app.example.com]}\n"), eng)
			t.Cleanup(func() { _ = db.Close() })
			s := certs.NewStore(func() *data.DB { return db }, slog.New(slog.DiscardHandler))
			ctx := t.Context()
			if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
			secret := []byte("the secret \x00\xff of this test")
			for key, value := range map[string][]byte{"a/b/c.key": secret, "a/b/d.crt": []byte("x"), "a/e.json": []byte("{}"), "ab/f": []byte("y")} {
				if err := s.Store(ctx, key, []byte("old")); err != nil {
					t.Fatal(err)
				}
				if err := s.Store(ctx, key, value); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.Load(ctx, "a/b/c.key"); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("%q %v", got, err)
			}
			for _, c := range []struct {
				at        string
				recursive bool
				want      string
			}{{"a", true, "a/b/c.key a/b/d.crt a/e.json"}, {"a", false, "a/b a/e.json"}, {"a/b", false, "a/b/c.key a/b/d.crt"}} {
				got, err := s.List(ctx, c.at, c.recursive)
				if slices.Sort(got); err != nil || strings.Join(got, " ") != c.want {
					t.Errorf("%s %t: %v %v", c.at, c.recursive, got, err)
				}
			}
			if info, err := s.Stat(ctx, "a/b/c.key"); err != nil || !info.IsTerminal || info.Size != int64(len(secret)) || time.Since(info.Modified) > time.Minute {
				t.Errorf("%+v %v", info, err)
			}
			if info, err := s.Stat(ctx, "a/b"); err != nil || info.IsTerminal {
				t.Errorf("%+v %v", info, err)
			}
			if err := errors.Join(s.Delete(ctx, "a/b"), s.Delete(ctx, "a/b")); err != nil || s.Exists(ctx, "a/b") || s.Exists(ctx, "a/b/c.key") || !s.Exists(ctx, "ab/f") || !s.Exists(ctx, "a") {
				t.Errorf("delete: %v", err)
			}
			locking(t, db)
			if name == "sqlite" {
				clear(t, file)
			}
		})
	}
}

// clear checks that the file of a database does not show what is kept.
func clear(t *testing.T, file string) {
	t.Helper()
	found := false
	for _, name := range []string{file, file + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		found = found || bytes.Contains(b, []byte("a/e.json"))
		if bytes.Contains(b, []byte("the secret ")) || bytes.Contains(b, []byte("dGhlIHNlY3JldC")) {
			t.Errorf("%s has it in clear", name)
		}
	}
	if !found {
		t.Error("the test looks at the wrong file")
	}
}

// locking has several processes, or goroutines of one, take one lock: one has it at a time, and each gets it.
func locking(t *testing.T, db *data.DB) {
	t.Helper()
	var all sync.WaitGroup
	var inside, times atomic.Int32
	for range 2 {
		s := certs.NewStore(func() *data.DB { return db }, slog.New(slog.DiscardHandler))
		for range 2 {
			all.Go(func() {
				if err := s.Lock(t.Context(), "issue_app.example.com"); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two have the lock")
				}
				times.Add(1)
				if ok, err := s.TryLock(t.Context(), "issue_app.example.com"); ok || err != nil {
					t.Errorf("it is taken twice: %t %v", ok, err)
				}
				inside.Add(-1)
				if err := s.Unlock(context.WithoutCancel(t.Context()), "issue_app.example.com"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if times.Load() != 4 {
		t.Errorf("%d of 4 had the lock", times.Load())
	}
}
