package seed

import (
	"context"
	"errors"
	"fmt"
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

	SkippedFiles []string `json:"skippedFiles,omitempty"` // their names
}

// Progress is called in long work: records done of all of a file, and the file.
type Progress func(done, total int, text string)

// Load reads the files of dir/seed in the order of their names and writes their records, in
// transactions of 500. Records that are there already, by the key of the file, are brought up to date,
// so that loading twice changes nothing, and a load that was interrupted can be run again. An error
// names the file and the record.
func Load(ctx context.Context, db *data.DB, dir string, progress Progress) (Result, error) {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	l := &loader{db: db, dir: dir, progress: progress, ids: map[place]string{}}
	names, err := files(filepath.Join(dir, "seed"))
	if err != nil {
		return l.result, err
	}
	for _, name := range names {
		s, err := l.read(name)
		if err == nil {
			err = l.write(ctx, s)
		}
		if err != nil {
			return l.result, at(name, err)
		}
		l.result.Files++
	}
	return l.result, nil
}

type loader struct {
	db       *data.DB
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

// at puts the file before an error.
func at(name string, err error) error {
	return &fault.Error{Kind: fault.Of(err), Msg: "seed/" + name + ": " + words(err), Err: cause(err)}
}

// atRecord puts the number of a record before an error.
func atRecord(n int, err error) error {
	return &fault.Error{Kind: fault.Of(err), Msg: fmt.Sprintf("record %d: %s", n, words(err)), Err: cause(err)}
}

// words are what an error says to people.
func words(err error) string {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	var parts []string
	if e.Msg != "" {
		parts = append(parts, e.Msg)
	}
	for _, f := range e.Fields {
		parts = append(parts, strings.TrimSpace(strings.TrimPrefix(f.Pointer, "/")+f.Param+" "+f.Message))
	}
	if len(parts) == 0 {
		return e.Error()
	}
	return strings.Join(parts, "; ")
}

// cause is what an error of ours was made of.
func cause(err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return nil
}
