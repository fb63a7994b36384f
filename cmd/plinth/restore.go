package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
)

func (c *cli) restore() *cobra.Command {
	var loss bool
	cmd := &cobra.Command{
		Use:   "restore FILE [DIR]",
		Short: "Put a backup in the place of the database",
		Long: `Put the database and the uploads of a backup into an app's folder; with --db, that database and the
uploads beside it. They are unpacked beside their places, compared with their sums, and the database is
opened and looked through for damage, before anything is replaced. The server must not be running.

Where there is a database or an upload already, nothing is done without --allow-loss.`,
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
	if c.at.engine != "sqlite" {
		return fault.New(fault.Capability, "a backup is restored to a file: a server's own tools put back what they have copied")
	}
	from, err := os.Open(file)
	if err != nil {
		return fault.New(fault.NotFound, "the backup %s cannot be opened", file)
	}
	defer from.Close()
	bar := c.progress()
	about, err := plinth.Restore(ctx, from, dir, plinth.RestoreOptions{AllowLoss: loss, Progress: bar.count}, c.on())
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
