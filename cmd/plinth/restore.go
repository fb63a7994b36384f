package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/fault"
)

func (c *cli) restore() *cobra.Command {
	var loss bool
	cmd := &cobra.Command{
		Use:   "restore FILE [DIR]",
		Short: "Put a backup in the place of the database",
		Long: `Put the database and the uploads of a backup into an app's folder. The backup is unpacked beside them,
compared with its sums, and its database opened and looked through for damage, before anything is
replaced. The server must not be running.

Where there is a database already, nothing is done without --allow-loss.`,
		Example: "  plinth restore monday.plinth examples/agency",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.restoreFrom(cmd.Context(), args[0], folder(args, 1), loss)
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&loss, "allow-loss", false, "replace the data that is there")
	return cmd
}

func (c *cli) restoreFrom(ctx context.Context, file, dir string, loss bool) error {
	path, err := sqlitePath(dir, c.db)
	if err != nil {
		return err
	}
	from, err := os.Open(file)
	if err != nil {
		return fault.New(fault.NotFound, "the backup %s cannot be opened", file)
	}
	defer from.Close()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.MkdirAll(filepath.Join(dir, "data"), 0o700)); err != nil {
		return &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be made", Err: err}
	}
	release, err := alone(path)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(path); err == nil && !loss {
		return fault.New(fault.Conflict, "there is a database already: restoring would lose its data; allow it with --allow-loss")
	}
	next, err := os.MkdirTemp(filepath.Dir(path), ".restore-*")
	if err != nil {
		return &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be written", Err: err}
	}
	defer os.RemoveAll(next)
	bar := c.progress()
	about, err := plinth.Unpack(ctx, from, next, bar.count)
	bar.end()
	if err == nil {
		err = sound(ctx, filepath.Join(next, "database"), about)
	}
	if err != nil {
		return err
	}
	if err := replace(next, path, filepath.Join(dir, "data", "files")); err != nil {
		return err
	}
	if c.json {
		c.print(map[string]any{"app": about.App, "made": about.Made, "files": about.Files})
		return nil
	}
	c.say("restored the backup of %s, made %s", about.App, about.Made.Format(time.RFC3339))
	return nil
}

// sound opens the database of a backup and looks it through.
func sound(ctx context.Context, path string, about plinth.About) error {
	if about.Engine != "sqlite" {
		return fault.New(fault.Capability, "the backup was made on %s: this program restores sqlite", about.Engine)
	}
	eng, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	err = eng.Check(ctx)
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
