package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

var testFormats = []string{"text", "json", "junit"}

func (c *cli) test() *cobra.Command {
	var run, format string
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the tests of the app file",
		Long: `Run the tests that the app file has under tests. Each has records of its own in a database of its own, in memory; a
request is made as somebody, through what serves requests, and the answer is compared. Of what failed it is
told where, what was asked and by whom, what was expected and what came, and which part of which rule decided.

--db runs them on a database that has no records: those of a test are removed after it. PLINTH_DB does not count here.`,
		Example: "  plinth test examples/agency\n  plinth test --run 'cancelled' --format junit . > report.xml",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatOf(format, testFormats); err != nil {
				return err
			}
			c.json = format == "json" // so are failures told
			var fits *regexp.Regexp
			if run != "" {
				var err error
				if fits, err = regexp.Compile(run); err != nil {
					return misused("--run %s is not a regular expression: %s", run, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
				}
			}
			return c.tested(cmd, folder(args, 0), fits, format)
		},
	}
	cmd.Flags().StringVar(&c.db, "db", "", "a database without records, "+forms+" (default one in memory for each test)")
	cmd.Flags().StringVar(&run, "run", "", "only tests whose name fits this regular expression")
	cmd.Flags().StringVar(&format, "format", "text", "how results are told: "+strings.Join(testFormats, ", "))
	return cmd
}

func (c *cli) tested(cmd *cobra.Command, dir string, fits *regexp.Regexp, format string) error {
	app, err := spec.Load(dir, os.LookupEnv)
	if err != nil {
		return err
	}
	if fits != nil && len(app.Tests) > 0 && len(app.Tested(fits)) == 0 {
		return misused("--run fits none of the %s", plinth.Counted(len(app.Tests), "test"))
	}
	on := inMemory()
	if c.db != "" {
		on = c.on()
	}
	found, err := plinth.Test(cmd.Context(), dir, plinth.TestOptions{Run: fits, Keep: c.db != ""}, on)
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range found {
		if !t.Passed {
			failed++
		}
	}
	switch format {
	case "json":
		c.print(map[string]any{"ok": failed == 0, "passed": len(found) - failed, "failed": failed, "tests": found})
	case "junit":
		if err := junit(c.out, app.Name, found, failed); err != nil {
			return err
		}
	default:
		c.trials(found, failed)
	}
	if failed > 0 {
		return told{errors.New("a test has failed")}
	}
	return nil
}

// trials tells people what failed.
func (c *cli) trials(found []plinth.Trial, failed int) {
	for _, t := range found {
		if t.Passed {
			continue
		}
		c.say("%s:%d:%d: %s", t.File, t.Line, t.Column, t.Name)
		c.say("  caller    %s", t.Caller)
		c.say("  request   %s", t.Request)
		c.say("  expected  %s", t.Expected)
		c.say("  got       %s", t.Got)
		for i, line := range t.Why {
			c.say("  %-8s  %s", map[bool]string{true: "why"}[i == 0], line)
		}
		c.say("")
	}
	switch {
	case len(found) == 0:
		c.say("%s has no tests: write some under tests", spec.FileName)
	case failed > 0:
		c.say("%d of %s failed", failed, plinth.Counted(len(found), "test"))
	default:
		c.say("%s passed", plinth.Counted(len(found), "test"))
	}
}

// What a build server reads of JUnit's report, of which there is no standard: https://github.com/testmoapp/junitxml.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func junit(w io.Writer, app string, found []plinth.Trial, failed int) error {
	s := junitSuite{Name: app, Tests: len(found), Failures: failed}
	sum := 0.0
	for _, t := range found {
		sum += t.Took.Seconds()
		x := junitCase{Name: t.Name, Class: app, File: t.File, Line: t.Line, Time: fmt.Sprintf("%.3f", t.Took.Seconds())}
		if !t.Passed {
			lines := append([]string{fmt.Sprintf("%s:%d:%d", t.File, t.Line, t.Column), "caller: " + t.Caller, "request: " + t.Request,
				"expected: " + t.Expected, "got: " + t.Got}, t.Why...)
			x.Failure = &junitFailure{"expected " + t.Expected + ", got " + t.Got, strings.Join(lines, "\n")}
		}
		s.Cases = append(s.Cases, x)
	}
	s.Time = fmt.Sprintf("%.3f", sum)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
