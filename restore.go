package plinth

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/files"
)

// RestoreOptions come with Restore.
type RestoreOptions struct {
	AllowLoss bool // replace the database and the uploads that are there
	Progress  func(done, total int, text string)
}

// Restore puts the database and the uploads of a backup in the place that OnFile names; another database
// and its uploads are not touched. Each is unpacked beside its place, both are compared with their sums, and the
// database is opened and looked through, before anything is replaced. Then both are replaced: when that is cut
// off, whoever opens the database next finishes it. Where there is a database or an upload already it is a
// Conflict, unless its loss is allowed, and always when somebody has the database open. The key is not in a backup.
func Restore(ctx context.Context, backup io.Reader, dir string, r RestoreOptions, opts ...Option) (About, error) {
	o := choose(opts)
	if o.openFile == nil {
		return About{}, fault.New(fault.Capability, "a backup is restored to a database in a file: give plinth.OnFile(...)")
	}
	at := o.place(dir)
	release, err := at.own()
	if err != nil {
		return About{}, err
	}
	defer release()
	if !r.AllowLoss {
		if err := at.vacant(); err != nil {
			return About{}, err
		}
	}
	about, err := at.unpack(ctx, backup, r.Progress)
	if err == nil {
		err = sound(ctx, about, func() (driver.Engine, error) { return o.openFile(at.nextFile()) })
	}
	if err != nil {
		return about, errors.Join(err, at.clear())
	}
	return about, at.replace()
}

// sound opens the database of a backup and looks it through.
func sound(ctx context.Context, about About, open func() (driver.Engine, error)) error {
	eng, err := open()
	if err != nil {
		return err
	}
	if name := eng.Name(); name != about.Engine {
		err = fault.New(fault.Capability, "the backup was made on %s: it cannot be restored to %s", about.Engine, name)
	} else {
		if err = eng.Verify(ctx); err == nil {
			err = data.AnotherLog(ctx, eng)
		}
	}
	return errors.Join(err, eng.Close())
}

// unpack reads a backup: the database and the uploads beside their places. They are good only when no
// error comes: sums are at the end, and each part is compared with its own.
func (at place) unpack(ctx context.Context, r io.Reader, progress func(done, total int, text string)) (About, error) {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	u := &unpacking{database: at.nextFile(), uploads: filepath.Join(at.nextUploads(), "new")}
	if err := errors.Join(os.MkdirAll(at.next(), 0o700), os.MkdirAll(u.uploads, 0o700)); err != nil {
		return u.about, unrestored(err)
	}
	t := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return u.about, fault.Wrap(fault.Unavailable, "restore", err)
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u.about, damaged("it ends in the middle, or is not a backup of Plinth")
		}
		if err := u.entry(h, t); err != nil {
			return u.about, err
		}
		progress(u.about.Files, 0, "restore")
	}
	return u.about, u.complete()
}

// unpacking is one backup that is being read.
type unpacking struct {
	database string // where it goes
	uploads  string // the folder where they go
	about    About
	sums     strings.Builder // as computed
	begun    bool
	ended    bool
}

// uploadName is the name of an upload within a backup: nothing leads out of the folder.
var uploadName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^files/[a-z2-7]{2}/[a-z2-7]{2}/[a-z2-7]{26}$`) })

const maxAbout = 64 << 10

func (u *unpacking) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag != tar.TypeReg || u.ended || !u.begun && h.Name != entryAbout {
		return damaged("it is not a backup of Plinth")
	}
	sum := sha256.New()
	from := io.TeeReader(r, sum)
	switch {
	case h.Name == entrySums:
		return u.compare(r)
	case h.Name == entryAbout && !u.begun:
		if err := u.read(from); err != nil {
			return err
		}
	case h.Name == entryData, uploadName().MatchString(h.Name):
		if err := u.keep(h, from); err != nil {
			return err
		}
	default:
		return damaged("it has a part that no backup has")
	}
	u.sums.WriteString(sumLine(sum, h.Name))
	return nil
}

// compare reads the sums, and no more than there should be.
func (u *unpacking) compare(r io.Reader) error {
	u.ended = true
	b, err := io.ReadAll(io.LimitReader(r, int64(u.sums.Len())+1))
	if err != nil {
		return damaged("it ends in the middle")
	}
	if string(b) != u.sums.String() {
		return damaged("a part of it was changed")
	}
	return nil
}

func (u *unpacking) read(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxAbout))
	if err != nil || json.Unmarshal(b, &u.about) != nil || u.about.Format == 0 {
		return damaged("it does not say what it is")
	}
	if u.about.Format > backupFormat {
		return fault.New(fault.Invalid, "the backup was made by a newer Plinth (%s): restore it with that", u.about.Version)
	}
	u.begun = true
	return nil
}

func (u *unpacking) keep(h *tar.Header, r io.Reader) error {
	name := u.database
	if upload, ok := strings.CutPrefix(h.Name, entryFiles); ok {
		name = filepath.Join(u.uploads, filepath.FromSlash(upload))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return unrestored(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return damaged("it has a part twice")
	}
	if err != nil {
		return unrestored(err)
	}
	n, err := io.Copy(f, r)
	if n < h.Size {
		f.Close()
		return damaged("it ends in the middle")
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return unrestored(err)
	}
	if h.Name != entryData {
		u.about.Files++
	}
	return nil
}

// complete sees that nothing is missing, and that what was unpacked stays.
func (u *unpacking) complete() error {
	if !u.ended {
		return damaged("it ends in the middle")
	}
	if !there(u.database) {
		return damaged("it has no database")
	}
	err := filepath.WalkDir(u.uploads, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = files.Sync(name)
		}
		return err
	})
	if err = errors.Join(err, files.Sync(filepath.Dir(u.database)), files.Sync(filepath.Dir(u.uploads))); err != nil {
		return unrestored(err)
	}
	return nil
}

func damaged(why string) error {
	return fault.New(fault.Invalid, "the backup cannot be used: %s", why)
}

func unrestored(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "the backup cannot be unpacked: " + err.Error(), Err: err}
}
