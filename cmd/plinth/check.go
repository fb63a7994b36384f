package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

func (c *cli) check() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check an app file",
		Long: `Check an app file and list all that is wrong with it, each with its place. Then list what is open
to people who are not signed in. With --db, also say what that database cannot do, and with which of
its settings it can lose what was acknowledged.`,
		Example: "  plinth check examples/agency\n  plinth check --json . | jq .problems",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.checked(cmd, folder(args, 0))
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) checked(cmd *cobra.Command, dir string) error {
	app, err := spec.Load(dir, os.LookupEnv)
	var wrong *spec.Problems
	if errors.As(err, &wrong) {
		if c.json {
			c.print(map[string]any{"ok": false, "problems": wrong.List})
			return told{wrong}
		}
		return wrong
	}
	if err != nil {
		return err
	}
	if err := app.CheckKinds(nil); errors.As(err, &wrong) { // this program registers none
		if c.json {
			c.print(map[string]any{"ok": false, "problems": wrong.List})
			return told{wrong}
		}
		return wrong
	}
	warnings := []string{}
	if c.db != "" {
		found, err := plinth.Check(cmd.Context(), dir, c.looking(dir))
		if err != nil {
			return err
		}
		warnings = append(warnings, found...)
	}
	found := spec.Open(app)
	if c.json {
		open := make([]map[string]any, 0, len(found))
		for _, f := range found {
			open = append(open, map[string]any{"file": f.Pos.File, "line": f.Pos.Line, "column": f.Pos.Column,
				"collection": f.Collection, "operation": f.Operation, "message": f.Message})
		}
		c.print(map[string]any{"ok": true, "problems": []spec.Problem{}, "open": open, "notes": append([]spec.Problem{}, app.Notes...), "warnings": warnings})
		return nil
	}
	for _, w := range warnings {
		c.note("%s", w)
	}
	for _, n := range app.Notes {
		c.note("%s", n)
	}
	for _, f := range found {
		c.say("%s", f)
	}
	c.say("%s is good: %s", spec.FileName, plinth.Counted(own(app), "collection"))
	return nil
}

// told is a failure that was printed, with its cause for the exit code.
type told struct{ error }

func (t told) Unwrap() []error { return []error{errTold, t.error} }

// own counts the collections that the app file declares.
func own(app *spec.App) int {
	n := 0
	for _, col := range app.Collections {
		if !col.System && !col.Made {
			n++
		}
	}
	return n
}
