package plinth

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// desk is an app whose database and uploads are tested as one thing.
type desk struct {
	t    testing.TB
	dir  string
	opts []Option
}

func newDesk(t testing.TB, file string) *desk {
	t.Helper()
	dir := t.TempDir()
	app := "collections: {papers: {fields: {one: {type: file}}}}"
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	return &desk{t, dir, []Option{OnFile(file, openFile), WithKey(make([]byte, 32))}}
}

func openFile(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) }

func (d *desk) place() place {
	o := choose(d.opts)
	return o.place(d.dir)
}

// link makes the folder of uploads a link to another one.
func (d *desk) link(uploads string) {
	d.t.Helper()
	data := filepath.Join(d.dir, "data")
	if err := errors.Join(os.Mkdir(uploads, 0o700), os.Mkdir(data, 0o700), os.Symlink(uploads, filepath.Join(data, "files"))); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) open() *Plinth {
	d.t.Helper()
	p, err := Open(d.t.Context(), d.dir, d.opts...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { p.Close() })
	return p
}

// upload makes a record with an upload and returns the key of its file.
func upload(t testing.TB, p *Plinth, text string) string {
	t.Helper()
	key, size, err := p.files.Put(t.Context(), strings.NewReader(text), 100)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.DB().Create(t.Context(), data.System, "papers", doc.NewObject(), data.WriteOptions{Uploads: map[string][]data.Upload{
		"one": {{Name: "a.txt", Type: "text/plain", Blob: key, Size: size}}}})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// with makes a record with an upload and closes the app.
func (d *desk) with(text string) {
	d.t.Helper()
	p := d.open()
	upload(d.t, p, text)
	if err := p.Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) backup() string {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "one.plinth")
	if _, err := Backup(d.t.Context(), d.dir, file, nil, d.opts...); err != nil {
		d.t.Fatal(err)
	}
	return file
}

func (d *desk) restore(file string, r RestoreOptions) (About, error) {
	d.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	return Restore(d.t.Context(), f, d.dir, r, d.opts...)
}

