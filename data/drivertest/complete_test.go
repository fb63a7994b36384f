package drivertest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notTopics are the files that carry the suite, and those that are tests.
var notTopics = []string{"condition.go", "contract.go", "counts.go", "doc.go", "pair.go", "run.go"}

func TestEveryFileIsATopic(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q %v", files, err)
	}
	var names []string
	for _, f := range topics {
		names = append(names, f.name)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".go")
		if strings.HasSuffix(f, "_test.go") || slices.Contains(notTopics, f) {
			continue
		}
		if !slices.Contains(names, name) {
			t.Errorf("%s is no topic of the suite: name it in run.go", f)
		}
	}
	for _, name := range names {
		if !slices.Contains(files, name+".go") {
			t.Errorf("the topic %s has no file of its name", name)
		}
	}
}

var opens = regexp.MustCompile(`(?m)^func .*\(driver\.Stmt, error\) \{`)

// TestEveryEngineRunsTheSuite finds the packages that prepare queries: those are the engines.
func TestEveryEngineRunsTheSuite(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("../*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		engine, runs := false, false
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, "_test.go") {
				runs = runs || strings.Contains(string(b), "drivertest.Run(t, ")
			} else {
				engine = engine || strings.Contains(string(b), ") Prepare(") && opens.Match(b)
			}
		}
		if !engine || filepath.Base(dir) == "drivertest" {
			continue
		}
		found++
		if !runs {
			t.Errorf("the engine %s does not run the suite: its test is drivertest.Run(t, open)", filepath.Base(dir))
		}
	}
	if found < 2 {
		t.Errorf("%d engines were found: memory and sqlite are there", found)
	}
}
