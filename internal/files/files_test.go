package files

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

var _ data.Blobs = (*Disk)(nil)

func disk(t *testing.T) *Disk {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "uploads"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Disk) keys(t *testing.T, than time.Time) (keys []string) {
	t.Helper()
	if err := d.Older(t.Context(), than, func(key string) error { keys = append(keys, key); return nil }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	d, ctx := disk(t), t.Context()
	key, size, err := d.Put(ctx, strings.NewReader("hello"), 5)
	if err != nil || size != 5 {
		t.Fatal(size, err)
	}
	f, err := d.Open(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, _ := io.ReadAll(f); string(b) != "hello" {
		t.Errorf("%q", b)
	}
	if _, err := f.Seek(1, io.SeekStart); err != nil {
		t.Error(err)
	}
	if b, _ := io.ReadAll(f); string(b) != "ello" {
		t.Errorf("%q", b)
	}
	if err := d.Delete(ctx, key); err != nil {
		t.Error(err)
	}
	if _, err := d.Open(ctx, key); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if err := d.Delete(ctx, key); err != nil {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestNobodyElseReads(t *testing.T) {
	t.Parallel()
	d := disk(t)
	if _, _, err := d.Put(t.Context(), strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPutLeavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	d := disk(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		want func(error) bool
	}{
		"too large": {t.Context(), strings.NewReader("hello!"), func(err error) bool { return fault.Is(err, fault.TooLarge) }},
		"broken":    {t.Context(), io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)), func(err error) bool { return errors.Is(err, broken) }},
		"no longer there": {t.Context(), readFunc(func([]byte) (int, error) { return 0, cmp.Or(os.RemoveAll(filepath.Join(d.dir, unwritten)), io.EOF) }),
			func(err error) bool { return fault.Is(err, fault.Internal) }}, // ours: whoever sends a file has not asked for one
		"cancelled": {cancelled, strings.NewReader("x"), func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		if key, _, err := d.Put(c.ctx, c.r, 5); !c.want(err) || key != "" {
			t.Errorf("%s: %q %v", name, key, err)
		}
	}
	err := filepath.WalkDir(d.dir, func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("%s is left", entry.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func TestKeysAreNoPaths(t *testing.T) {
	t.Parallel()
	d := disk(t)
	secret := filepath.Join(filepath.Dir(d.dir), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", ".", "../secret", "../../etc/passwd", strings.Repeat("a", 25), strings.Repeat("A", 26), strings.Repeat("a", 25) + "/", "aa/../../../../../secretaaa"} {
		if _, err := d.Open(t.Context(), key); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", key, err)
		}
		if err := d.Delete(t.Context(), key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	d, ctx := disk(t), t.Context()
	old, _, err := d.Put(ctx, strings.NewReader("old"), 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Put(ctx, strings.NewReader("young"), 9); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	half := filepath.Join(d.dir, unwritten, newKey())
	for _, name := range []string{half, filepath.Join(d.dir, "README")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(d.path(old), past, past); err != nil {
		t.Fatal(err)
	}
	if keys := d.keys(t, time.Now().Add(-time.Minute)); len(keys) != 1 || keys[0] != old {
		t.Errorf("%v", keys)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the half-written file is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "README")); err != nil {
		t.Errorf("what is not ours was touched: %v", err)
	}
	if keys := d.keys(t, time.Now().Add(time.Minute)); len(keys) != 2 {
		t.Errorf("%v", keys)
	}
	stop := errors.New("stop")
	if err := d.Older(ctx, time.Now().Add(time.Minute), func(string) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	d := disk(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			key, _, err := d.Put(context.Background(), strings.NewReader("x"), 1)
			if err != nil {
				t.Error(err)
				return
			}
			f, err := d.Open(context.Background(), key)
			if err != nil {
				t.Error(err)
				return
			}
			f.Close()
		})
	}
	wg.Wait()
	if keys := d.keys(t, time.Now().Add(time.Minute)); len(keys) != 20 {
		t.Errorf("%d files", len(keys))
	}
}
