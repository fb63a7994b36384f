package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/sqlite"
)

func (c *cli) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Print the version of this program, the commit it was built from, the Go it was built with and the SQLite in it.",
		Example: "  plinth version --json",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				c.print(map[string]string{"version": plinth.Version(), "commit": plinth.Commit(), "go": runtime.Version(), "sqlite": sqlite.Version})
				return nil
			}
			commit := plinth.Commit()
			if commit != "" {
				commit = " (" + commit + ")"
			}
			c.say("plinth %s%s, %s, SQLite %s", plinth.Version(), commit, runtime.Version(), sqlite.Version)
			return nil
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
