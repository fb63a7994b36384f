package data_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
)

// The parts of a rule that are told are those without which its answer would be another.
func TestDecisive(t *testing.T) {
	t.Parallel()
	// true t and false f, each part behind what it is part of, a step deeper.
	for _, c := range []struct{ parts, want string }{
		{"f0:a", "a"},
		{"f0:&& t1:a f1:b", "b"},
		{"t0:&& t1:a t1:b", "a b"},
		{"t0:|| t1:a f1:b", "a"},
		{"f0:|| f1:a f1:b", "a b"},
		{"f0:! t1:a", "a"},
		{"f0:|| f1:&& t2:a f2:b f1:c", "b c"},
		{"t0:|| f1:a t1:&& t2:b t2:! f3:c", "b c"},
		{"f0:&& t1:|| t2:a f2:b f1:! t2:|| t3:c f3:d", "c"},
	} {
		v := data.Verdict{}
		for p := range strings.FieldsSeq(c.parts) {
			v.Parts = append(v.Parts, data.Part{Text: p[3:], Holds: p[0] == 't', Depth: int(p[1] - '0')})
		}
		var got []string
		for _, p := range v.Decisive() {
			got = append(got, p.Text)
		}
		if want := strings.Fields(c.want); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.parts, got, want)
		}
	}
}
