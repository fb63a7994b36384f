package plinth

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// RestoreOptions come with Restore.
type RestoreOptions struct {
	Database  string // the file of the database; data/plinth.db in the app's folder when it is ""
	AllowLoss bool   // replace a database that is there
	Progress  func(done, total int, text string)
}

// Restore puts the database and the uploads of a backup into an app's folder. It is unpacked beside them,
// compared with its sums, and its database opened by open and looked through, before anything is replaced.
// Where there is a database already it is a Conflict, unless its loss is allowed. Nobody may use the database
// meanwhile. The key is not in a backup.
func Restore[E driver.Engine](ctx context.Context, backup io.Reader, dir string, open func(file string) (E, error), o RestoreOptions) (About, error) {
	path := o.Database
	if path == "" {
		path = filepath.Join(dir, "data", "plinth.db")
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.MkdirAll(filepath.Join(dir, "data"), 0o700)); err != nil {
		return About{}, unrestored(err)
	}
	if _, err := os.Stat(path); err == nil && !o.AllowLoss {
		return About{}, fault.New(fault.Conflict, "there is a database already: restoring would lose its data; allow it with --allow-loss")
	}
	next, err := os.MkdirTemp(filepath.Dir(path), ".restore-*")
	if err != nil {
		return About{}, unrestored(err)
	}
	defer os.RemoveAll(next)
	about, err := unpack(ctx, backup, next, o.Progress)
	if err == nil {
		err = sound(ctx, about, func() (driver.Engine, error) { return open(filepath.Join(next, entryData)) })
	}
	if err != nil {
		return about, err
	}
	return about, replace(next, path, filepath.Join(dir, "data", "files"))
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
		err = eng.Check(ctx)
	}
	return errors.Join(err, eng.Close())
}

// replace puts what was unpacked in its place. What was there is moved aside first, whole, and removed
// at the end: whenever this is cut off, no log of the one database stands beside the other.
func replace(next, path, uploads string) error {
	old := next + ".old"
	if err := os.Mkdir(old, 0o700); err != nil {
		return cannotReplace(err)
	}
	moves := [][2]string{
		{path + "-wal", filepath.Join(old, "wal")},
		{path + "-shm", filepath.Join(old, "shm")},
		{path, filepath.Join(old, "database")},
		{uploads, filepath.Join(old, "files")},
		{filepath.Join(next, "files"), uploads},
		{filepath.Join(next, "database"), path},
	}
	for _, m := range moves {
		if err := os.Rename(m[0], m[1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cannotReplace(err)
		}
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		d.Close()
	}
	return os.RemoveAll(old)
}

func cannotReplace(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "the database could not be replaced; what was there is in a folder .restore-…old beside it", Err: err}
}

// unpack reads a backup into an empty folder: the database into the file "database", uploads below
// "files". It is good only when no error comes: sums are at the end, and each part is compared with
// its own.
func unpack(ctx context.Context, r io.Reader, into string, progress func(done, total int, text string)) (About, error) {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	u := &unpacking{into: into}
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
		progress(u.files, u.about.Files, "restore")
	}
	return u.about, u.complete()
}

// unpacking is one backup that is being read.
type unpacking struct {
	into  string
	about About
	files int
	sums  []string // as computed
	said  string   // as written in the backup
	begun bool
	ended bool
}

// uploadName is the name of an upload within a backup: nothing leads out of the folder.
var uploadName = regexp.MustCompile(`^files/[a-z2-7]{2}/[a-z2-7]{2}/[a-z2-7]{26}$`)

const maxAbout = 64 << 10

func (u *unpacking) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag != tar.TypeReg || u.ended || !u.begun && h.Name != entryAbout {
		return damaged("it is not a backup of Plinth")
	}
	sum := sha256.New()
	from := io.TeeReader(r, sum)
	switch {
	case h.Name == entrySums:
		b, err := io.ReadAll(from)
		if err != nil {
			return damaged("it ends in the middle")
		}
		u.said, u.ended = string(b), true
		return nil
	case h.Name == entryAbout && !u.begun:
		if err := u.read(from); err != nil {
			return err
		}
	case h.Name == entryData, uploadName.MatchString(h.Name):
		if err := u.keep(h, from); err != nil {
			return err
		}
	default:
		return damaged("it has a part that no backup has")
	}
	u.sums = append(u.sums, hex.EncodeToString(sum.Sum(nil))+"  "+h.Name)
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
	name := filepath.Join(u.into, filepath.FromSlash(h.Name))
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
		u.files++
	}
	return nil
}

// complete compares the sums.
func (u *unpacking) complete() error {
	switch {
	case !u.ended:
		return damaged("it ends in the middle")
	case strings.Join(u.sums, "\n")+"\n" != u.said:
		return damaged("a part of it was changed")
	}
	if _, err := os.Stat(filepath.Join(u.into, entryData)); err != nil {
		return damaged("it has no database")
	}
	return nil
}

func damaged(why string) error {
	return fault.New(fault.Invalid, "the backup cannot be used: %s", why)
}

func unrestored(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "the backup cannot be unpacked: " + err.Error(), Err: err}
}
