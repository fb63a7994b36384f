package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing wrong with the app file.
type Problem struct {
	File       string `json:"file"`   // within the folder, with slashes
	Line       int    `json:"line"`   // from 1
	Column     int    `json:"column"` // from 1, in characters
	Code       string `json:"code"`   // syntax quote env unknown duplicate required type name reserved ref option value conflict rule limit missing; of expressions: syntax unknown type
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"` // what was probably meant
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if p.Suggestion != "" {
		s += fmt.Sprintf(" (did you mean %q?)", p.Suggestion)
	}
	return s
}

// Problems is all that is wrong with an app file, in the order of the file.
type Problems struct{ List []Problem }

func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, x := range p.List {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

const maxProblems = 200

// sorted puts problems in the order of the files they are in, without repetitions.
func sorted(list []Problem, files map[string]int) []Problem {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list = slices.Compact(list)
	return list[:min(len(list), maxProblems)]
}

// nearest finds the word that was probably meant, or "".
func nearest(word string, words []string) string {
	best, found := max(1, min(3, utf8.RuneCountInString(word)/3))+1, ""
	if len(word) > 64 || len(words) > 500 {
		return ""
	}
	lower := strings.ToLower(word)
	for _, w := range words {
		if w == word || len(w) > 64 {
			continue
		}
		if d := distance(lower, strings.ToLower(w)); d < best && d < len(lower) {
			best, found = d, w
		}
	}
	return found
}

// distance counts insertions, removals, replacements and swaps of neighbours.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			same := 1
			if x[i-1] == y[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
