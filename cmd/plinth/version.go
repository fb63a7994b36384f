package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
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
				c.print(map[string]string{"version": plinth.Version(), "commit": plinth.Commit(), "go": runtime.Version(), "sqlite": sqliteVersion()})
				return nil
			}
			commit := plinth.Commit()
			if commit != "" {
				commit = " (" + commit + ")"
			}
			c.say("plinth %s%s, %s, SQLite of %s", plinth.Version(), commit, runtime.Version(), sqliteVersion())
			return nil
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

// sqliteVersion names the module that SQLite comes from, as it was built in.
func sqliteVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "modernc.org/sqlite" {
				return dep.Path + " " + dep.Version
			}
		}
	}
	return "an unknown module"
}
