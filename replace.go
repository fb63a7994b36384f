package plinth

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/files"
)

// A restore unpacks each part beside its own place, on the same file system:
//
//	FILE.restore/database     the new database
//	FILE.restore/whole        both parts are whole: from here on the new ones count
//	FILE.restore/-wal …       what stood beside the old database
//	UPLOADS.restore/new       the new uploads
//	UPLOADS.restore/old       the old ones
//
// Whoever opens the database next, after a crash, finds "whole" and goes on, or does not and removes the rest.

func (at place) next() string        { return at.file + ".restore" }
func (at place) nextFile() string    { return filepath.Join(at.next(), "database") }
func (at place) whole() string       { return filepath.Join(at.next(), "whole") }
func (at place) nextUploads() string { return at.uploads + ".restore" }

// replace puts what was unpacked in its place. On an error all is as it was.
func (at place) replace() error {
	if err := at.commit(); err != nil {
		return errors.Join(cannotReplace(err), at.clear())
	}
	moves := at.moves()
	for i, m := range moves {
		err := m.do()
		if err == nil {
			continue
		}
		for _, m := range slices.Backward(moves[:i]) {
			if undo := os.Rename(m.to, m.from); undo != nil {
				return &fault.Error{Kind: fault.Internal, Msg: "the database is replaced by half; the next start goes on with it", Err: errors.Join(err, undo)}
			}
		}
		return errors.Join(cannotReplace(err), at.clear())
	}
	_ = at.settle() // else the next start does
	return nil
}

func cannotReplace(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "the database could not be replaced, and is as it was: " + err.Error(), Err: err}
}

// resume finishes what a killed restore had begun to replace, or removes what it had unpacked.
func (at place) resume() error {
	if there(at.whole()) {
		for _, m := range at.moves() {
			if err := m.do(); err != nil {
				return err
			}
		}
	}
	if there(at.next()) || there(at.nextUploads()) {
		return at.settle()
	}
	return nil
}

// commit says, on disk, that both parts are whole.
func (at place) commit() error {
	if err := errors.Join(files.Sync(filepath.Dir(at.file)), files.Sync(filepath.Dir(at.uploads))); err != nil {
		return err
	}
	f, err := os.OpenFile(at.whole(), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), files.Sync(at.next()))
}

// A move is a renaming within a file system.
type move struct{ from, to string }

// do moves. What was moved before stays so, whatever becomes of this: a log never stands beside the next database.
func (m move) do() error {
	if err := errors.Join(files.Sync(filepath.Dir(m.from)), files.Sync(filepath.Dir(m.to))); err != nil {
		return err
	}
	return os.Rename(m.from, m.to)
}

// moves are what is left to do. The database comes last, over the old one: it is there at any moment.
func (at place) moves() []move {
	var all []move
	aside := func(from, to string) {
		if there(from) {
			all = append(all, move{from, to})
		}
	}
	if next := filepath.Join(at.nextUploads(), "new"); there(next) {
		aside(at.uploads, filepath.Join(at.nextUploads(), "old"))
		all = append(all, move{next, at.uploads})
	}
	if there(at.nextFile()) {
		for _, end := range []string{"-wal", "-shm", "-journal"} { // none of the one database stands beside the other
			aside(at.file+end, filepath.Join(at.next(), end))
		}
		all = append(all, move{at.nextFile(), at.file})
	}
	return all
}

// settle makes what was moved stay, and clears the rest away.
func (at place) settle() error {
	return errors.Join(files.Sync(filepath.Dir(at.file)), files.Sync(filepath.Dir(at.uploads)), at.clear())
}

// clear removes what is beside the database and the uploads; first what says that it counts.
func (at place) clear() error {
	if there(at.whole()) {
		if err := errors.Join(os.Remove(at.whole()), files.Sync(at.next())); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(at.next()), os.RemoveAll(at.nextUploads()))
}
