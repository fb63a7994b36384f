package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Print the version of this program, the commit it was built from and the Go it was built with.",
		Example: "  plinth version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				c.print(map[string]string{"version": plinth.Version(), "commit": plinth.Commit(), "go": runtime.Version()})
				return nil
			}
			commit := plinth.Commit()
			if commit != "" {
				commit = " (" + commit + ")"
			}
			c.say("plinth %s%s %s", plinth.Version(), commit, runtime.Version())
			return nil
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
