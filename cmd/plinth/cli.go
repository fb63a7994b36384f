package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// cli is one run of the program.
type cli struct {
	out, err *os.File
	db       string // --db
	at       database
	json     bool // --json
	began    bool // the command line was understood
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "plinth",
		Short: "The whole backend of a web application, from one app file",
		Long: `Plinth is the whole backend of a web application in one program. You describe the app in
plinth.yaml; plinth serve gives you its database, its REST API and its access rules.

DIR is the app's folder, the current one if it is left out.`,
		Example:           "  plinth new myapp\n  plinth serve --dev myapp",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: c.begin,
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return subcommand(cmd, args)
		},
	}
	root.SetFlagErrorFunc(wrongFlag)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(c.new(), c.serve(), c.reload(), c.check(), c.doctor(), c.test(), c.plan(), c.apply(), c.explain(), c.schema(), c.openapi(),
		c.seed(), c.operator(), c.user(), c.key(), c.changes(), c.jobs(), c.mail(), c.backup(), c.restore(), c.version())
	return root
}

// begin runs before every command: what is wrong before it is wrong usage.
func (c *cli) begin(cmd *cobra.Command, _ []string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name, ok := f.Annotations[environment]
		if !ok || f.Changed || err != nil {
			return
		}
		text, ok := os.LookupEnv(name[0])
		if !ok || text == "" {
			return
		}
		if cmd.Flags().Set(f.Name, text) != nil {
			err = wrongValue(name[0], f, text)
		}
		f.Annotations[taken] = name
	})
	if f := cmd.Flags().Lookup("db"); err == nil && f != nil && f.Changed && c.db == "" {
		err = misused("--db is empty: a variable that is not set? Leave it out for the database in the app's folder")
	}
	if c.began = err == nil; c.began { // what --db names may be a failure as well as wrong usage
		c.at, err = readDatabase(c.db)
	}
	return err
}

const (
	environment = "environment" // the variable by which a flag may be set
	taken       = "taken"       // the variable by which it was
)

// given is what a flag was set by, as whoever set it knows it: --log, or PLINTH_LOG.
func given(cmd *cobra.Command, name string) string {
	if by := cmd.Flags().Lookup(name).Annotations[taken]; by != nil {
		return by[0]
	}
	return "--" + name
}

// fromEnvironment lets a flag be set by PLINTH_NAME too.
func fromEnvironment(flags *pflag.FlagSet, name string) {
	variable := "PLINTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	f := flags.Lookup(name)
	f.Usage += " [" + variable + "]"
	f.Annotations = map[string][]string{environment: {variable}}
}

func (c *cli) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object, for programs")
}

func (c *cli) dbFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.db, "db", "", "the database, "+forms+" (default sqlite:DIR/data/plinth.db)")
	fromEnvironment(cmd.Flags(), "db")
}

const (
	exitFailure = 1
	exitUsage   = 2
	exitAppFile = 3
)

func exitCode(err error, began bool) int {
	var wrong *spec.Problems
	var u usage
	switch {
	case errors.As(err, &wrong):
		return exitAppFile
	case !began, errors.As(err, &u), errors.Is(err, spec.ErrNoFolder), fault.Is(err, fault.BadRequest):
		return exitUsage
	default:
		return exitFailure
	}
}

// errTold is a failure that was told already.
var errTold = errors.New("told already")

// report tells a failure: to people on stderr, and to programs as the one object.
func (c *cli) report(err error, code int) {
	if errors.Is(err, errTold) {
		return
	}
	text := plain(err)
	if c.json {
		answer := struct {
			OK       bool           `json:"ok"`
			Error    string         `json:"error"`
			Problems []spec.Problem `json:"problems,omitempty"`
		}{Error: text}
		var wrong *spec.Problems
		if errors.As(err, &wrong) {
			answer.Error, answer.Problems = "the app file is wrong", wrong.List
		}
		c.print(answer)
	}
	if code == exitAppFile {
		fmt.Fprintln(c.err, text) // each line begins with its place
		return
	}
	if code == exitUsage {
		text += "; see plinth --help"
	}
	fmt.Fprintln(c.err, "plinth: "+text)
}

// plain is an error as people read it. What is ours and not foreseen shows its cause, and so does a database that is
// away: whoever runs a command may know it. Engines see to it that no cause holds a password.
func plain(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	text := f.Msg
	if text == "" || f.Kind == fault.Internal {
		return strings.ReplaceAll(err.Error(), "\n", " ")
	}
	if f.Kind == fault.Unavailable && f.Err != nil && f.Op != "open the database" { // fault.Unreached has said it
		if cause := strings.ReplaceAll(f.Err.Error(), "\n", " "); !strings.Contains(text, cause) {
			text += " (" + cause + ")"
		}
	}
	for _, field := range f.Fields {
		if !strings.Contains(text, field.Message) {
			text += "; " + strings.TrimPrefix(field.Pointer, "/") + field.Param + " " + field.Message
		}
	}
	return text
}

// print prints one JSON object.
func (c *cli) print(v any) {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a reader that has gone is nobody's error
}

// folder is DIR among the arguments, the n-th of them.
func folder(args []string, n int) string {
	if n < len(args) {
		return args[n]
	}
	return "."
}

func (c *cli) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }
func (c *cli) note(format string, args ...any) {
	fmt.Fprintf(c.err, "plinth: "+format+"\n", args...)
}
