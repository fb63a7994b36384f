package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A backup that is taken while writers are at work holds every write that was answered before it began,
// no half of a pair, and a flipped bit in it is found before anything is replaced.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := folder(t, crashApp)
	s := serving(t, dir)
	l := &log{ok: map[string]string{}, failed: map[string]bool{}, unknown: map[string]bool{}}
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() { l.writing(s.url, fmt.Sprintf("w%d", w), &stop) })
	}
	l.until(500)
	l.mu.Lock()
	before := make([]string, 0, len(l.ok))
	for mark := range l.ok {
		before = append(before, mark)
	}
	l.mu.Unlock()
	file := filepath.Join(t.TempDir(), "one.plinth")
	run(t, "backup", dir, file)
	atEnd := l.answered()
	stop.Store(true)
	writers.Wait()
	if atEnd == len(before) {
		t.Error("nothing was written while the backup was taken: the test proves little")
	}

	refused(t, "in use", "restore", "--allow-loss", file, dir)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	refused(t, "--allow-loss", "restore", file, dir)
	flipped(t, file, dir)

	run(t, "restore", "--allow-loss", file, dir)
	there := marksOf(t, dir)
	for _, mark := range before {
		if there[mark] == "" {
			t.Errorf("%s was answered before the backup and is not in it", mark)
		}
	}
	for mark, half := range there {
		if half != "none" && there[half] == "" {
			t.Errorf("%s is in the backup without %s", mark, half)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "data", ".restore-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

// flipped restores copies of a backup that are damaged in one bit or cut off: each is refused, and the
// database stays as it was.
func flipped(t *testing.T, file, dir string) {
	t.Helper()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(filepath.Join(dir, "data", "plinth.db"))
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndex(good, []byte("  database\n")) // what follows is the padding of the archive
	bad := filepath.Join(t.TempDir(), "bad.plinth")
	for i := range 40 {
		b := bytes.Clone(good)
		at := 512 + i*(end-512)/40
		b[at] ^= 1 << (i % 8)
		if i%10 == 9 {
			b = b[:at]
		}
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(plinth, "restore", "--allow-loss", bad, dir)
		cmd.Env = environ()
		if out, err := cmd.CombinedOutput(); err == nil {
			// The padding between parts and the dates of their headers are no data.
			if !harmless(good, at) {
				t.Errorf("a flipped bit at %d of %d was not found: %s", at, len(b), out)
			}
			was, _ = os.ReadFile(filepath.Join(dir, "data", "plinth.db"))
		}
		if now, _ := os.ReadFile(filepath.Join(dir, "data", "plinth.db")); !bytes.Equal(now, was) {
			t.Fatalf("a damaged backup changed the database")
		}
	}
}

// harmless says whether a byte of a tar file is padding.
func harmless(b []byte, at int) bool {
	block := b[at/512*512 : at/512*512+512]
	return len(bytes.TrimRight(block[at%512:], "\x00")) == 0
}

func marksOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	s := serving(t, dir)
	there, client := map[string]string{}, described(t)
	for cursor := ""; ; {
		_, b, err := ask(client, "GET", s.url+"/api/marks?limit=500&cursor="+cursor, "", "")
		var page struct {
			Items []struct{ Mark, Half string }
			Next  string
		}
		if err != nil || json.Unmarshal(b, &page) != nil {
			t.Fatalf("%v %s", err, b)
		}
		for _, r := range page.Items {
			there[r.Mark] = r.Half
		}
		if cursor = page.Next; cursor == "" {
			return there
		}
	}
}

// refused runs plinth, which must fail with these words.
func refused(t *testing.T, words string, args ...string) {
	t.Helper()
	cmd := exec.Command(plinth, args...)
	cmd.Env = environ()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), words) {
		t.Fatalf("plinth %s: %v, %q, want %q", strings.Join(args, " "), err, out, words)
	}
}
