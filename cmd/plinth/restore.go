package main

import (
	"context"
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
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be made", Err: err}
	}
	release, err := alone(path)
	if err != nil {
		return err
	}
	defer release()
	bar := c.progress()
	about, err := plinth.Restore(ctx, from, dir, func(file string) (*sqlite.Engine, error) {
		return sqlite.Open(file, sqlite.Options{})
	}, plinth.RestoreOptions{Database: path, AllowLoss: loss, Progress: bar.count})
	bar.end()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "key")); err != nil && os.Getenv("PLINTH_KEY") == "" {
		c.note("the key is not in a backup: bring the one it was made with, in PLINTH_KEY or data/key")
	}
	if c.json {
		c.print(map[string]any{"app": about.App, "made": about.Made, "files": about.Files})
		return nil
	}
	c.say("restored the backup of %s, made %s", about.App, about.Made.Format(time.RFC3339))
	return nil
}
