package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
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
	judged := described(t)
	for w := range 8 {
		writers.Go(func() { l.writing(judged, s.url, fmt.Sprintf("w%d", w), &stop) })
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
	left, _ := filepath.Glob(filepath.Join(dir, "data", "*.restore"))
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
	refusedOn(t, "", words, args...)
}

// refusedOn is refused on a database; "" is the app's own.
func refusedOn(t *testing.T, db, words string, args ...string) {
	t.Helper()
	cmd := exec.Command(plinth, args...)
	cmd.Env = environ("PLINTH_DB=" + db)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), words) {
		t.Fatalf("plinth %s: %v, %q, want %q", strings.Join(args, " "), err, out, words)
	}
}

// Another database has uploads of its own: to restore it does nothing to those in the app's folder, which a server
// is using, and it finds its own where it is.
func TestRestoreElsewhere(t *testing.T) {
	t.Parallel()
	dir, away := folder(t, papersApp), t.TempDir()
	s := serving(t, dir)
	a := s.keep(t, "a")
	first := filepath.Join(away, "first.plinth")
	run(t, "backup", dir, first)
	b := s.keep(t, "b")
	db := "sqlite:" + filepath.Join(away, "other.db")
	run(t, "restore", first, dir, "--db", db)
	s.kept(t, a, "a")
	s.kept(t, b, "b")

	other := serving(t, "--db", db, dir)
	other.kept(t, a, "a")
	c := other.keep(t, "c")
	second := filepath.Join(away, "second.plinth")
	if got := run(t, "backup", dir, second, "--db", db, "--json"); !strings.Contains(got, `"files":2`) {
		t.Errorf("the backup of the other one: %s", got)
	}
	refused(t, "in use", "restore", second, dir, "--allow-loss")
	refused(t, "in use", "restore", second, dir, "--db", db, "--allow-loss")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	run(t, "restore", second, dir, "--allow-loss")
	again := serving(t, dir)
	again.kept(t, a, "a")
	again.kept(t, c, "c")
	if status, body, err := ask(described(t), "GET", again.url+b, "", ""); err != nil || status != http.StatusNotFound {
		t.Errorf("b is in no backup: %d %s %v", status, body, err)
	}
}

const papersApp = `
collections:
  papers:
    fields: {one: {type: file}}
    access: {read: true, create: true}
`

// keep makes a record with an upload and returns the upload's path.
func (s *server) keep(t *testing.T, text string) string {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	err := w.WriteField("record", "{}")
	part, failed := w.CreateFormFile("one", text+".txt")
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(part, text)
	w.Close()
	resp, err := described(t).Post(s.url+"/api/papers", w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ One struct{ URL string } }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return made.One.URL
}

// kept reads an upload.
func (s *server) kept(t *testing.T, path, text string) {
	t.Helper()
	status, b, err := ask(described(t), "GET", s.url+path, "", "")
	if err != nil || status != http.StatusOK || string(b) != text {
		t.Errorf("the upload %s: %d %q %v", text, status, b, err)
	}
}

// A restore that is killed leaves all of the old or all of the new, when the database is opened next.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		missing(t, "strace is not installed")
		return
	}
	with := func(text string) (dir, path string) {
		dir = folder(t, papersApp)
		s := serving(t, dir)
		path = s.keep(t, text)
		s.kill() // the log stays beside the database
		return dir, path
	}
	source, newer := with("new")
	file := filepath.Join(t.TempDir(), "new.plinth")
	run(t, "backup", source, file)
	kept, older := with("old")
	const calls = "rename,renameat,renameat2,unlink,unlinkat"
	seen := map[string]int{}
	for n, over := 1, false; !over; n++ {
		dir := copied(t, kept, papersApp)
		cmd := exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n),
			plinth, "restore", "--allow-loss", file, dir)
		cmd.Env = environ("GOMAXPROCS=1") // strace counts the calls of each thread
		over = cmd.Run() == nil
		s := serving(t, dir)
		status, _, err := ask(described(t), "GET", s.url+older, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusOK {
			seen["old"]++
			s.kept(t, older, "old")
		} else {
			seen["new"]++
			s.kept(t, newer, "new")
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "data", "*.restore")); len(left) > 0 {
			t.Errorf("killed at %d: left behind: %s", n, left)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
	if seen["old"] == 0 || seen["new"] < 5 {
		t.Errorf("%v: the test proves little", seen)
	}
	t.Log(seen)
}
