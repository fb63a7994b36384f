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
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/files"
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
	Files   int       `json:"-"`       // uploads in it: counted as they are written and read
}

// Backup writes a backup of an app's database and uploads into a new file, while they are in use. The file
// is there whole or not at all, and never written over another (Conflict). The database is as it was at one
// moment, and the uploads are read after it: only one that was deleted since that moment may be missing.
// progress may be nil.
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
	at := o.place(dir)
	if o.openFile != nil && !there(at.file) {
		return about, fault.New(fault.NotFound, "there is no database to back up")
	}
	eng, err := o.engine(ctx, at)
	if err != nil {
		return about, err
	}
	defer eng.Close()
	removeAged(filepath.Dir(file), growing())
	f, err := os.CreateTemp(filepath.Dir(file), ".plinth-backup-*")
	if err != nil {
		return about, unwritten(err)
	}
	defer os.Remove(f.Name())
	b := &backup{f: f, w: tar.NewWriter(f), now: o.clock().UTC()}
	about, err = b.write(ctx, at.uploads, app, eng, progress)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Link(f.Name(), file)
	}
	if err == nil {
		err = files.Sync(filepath.Dir(file)) // its name too
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
	sums strings.Builder
}

func (b *backup) write(ctx context.Context, uploads string, app *spec.App, eng driver.Engine, progress func(int, int, string)) (About, error) {
	about := About{Format: backupFormat, App: app.Name, Engine: eng.Name(), Made: b.now, Version: Version()}
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
	names, err := uploaded(uploads)
	if err != nil {
		return about, err
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return about, err
		}
		in, err := b.file(uploads, name)
		if err != nil {
			return about, err
		}
		if in {
			about.Files++
		}
		progress(i+1, len(names), "files")
	}
	sums := b.sums.String()
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
	b.sums.WriteString(sumLine(sum, entryData))
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
		if err == nil && e.Type().IsRegular() && uploadName().MatchString(entryFiles+filepath.ToSlash(name)) {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	return names, err
}

// file writes an upload; it reports whether it is still there.
func (b *backup) file(dir, name string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	return true, b.entry(entryFiles+name, info.Size(), f)
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
	b.sums.WriteString(sumLine(sum, name))
	return err
}

// sumLine is the line of an entry in the sums.
func sumLine(sum hash.Hash, name string) string {
	return hex.EncodeToString(sum.Sum(nil)) + "  " + name + "\n"
}
