package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
)

func (c *cli) backup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [DIR] [FILE]",
		Short: "Write a backup beside the running server",
		Long: `Write the database and the uploads of an app into one file, while they are in use: the database as it
is at one moment, and looked through for damage. The file must not be there yet; left out, it is
DIR/data/backups/TIME.plinth.

The key is not in it (PLINTH_KEY or data/key): keep it somewhere else. Without it nobody reads what is
encrypted, you neither.`,
		Example: "  plinth backup examples/agency\n  plinth backup . /mnt/backups/monday.plinth",
		Args:    arguments(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := folder(args, 0)
			name := filepath.Join(dir, "data", "backups", time.Now().UTC().Format("20060102-150405")+".plinth")
			if len(args) > 1 {
				name = args[1]
			} else if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return &fault.Error{Kind: fault.Unavailable, Msg: "the folder of backups cannot be made", Err: err}
			}
			return c.backupTo(cmd, dir, name)
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) backupTo(cmd *cobra.Command, dir, name string) error {
	bar := c.progress()
	about, err := plinth.Backup(cmd.Context(), dir, name, bar.count, c.on())
	bar.end()
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if c.json {
		c.print(map[string]any{"file": name, "bytes": info.Size(), "files": about.Files})
		return nil
	}
	c.say("%s", name)
	return nil
}
