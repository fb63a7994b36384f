package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// usage is an error of whoever typed the command. It may have a cause.
type usage struct {
	text string
	err  error
}

func (u usage) Error() string { return u.text }
func (u usage) Unwrap() error { return u.err }

func misused(format string, args ...any) usage { return usage{text: fmt.Sprintf(format, args...)} }

// arguments lets a command take so many arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		form := strings.TrimSuffix(cmd.UseLine(), " [flags]")
		switch {
		case len(args) < least:
			return misused("an argument is missing: %s", form)
		case len(args) > most:
			return misused("%s is one argument too many: %s", args[most], form)
		}
		return nil
	}
}

// subcommand refuses what is no command of cmd.
func subcommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	if len(args) == 0 {
		return misused("%s what? %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	return misused("there is no command %q%s", cmd.CommandPath()+" "+args[0], meant(args[0], names))
}

// meant asks for the one of words that was probably meant, or names them all.
func meant(word string, words []string) string {
	if near := spec.Nearest(word, words); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ": it is one of " + strings.Join(words, ", ")
}

// wrongFlag says what is wrong with a flag.
func wrongFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var wrong *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			name = "-" + s
		}
		return misused("%s has no flag %s%s", cmd.CommandPath(), name, meant(name, names))
	case errors.As(err, &bare):
		return misused("--%s needs a value: %s", bare.GetFlag().Name, bare.GetFlag().Usage)
	case errors.As(err, &wrong):
		return wrongValue("--"+wrong.GetFlag().Name, wrong.GetFlag(), wrong.GetValue())
	}
	return usage{err.Error(), err}
}

// wrongValue says what a flag takes.
func wrongValue(name string, f *pflag.Flag, value string) error {
	takes := map[string]string{"bool": "true or false", "int": "a whole number", "duration": "a time like 30s or 720h"}[f.Value.Type()]
	return misused("%s is %s, not %q", name, takes, value)
}

// roleOf refuses a role that the app does not have, and that is not "" or one of the words that the command takes
// besides.
func roleOf(app *spec.App, role string, besides ...string) error {
	words := slices.Concat(app.Roles, besides)
	if role == "" || slices.Contains(words, role) {
		return nil
	}
	if len(words) == 0 {
		return misused("there is no role %q: the app has none", role)
	}
	return misused("there is no role %q%s", role, meant(role, words))
}

// collectionOf refuses a collection that the app does not have.
func collectionOf(app *spec.App, name string) error {
	var names []string
	for _, c := range app.Collections {
		if c.System {
			continue
		}
		if c.Name == name {
			return nil
		}
		names = append(names, c.Name)
	}
	return misused("there is no collection %q%s", name, meant(name, names))
}

// asked takes what is wrong with a question for wrong usage: it came from the command line.
func asked(err error) error {
	if fault.Is(err, fault.BadRequest) {
		return usage{plain(err), err}
	}
	return err
}
