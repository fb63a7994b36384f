package seed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// Result says what Load did.
type Result struct {
	Files   int `json:"files"`
	Records int `json:"records"`
	Created int `json:"created"`
	Updated int `json:"updated"`
	Same    int `json:"same"`    // they were as the files say
	Skipped int `json:"skipped"` // of files without a key to find records by, whose collection has records already

	Passwords int `json:"passwords,omitempty"` // of users who had none

	SkippedFiles []string `json:"skippedFiles,omitempty"` // their names
}

// Progress is called in long work: records done of all of a file, and the file.
type Progress func(done, total int, text string)

// People keep the passwords of users.
type People interface {
	// Users is their collection; "" where nobody signs in.
	Users() string
	// Known says whether what another system has stored is of a password at all. It is fault.Invalid where no password could
	// be verified by it.
	Known(stored string) (bool, error)
	// MoveIn keeps what is stored, by the ids of users, for those who have no password, and says of how many.
	MoveIn(ctx context.Context, stored map[string]string) (kept int, err error)
	// Proven has those of users, by their ids, who have not proven their addresses here begin anew: somebody else says that they have.
	Proven(ctx context.Context, users []string) error
}

// Load reads the files of dir/seed in the order of their names and writes their records, in
// transactions of some 500. Records that are there already, by the key of the file, are brought up to date,
// so that loading twice changes nothing, and a load that was interrupted can be run again. Of a file with
// bad records nothing is loaded and 100 of them are told, a line each; files after it are not read. What shows
// only between records of different transactions is found when those before are in the database. people, who may be nil, get the
// passwords that stand in the records of users.
func Load(ctx context.Context, db *data.DB, people People, dir string, progress Progress) (Result, error) {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	l := &loader{db: db, people: people, dir: dir, progress: progress, ids: map[place]string{}}
	names, err := files(filepath.Join(dir, "seed"))
	if err != nil {
		return l.result, err
	}
	for _, name := range names {
		s, err := l.read(name)
		if err != nil {
			return l.result, at(name, err)
		}
		if err := l.write(ctx, s); err != nil {
			if len(s.bad) == 0 {
				err = at(name, err)
			}
			return l.result, err
		}
		l.result.Files++
	}
	return l.result, nil
}

type loader struct {
	db       *data.DB
	people   People
	dir      string
	progress Progress
	result   Result
	ids      map[place]string // of records that were referred to or written
}

// files are the names of the files, in order.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "read the folder seed", err)
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && slices.Contains([]string{".yaml", ".yml", ".json", ".ndjson", ".csv"}, ext) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
