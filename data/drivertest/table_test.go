package drivertest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	countsDir = flag.String("counts", "", "write docs/conformance.md of what the suites have counted in this folder")
	nightDir  = flag.String("night", "", "with -counts: where they have counted the random questions of a night; else those of the last stay")
)

const tableFile = "../../docs/conformance.md"

// columns are the engines of the table, by the name of their counts.
var columns = []struct{ file, title string }{
	{"memory", "memory"},
	{"sqlite", "SQLite"},
	{"postgres", "PostgreSQL"},
	{"mysql", "MariaDB"},
	{"mongoOnMingo", "MongoDB's language on mingo"},
	{"mongoOnMingoAlone", "the same, without transactions"},
	{"mongo", "MongoDB's protocol on FerretDB 1"},
}

// The least that there is: of fixed cases, and of random questions in a night.
const (
	leastFixed = 400
	leastNight = 100_000
)

// The rows below the topics.
const (
	fixedRow  = "fixed cases"
	randomRow = "random questions"
	nightRow  = "random questions in a night"
)

const tableHead = `# Conformance

What the suite in ` + "`data/drivertest`" + ` asked of every engine. A case passes when the engine and the memory engine give the same answer, and it is the one that
the case names. A number is that of the cases that passed. *Refused* is what an engine lacks and says so, by name, before it answers anything; which cases those are is held
to a list (` + "`data/mongo/testdata/ferretdb.refused`" + `). *Known* is what is known to fail; the reasons are below, and one that passes fails the suite.

MariaDB stands for MySQL, on which nothing was run. MongoDB's own server was not to be had: *on FerretDB 1* the cases ran on a server, over the wire; *on mingo* the
same finds, pipelines and updates were answered by a second implementation of MongoDB's language, without a server. The random questions are others each time; ` + "`.ci/night`" + ` asks 100,000 of each engine.
Where an engine refuses a first step, cases that only follow from it are not asked: so there are fewer of them on FerretDB 1. The revision that an update names there is compared
before FerretDB 1, by the door that lets in one change at a time (` + "`test/ferretdb/revision.go`" + `): FerretDB would read the whole collection for it.

`

// TestTable makes the table with -counts, and without it checks that its topics and engines are those of the suite.
func TestTable(t *testing.T) {
	t.Parallel()
	if *countsDir != "" {
		if err := os.WriteFile(tableFile, []byte(tableOf(t, *countsDir, *nightDir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rows := readTable(t)
	const remedy = "make it anew, as CONTRIBUTING.md says"
	titles := []string{"topic"}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], titles) {
		t.Fatalf("docs/conformance.md has other engines than %q: %s", titles, remedy)
	}
	var have, want []string
	for _, row := range rows[2:] {
		have = append(have, row[0])
		if n, err := strconv.Atoi(row[1]); row[0] == fixedRow && (err != nil || n < leastFixed) {
			t.Errorf("docs/conformance.md has %s fixed cases, want %d at least", row[1], leastFixed)
		}
	}
	for _, topic := range topics {
		if topic.name != "random" {
			want = append(want, topic.name)
		}
	}
	want = append(want, fixedRow, randomRow)
	if slices.Contains(have, nightRow) {
		want = append(want, nightRow)
	}
	if !slices.Equal(have, want) {
		t.Errorf("docs/conformance.md has the rows %q, the suite %q: %s", have, want, remedy)
	}
}

// readTable is the table of docs/conformance.md, by rows.
func readTable(t *testing.T) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) > 2 {
			row := cells[1 : len(cells)-1]
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			rows = append(rows, row)
		}
	}
	return rows
}

var runs = regexp.MustCompile(`func (TestSuite\w*)\(`)

// TestEveryEngineIsInTheTable finds the suites that engines run.
func TestEveryEngineIsInTheTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var found, titled []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range runs.FindAllSubmatch(b, -1) {
			found = append(found, filepath.Base(filepath.Dir(f))+strings.TrimPrefix(string(m[1]), "TestSuite"))
		}
	}
	for _, c := range columns {
		titled = append(titled, c.file)
	}
	slices.Sort(found)
	slices.Sort(titled)
	if !slices.Equal(found, titled) {
		t.Errorf("the suites %q are run, the table has %q", found, titled)
	}
}