// papers are the uploads that the records name, each read.
func (d *desk) papers() string {
	d.t.Helper()
	p := d.open()
	defer p.Close()
	var keys, texts []string
	if err := p.DB().BlobsInUse(d.t.Context(), func(key string) { keys = append(keys, key) }); err != nil {
		d.t.Fatal(err)
	}
	for _, key := range keys {
		f, err := p.files.Open(d.t.Context(), key)
		if err != nil {
			texts = append(texts, "missing")
			continue
		}
		b, _ := io.ReadAll(f)
		f.Close()
		texts = append(texts, string(b))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// want looks at what there is, and that nothing else was left beside it.
func (d *desk) want(papers string) {
	d.t.Helper()
	if got := d.papers(); got != papers {
		d.t.Errorf("the papers are %q, want %q", got, papers)
	}
	at := d.place()
	for _, name := range []string{at.next(), at.nextUploads()} {
		if there(name) {
			d.t.Errorf("left behind: %s", name)
		}
	}
	n := 0
	_ = filepath.WalkDir(at.uploads, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return nil
	})
	if n != len(strings.Fields(papers)) {
		d.t.Errorf("%d uploads are there", n)
	}
}

// A restore that is killed at any of its moments is undone or finished by whoever opens the database next.
func TestRestoreCutOff(t *testing.T) {
	t.Parallel()
	from := newDesk(t, "")
	from.with("new")
	file := from.backup()
	begin := func(t *testing.T, uploads string) (*desk, place) {
		d := newDesk(t, "")
		if uploads != "" {
			d.link(uploads)
		}
		d.with("old")
		at := d.place()
		if err := os.WriteFile(at.file+"-wal", []byte("of the old one"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := at.unpack(t.Context(), f, nil); err != nil {
			t.Fatal(err)
		}
		return d, at
	}
	t.Run("before it is whole", func(t *testing.T) {
		d, at := begin(t, "")
		os.Remove(at.file + "-wal")
		d.want("old")
	})
	const moments = 4 // the uploads aside, the new ones, the log aside, the database
	for i := range 2 * (moments + 1) {
		n, uploads := i/2, ""
		if i%2 == 1 {
			uploads = filepath.Join(t.TempDir(), "away")
		}
		t.Run(fmt.Sprintf("%d moves, linked %t", n, uploads != ""), func(t *testing.T) {
			d, at := begin(t, uploads)
			if err := at.commit(); err != nil {
				t.Fatal(err)
			}
			moves := at.moves()
			if len(moves) != moments {
				t.Fatalf("%d moves: %v", len(moves), moves)
			}
			for _, m := range moves[:n] {
				if err := os.Rename(m.from, m.to); err != nil {
					t.Fatal(err)
				}
				if !there(at.file) {
					t.Error("there is no database at all")
				}
			}
			d.want("new")
		})
	}
}

// What cannot be replaced stays as it was, all of it.
func TestRestoreUndone(t *testing.T) {
	t.Parallel()
	from := newDesk(t, "")
	from.with("new")
	d := newDesk(t, "")
	d.with("old")
	at := d.place()
	kept := at.file + ".kept"
	if err := errors.Join(os.Rename(at.file, kept), os.MkdirAll(filepath.Join(at.file, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.restore(from.backup(), RestoreOptions{AllowLoss: true}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "is as it was") {
		t.Errorf("over a folder: %v", err)
	}
	if err := errors.Join(os.RemoveAll(at.file), os.Rename(kept, at.file)); err != nil {
		t.Fatal(err)
	}
	d.want("old")
}

// elsewhere is a folder on another file system than those of a test; "" where none is found.
func elsewhere(t *testing.T) string {
	for _, at := range []string{"/dev/shm", "/tmp", "/var/tmp"} {
		dir, err := os.MkdirTemp(at, "plinth-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		file := filepath.Join(t.TempDir(), "file")
		if os.WriteFile(file, nil, 0o600) == nil && errors.Is(os.Rename(file, filepath.Join(dir, "file")), syscall.EXDEV) {
			return dir
		}
	}
	return ""
}

// The database and the uploads may be on file systems of their own.
func TestRestoreAcrossFileSystems(t *testing.T) {
	t.Parallel()
	other := elsewhere(t)
	if other == "" {
		if os.Getenv("PLINTH_TEST_ALL") == "1" {
			t.Fatal("there is no second file system")
		}
		t.Log("LEFT OUT: there is no second file system")
		return
	}
	from := newDesk(t, "")
	from.with("new")
	file := from.backup()
	t.Run("the database", func(t *testing.T) {
		d := newDesk(t, filepath.Join(other, "desk.db"))
		d.with("old")
		if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); err != nil {
			t.Error(err)
		}
		d.want("new")
	})
	t.Run("the uploads, by a link", func(t *testing.T) {
		d := newDesk(t, "")
		away := filepath.Join(other, "files")
		d.link(away)
		d.with("old")
		if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); err != nil {
			t.Error(err)
		}
		d.want("new")
		if at := d.place(); at.uploads != away {
			t.Errorf("the link was replaced: %s", at.uploads)
		}
	})
}

// An upload is data: it is not lost unless that is allowed, and an open database is not replaced at all.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	d.with("new")
	file := d.backup()
	if err := os.Remove(d.place().file); err != nil {
		t.Fatal(err)
	}
	if _, err := d.restore(file, RestoreOptions{}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "uploads already") {
		t.Errorf("over uploads: %v", err)
	}
	if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); err != nil {
		t.Error(err)
	}
	p := d.open()
	if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("under an open app: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	d.want("new")
	d.opts = append(d.opts, On(func(context.Context) (*sqlite.Engine, error) { return openFile(d.place().file) }))
	if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); !fault.Is(err, fault.Capability) {
		t.Errorf("to no file: %v", err)
	}
}

// verified is an engine that looks its whole database through.
type verified struct {
	*sqlite.Engine
	found error
}

func (v verified) Verify(context.Context) error { return v.found }

// The restored database is looked through as a whole, however large it is.
func TestRestoreVerifies(t *testing.T) {
	t.Parallel()
	from := newDesk(t, "")
	from.with("new")
	d := newDesk(t, "")
	d.with("old")
	found := fault.New(fault.Internal, "a page is damaged")
	file := from.backup()
	d.opts = append(d.opts, OnFile("", func(file string) (verified, error) {
		eng, err := openFile(file)
		return verified{eng, found}, err
	}))
	if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); !errors.Is(err, found) {
		t.Error(err)
	}
	d.want("old")
}

// counting says how much was read.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Of sums that are longer than those of the parts no more is read than it takes to see that.
func TestRestoreEndlessSums(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	var head strings.Builder
	w := tar.NewWriter(&head)
	about := `{"format":1,"engine":"sqlite"}`
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: entryAbout, Mode: 0o600, Size: int64(len(about))}),
		func() error { _, err := w.Write([]byte(about)); return err }(),
		w.Flush(),
		w.WriteHeader(&tar.Header{Name: entrySums, Mode: 0o600, Size: 256 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	from := &counting{r: io.MultiReader(strings.NewReader(head.String()), io.LimitReader(zeros{}, 256<<20))}
	if _, err := Restore(t.Context(), from, d.dir, RestoreOptions{}, d.opts...); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if from.n > 1<<20 {
		t.Errorf("%d bytes were read", from.n)
	}
}

// late is an engine before whose copy something happens.
type late struct {
	*sqlite.Engine
	before func()
}

func (l late) Backup(ctx context.Context, w io.Writer, progress func(done, total int)) error {
	l.before()
	return l.Engine.Backup(ctx, w, progress)
}

// Every upload that the database of a backup names is in the backup.
func TestBackupHoldsWhatItNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	p := d.open()
	file := filepath.Join(t.TempDir(), "one.plinth")
	about, err := Backup(t.Context(), d.dir, file, nil, append(d.opts, OnFile("", func(file string) (late, error) {
		eng, err := openFile(file)
		return late{eng, func() { upload(t, p, "late") }}, err
	}))...)
	if err != nil {
		t.Fatal(err)
	}
	other := newDesk(t, "")
	restored, err := other.restore(file, RestoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other.want("late")
	if about.Files != 1 || restored.Files != 1 {
		t.Errorf("%d uploads in, %d out", about.Files, restored.Files)
	}
}

// What killed runs left goes when nobody has written to it for a day, and nothing else does.
func TestAged(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	d.with("one")
	data, backups := filepath.Dir(d.place().file), t.TempDir()
	put := func(folder, name string, age time.Duration) string {
		t.Helper()
		name = filepath.Join(folder, name)
		then := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(name, []byte("x"), 0o600), os.Chtimes(name, then, then)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const old, young = 25 * time.Hour, 23 * time.Hour
	gone := []string{put(data, ".backup-123", old), put(data, ".backup-123-wal", old), put(backups, ".plinth-backup-77", old)}
	kept := []string{put(data, ".backup-124", young), put(data, ".backup-mine", old), put(data, "backup-1", old),
		put(backups, ".plinth-backup-78", young), put(backups, ".backup-9", old), put(backups, "monday.plinth", old)}
	if _, err := Backup(t.Context(), d.dir, filepath.Join(backups, "one.plinth"), nil, d.opts...); err != nil {
		t.Fatal(err)
	}
	for _, name := range gone {
		if there(name) {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range kept {
		if !there(name) {
			t.Errorf("%s was removed", name)
		}
	}
}

// Another database has uploads of its own, beside it, whatever folder the app is in.
func TestPlace(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]place{
		"":                         {"/app/data/plinth.db", "/app/data/files"},
		"/srv/data/plinth.db":      {"/srv/data/plinth.db", "/srv/data/files"},
		"/srv/plinth.db":           {"/srv/plinth.db", "/srv/plinth.db-files"},
		"/srv/mydata/plinth.db":    {"/srv/mydata/plinth.db", "/srv/mydata/plinth.db-files"},
		"/srv/data/other.db":       {"/srv/data/other.db", "/srv/data/other.db-files"},
		"/srv/data/data/plinth.db": {"/srv/data/data/plinth.db", "/srv/data/data/files"},
	} {
		o := choose([]Option{OnFile(file, openFile)})
		if got := o.place("/app"); got != want {
			t.Errorf("%q: %v, want %v", file, got, want)
		}
	}
}

// What was committed after a backup had positions in the log that other changes have when the backup is restored: whoever
// listened then is told to begin anew.
func TestRestoredLogIsAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	head := func(writes int) data.Position {
		t.Helper()
		p := d.open()
		for range writes {
			upload(t, p, "x")
		}
		at, err := p.DB().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		return at
	}
	head(1)
	file := d.backup()
	before := head(1)
	if _, err := d.restore(file, RestoreOptions{AllowLoss: true}); err != nil {
		t.Fatal(err)
	}
	if after := head(1); after.Number != before.Number || after.Epoch == before.Epoch {
		t.Fatalf("the log is at %v, and was at %v", after, before)
	}
	p := d.open()
	var old *data.TooOld
	if _, _, err := p.DB().Changes(t.Context(), before); !errors.As(err, &old) {
		t.Errorf("behind a position of the log that is gone: %v", err)
	}
}
