package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with the app file, or worth knowing of it.
type Problem struct {
	File       string `json:"file"`   // within the folder, with slashes
	Line       int    `json:"line"`   // from 1
	Column     int    `json:"column"` // from 1, in characters
	Code       string `json:"code"`   // syntax quote env unknown duplicate required type name reserved ref option value conflict rule limit missing; of expressions: syntax unknown type; of notes: idle closed
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
