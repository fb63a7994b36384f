package plinth

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// place is where a database and the uploads that its records name are on disk. They are one thing: locked,
// backed up and restored together.
type place struct {
	file    string // "" when the engine keeps the database elsewhere
	uploads string
}

// place is where the app in a folder has its data. Links are followed, so that a database has one lock,
// and its parts are replaced where they are.
func (o *options) place(dir string) place {
	if o.openFile == nil {
		return place{uploads: followed(filepath.Join(dir, "data", "files"))}
	}
	file := o.file
	if file == "" {
		file = filepath.Join(dir, "data", "plinth.db")
	}
	file = absolute(file)
	uploads := file + "-files"
	if folder, ok := strings.CutSuffix(file, filepath.Join("data", "plinth.db")); ok && strings.HasSuffix(folder, string(filepath.Separator)) {
		uploads = filepath.Join(folder, "data", "files")
	}
	return place{followed(file), followed(uploads)}
}

func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// followed is what a link leads to, be it there or not, and any other name itself.
func followed(name string) string {
	if to, err := filepath.EvalSymlinks(name); err == nil {
		return to
	}
	to, err := os.Readlink(name)
	switch {
	case err != nil:
		return name
	case filepath.IsAbs(to):
		return to
	}
	return filepath.Join(filepath.Dir(name), to)
}

// engine opens the database. One in a file is locked until it is closed: its file is not replaced meanwhile.
func (o *options) engine(ctx context.Context, at place) (driver.Engine, error) {
	if o.openFile == nil {
		if o.open == nil {
			return nil, fault.New(fault.Invalid, "no database is chosen: give plinth.OnFile(...) or plinth.On(...)")
		}
		return o.open(ctx)
	}
	release, err := at.hold()
	if err != nil {
		return nil, err
	}
	eng, err := o.openFile(at.file)
	if err != nil {
		release()
		return nil, err
	}
	return &held{eng, release}, nil
}

// held is an engine whose file is locked until it is closed.
type held struct {
	driver.Engine
	release func()
}

func (h *held) Close() error {
	defer h.release()
	return h.Engine.Close()
}

// hold locks the database against being replaced, until release. Who comes first finishes a restore that was
// cut off and removes what killed runs have left.
func (at place) hold() (release func(), err error) {
	for {
		f, err := at.lock()
		if err != nil {
			return nil, err
		}
		if alone(f) == nil {
			removeAged(filepath.Dir(at.file), engineCopy())
			err = at.resume()
		}
		if err == nil {
			err = share(f)
		}
		if err != nil {
			f.Close()
			return nil, unheld(err)
		}
		if !there(at.next()) {
			return func() { f.Close() }, nil
		}
		f.Close() // a restore that was waited for was cut off
	}
}

// own locks the database for one that replaces it, or says that it is in use.
func (at place) own() (release func(), err error) {
	f, err := at.lock()
	if err != nil {
		return nil, err
	}
	if alone(f) != nil {
		f.Close()
		return nil, fault.New(fault.Conflict, "the database is in use: stop the server first")
	}
	if err := at.resume(); err != nil {
		f.Close()
		return nil, unheld(err)
	}
	return func() { f.Close() }, nil
}

// lock opens the file whose lock stands for the database. It stays: removed, it would be two.
func (at place) lock() (*os.File, error) {
	if err := at.folder(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(at.file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be written", Err: err}
	}
	return f, nil
}

// folder sees to it that the database has one. That of an app's data is made; another must be there: where a name is mistyped, or a
// disk not mounted, a new and empty database would be served.
func (at place) folder() error {
	folder := filepath.Dir(at.file)
	if filepath.Base(at.file) != "plinth.db" || filepath.Base(folder) != "data" {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Unavailable, "there is no folder %s for the database: make it, or name another file", folder)
		}
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil { // a backup may be restored to where nothing is yet
		return &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be made", Err: err}
	}
	return nil
}

func unheld(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "the database cannot be locked, or a restore that was cut off not be finished: " + err.Error(), Err: err}
}

// vacant refuses a place whose data would be lost.
func (at place) vacant() error {
	if there(at.file) {
		return fault.New(fault.Conflict, "there is a database already: restoring would lose its data; allow it with --allow-loss")
	}
	some := errors.New("there is one")
	err := filepath.WalkDir(at.uploads, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = some
		}
		return err
	})
	switch {
	case errors.Is(err, some):
		return fault.New(fault.Conflict, "there are uploads already: restoring would lose them; allow it with --allow-loss")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return unrestored(err)
	}
	return nil
}

func there(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
