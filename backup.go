package plinth

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A backup is a tar file:
//
//	backup.json     what it is
//	database        the engine's own copy, consistent in itself
//	files/...       uploads
//	sums            SHA-256 of each of the above, one line each, and last of those lines
//
// The key is not in it: whoever finds a backup cannot read what is encrypted. It is kept apart.
const (
	backupFormat = 1
	entryAbout   = "backup.json"
	entryData    = "database"
	entryFiles   = "files/"
	entrySums    = "sums"
)

// About is what a backup says of itself.
type About struct {
	Format  int       `json:"format"`
	App     string    `json:"app"`
	Engine  string    `json:"engine"`
	Made    time.Time `json:"made"`
	Version string    `json:"version"` // of Plinth
	Files   int       `json:"files"`
}

// Backup writes a backup of an app's database and uploads into a new file, while they are in use. The file
// is there whole or not at all, and never written over another (Conflict). The database is as it was at one
// moment; an upload that was deleted since may be missing. progress may be nil.
func Backup(ctx context.Context, dir, file string, progress func(done, total int, text string), opts ...Option) (About, error) {
	var about About
	if progress == nil {
		progress = func(int, int, string) {}
	}
	o := choose(opts)
	app, err := load(dir, &o)
	if err != nil {
		return about, err
	}
	eng, err := engine(&o)
	if err != nil {
		return about, err
	}
	defer eng.Close()
	f, err := os.CreateTemp(filepath.Dir(file), ".backup-*")
	if err != nil {
		return about, unwritten(err)
	}
	defer os.Remove(f.Name())
	b := &backup{f: f, w: tar.NewWriter(f), now: o.clock().UTC()}
	about, err = b.write(ctx, dir, app, eng, progress)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Link(f.Name(), file)
	}
	if errors.Is(err, fs.ErrExist) {
		return about, fault.New(fault.Conflict, "%s is there already: nothing was written", file)
	}
	if err != nil {
		return about, unwritten(err)
	}
	return about, nil
}

// unwritten gives errors of the place a backup is written to a kind.
func unwritten(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return &fault.Error{Kind: fault.Unavailable, Msg: "the backup cannot be written: " + err.Error(), Err: err}
}

// backup is one that is being written.
type backup struct {
	f    *os.File
	w    *tar.Writer // to f
	now  time.Time
	sums []string
}

func (b *backup) write(ctx context.Context, dir string, app *spec.App, eng driver.Engine, progress func(int, int, string)) (About, error) {
	about := About{Format: backupFormat, App: app.Name, Engine: eng.Name(), Made: b.now, Version: Version()}
	uploads, err := uploaded(filepath.Join(dir, "data", "files"))
	if err != nil {
		return about, err
	}
	about.Files = len(uploads)
	text, err := json.Marshal(about)
	if err != nil {
		return about, err
	}
	if err := b.entry(entryAbout, int64(len(text)), strings.NewReader(string(text))); err != nil {
		return about, err
	}
	if err := b.database(ctx, eng, progress); err != nil {
		return about, err
	}
	for i, name := range uploads {
		if err := ctx.Err(); err != nil {
			return about, err
		}
		if err := b.file(filepath.Join(dir, "data", "files"), name); err != nil {
			return about, err
		}
		progress(i+1, len(uploads), "files")
	}
	sums := strings.Join(b.sums, "\n") + "\n"
	if err := b.entry(entrySums, int64(len(sums)), strings.NewReader(sums)); err != nil {
		return about, err
	}
	return about, b.w.Close()
}

const block = 512 // of a tar file

// database writes the engine's copy straight to its place. A tar says the size first, which is not known
// before: the header, one block, is filled in when it is.
func (b *backup) database(ctx context.Context, eng driver.Engine, progress func(int, int, string)) error {
	if err := b.w.Flush(); err != nil {
		return err
	}
	start, err := b.f.Seek(block, io.SeekCurrent)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := eng.Backup(ctx, io.MultiWriter(b.f, sum), func(done, total int) { progress(done, total, "database") }); err != nil {
		return err
	}
	end, err := b.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := b.f.Write(make([]byte, (block-(end-start)%block)%block)); err != nil {
		return err
	}
	var head bytes.Buffer
	// GNU's form holds any size in the one block.
	h := &tar.Header{Name: entryData, Mode: 0o600, Size: end - start, ModTime: b.now.Truncate(time.Second), Format: tar.FormatGNU}
	if err := tar.NewWriter(&head).WriteHeader(h); err != nil {
		return err
	}
	if _, err := b.f.WriteAt(head.Bytes(), start-block); err != nil {
		return err
	}
	b.sums = append(b.sums, hex.EncodeToString(sum.Sum(nil))+"  "+entryData)
	return nil
}

// uploaded lists the files of a folder of uploads, those that are whole.
func uploaded(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		// What is no upload (some systems put files of their own into folders) stays out: restore takes no others.
		if err == nil && e.Type().IsRegular() && uploadName.MatchString(entryFiles+filepath.ToSlash(name)) {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	return names, err
}

func (b *backup) file(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return b.entry(entryFiles+name, info.Size(), f)
}

// entry writes one entry and remembers its sum.
func (b *backup) entry(name string, size int64, r io.Reader) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: b.now, Format: tar.FormatPAX}
	if err := b.w.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(b.w, sum), io.LimitReader(r, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s became shorter while it was read", name)
	}
	b.sums = append(b.sums, hex.EncodeToString(sum.Sum(nil))+"  "+name)
	return err
}