// cell is what became of a topic on an engine.
type cell struct{ passed, refused, known int64 }

func (c cell) String() string {
	text := strconv.FormatInt(c.passed, 10)
	if c.refused > 0 {
		text += fmt.Sprintf(", %d refused", c.refused)
	}
	if c.known > 0 {
		text += fmt.Sprintf(", %d known", c.known)
	}
	return text
}

// counted reads what the suite on an engine has added to its file, by topic, and the lines of what is known to fail.
func counted(t *testing.T, file string) (topics map[string]cell, known [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: this suite did not run, or failed", err)
	}
	topics = map[string]cell{}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	slices.Sort(lines)
	for _, line := range lines {
		part := strings.Split(line, "\t")
		topic, _, _ := strings.Cut(part[1], "/")
		c := topics[topic]
		if part[0] == "known" {
			c.known++
			known = append(known, part)
		} else {
			passed, _ := strconv.ParseInt(part[2], 10, 64)
			refused, _ := strconv.ParseInt(part[3], 10, 64)
			c.passed, c.refused = c.passed+passed, c.refused+refused
		}
		topics[topic] = c
	}
	return topics, known
}

// nightOf is the row of a night, which has asked every engine enough; without a folder of one it is that of the last, if
// there was one.
func nightOf(t *testing.T, dir string) []string {
	t.Helper()
	if dir == "" {
		for _, row := range readTable(t) {
			if row[0] == nightRow {
				return row
			}
		}
		return nil
	}
	row := []string{nightRow}
	for _, column := range columns {
		topics, _ := counted(t, filepath.Join(dir, column.file))
		c := topics["random"]
		if c.passed+c.refused < leastNight {
			t.Fatalf("the night has asked %s %d random questions, want %d at least", column.title, c.passed+c.refused, leastNight)
		}
		row = append(row, c.String())
	}
	return row
}

func tableOf(t *testing.T, dir, night string) string {
	t.Helper()
	all, reasons := make([]map[string]cell, len(columns)), ""
	for i, column := range columns {
		topics, known := counted(t, filepath.Join(dir, column.file))
		all[i] = topics
		for _, part := range known {
			reasons += fmt.Sprintf("- %s, %s: %s\n", column.title, strings.ReplaceAll(part[1], "/", ", "), part[2])
		}
	}
	var b strings.Builder
	b.WriteString(tableHead + "| topic |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	row := func(title string, of func(map[string]cell) cell) {
		fmt.Fprintf(&b, "| %s |", title)
		for _, engine := range all {
			fmt.Fprintf(&b, " %s |", of(engine))
		}
		b.WriteString("\n")
	}
	for _, topic := range topics {
		for i, engine := range all {
			if c := engine[topic.name]; c.passed+c.refused+c.known == 0 {
				t.Fatalf("%s has counted nothing of the topic %s", columns[i].file, topic.name)
			}
		}
		if topic.name != "random" {
			row(topic.name, func(engine map[string]cell) cell { return engine[topic.name] })
		}
	}
	row(fixedRow, func(engine map[string]cell) (sum cell) {
		for topic, c := range engine {
			if topic != "random" {
				sum = cell{sum.passed + c.passed, sum.refused + c.refused, sum.known + c.known}
			}
		}
		return sum
	})
	row(randomRow, func(engine map[string]cell) cell { return engine["random"] })
	if cells := nightOf(t, night); cells != nil {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	b.WriteString("\nKnown to fail:\n\n" + reasons + "\nMade by\n\n```\n" + tableCommand + "\n```\n")
	return b.String()
}

const tableCommand = `rm -rf dist/counts && mkdir -p dist/counts
PLINTH_TEST_ALL=1 PLINTH_TEST_COUNTS=$PWD/dist/counts go test -count=1 -run TestSuite ./data/...
go test -count=1 -run TestTable ./data/drivertest -counts $PWD/dist/counts # and after .ci/night: -night $PWD/dist/night`
