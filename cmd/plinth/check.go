package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

func (c *cli) check() *cobra.Command {
	var matrix, production bool
	var format string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check an app file",
		Long: `Check an app file, and the templates of its mails, and list all that is wrong, each with its place. Then list what is open
to people who are not signed in. What keeps the certificate of server.tls from being served, or browsers from
taking it, is told beside it. With --db, also say what that database cannot do, and with which of
its settings it can lose what was acknowledged.

--matrix prints instead who may do what: for people who are not signed in, every role, operators, and keys
where they differ, what they may do with each collection, with fields that have rules of their own, and with
channels; and under the tables what looks as if it was not meant. No database is needed.

--production reviews instead how the app would be served to other people, point by point: good, consider, or wrong,
with which it fails.`,
		Example: "  plinth check examples/agency\n  plinth check --json . | jq .problems\n  plinth check --matrix --format markdown > access.md",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatOf(format, matrixFormats); err != nil {
				return err
			}
			switch {
			case cmd.Flags().Changed("format") && !matrix:
				return misused("--format is for --matrix; --json is for programs")
			case matrix && production:
				return misused("--matrix and --production are two questions")
			case c.json && cmd.Flags().Changed("format") && format != "json":
				return misused("--json does not go with --format %s", format)
			case c.json:
				format = "json"
			}
			c.json = c.json || format == "json" // so are failures told
			if !matrix {
				format = ""
			}
			return c.checked(cmd, folder(args, 0), format, production)
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&matrix, "matrix", false, "print who may do what")
	cmd.Flags().BoolVar(&production, "production", false, "review how it would be served to other people")
	cmd.Flags().StringVar(&format, "format", "text", "of the matrix: "+strings.Join(matrixFormats, ", "))
	return cmd
}

// checked checks an app; matrix is the format in which it is told who may do what, "" where that is not asked.
func (c *cli) checked(cmd *cobra.Command, dir, matrix string, production bool) error {
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
	err = app.CheckKinds(nil) // this program registers none
	if err == nil {
		err = plinth.CheckMail(app)
	}
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
	if production {
		return c.production(cmd.Context(), app, dir)
	}
	if matrix != "" {
		return c.matrix(cmd.Context(), dir, matrix)
	}
	notes := slices.Clone(app.Notes)
	if errors.As(plinth.LacksMail(app), &wrong) {
		for _, p := range wrong.List {
			p.Message += " (serve does without it with --dev alone)"
			notes = append(notes, p)
		}
	}
	if _, err := plinth.CheckCertificate(app, time.Now()); errors.As(err, &wrong) {
		notes = append(notes, wrong.List...)
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
		c.print(map[string]any{"ok": true, "problems": []spec.Problem{}, "open": open, "notes": append([]spec.Problem{}, notes...), "warnings": warnings})
		return nil
	}
	for _, w := range warnings {
		c.note("%s", w)
	}
	for _, n := range notes {
		c.note("%s", n)
	}
	for _, f := range found {
		c.say("%s", f)
	}
	tests := ""
	if n := len(app.Tests); n > 0 {
		tests = ", " + plinth.Counted(n, "test")
	}
	c.say("%s is good: %s%s", spec.FileName, plinth.Counted(own(app), "collection"), tests)
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
