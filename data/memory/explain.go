package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Text names the query: there is no statement.
func (s *stmt) Text() string { return "memory: " + s.q.From.Name }

// Explain says which declared index would serve the query on an engine that has them: the one whose
// columns the condition fixes, followed by the keys of the sort.
func (s *stmt) Explain(_ context.Context, args []expr.Value) (driver.Explanation, error) {
	q := s.q
	if _, one := byID(q.Where, args); one {
		return driver.Explanation{Steps: []string{"find " + q.From.Name + " by id"}, Indexes: []string{"id"}}, nil
	}
	fixed := map[int]bool{}
	fixedFields(q.Where, fixed)
	if q.Per != nil {
		fixed[q.Per.Ord] = true
	}
	best, served, sorted := "", 0, len(q.Sort) == 0
	if tab := s.e.state.Load().tables[q.From.Name]; tab != nil {
		for _, x := range tab.def.Indexes {
			n := 0
			for n < len(x.Columns) && fixed[ordinal(q.From, x.Columns[n])] {
				n++
			}
			inOrder := follows(q, x.Columns[n:], fixed)
			if n > served || inOrder && !sorted && n == served {
				best, served, sorted = x.Name, n, inOrder
			}
		}
	}
	if !sorted && served == 0 && follows(q, []string{"id"}, fixed) {
		sorted = true
	}
	if best == "" {
		return driver.Explanation{Steps: []string{"read " + q.From.Name}, Scans: []string{q.From.Name}, Sorts: !sorted}, nil
	}
	return driver.Explanation{Steps: []string{fmt.Sprintf("find %s by %s", q.From.Name, best)}, Indexes: []string{best}, Sorts: !sorted}, nil
}

// fixedFields marks the fields that a condition holds to one value.
func fixedFields(n *expr.Node, fixed map[int]bool) {
	if n == nil {
		return
	}
	switch n.Op {
	case expr.OpAnd:
		for _, a := range n.Args {
			fixedFields(a, fixed)
		}
	case expr.OpEq:
		for i, a := range n.Args {
			b := n.Args[1-i]
			if a.Op == expr.OpField && a.Args[0].Op == expr.OpRow && a.Args[0].Index == expr.VarRecord && (b.Op == expr.OpLit || b.Op == expr.OpParam) {
				fixed[a.Index] = true
			}
		}
	}
}

// follows says whether rows in the order of these columns are in the order of the query.
func follows(q *driver.Query, cols []string, fixed map[int]bool) bool {
	i, dir := 0, -1
	for _, k := range q.Sort {
		if fixed[k.Ord] {
			continue
		}
		if i >= len(cols) || ordinal(q.From, cols[i]) != k.Ord {
			return false
		}
		d := 0
		if k.Desc {
			d = 1
		}
		if dir >= 0 && d != dir {
			return false
		}
		i, dir = i+1, d
	}
	return true
}

func ordinal(c *spec.Collection, column string) int {
	return slices.IndexFunc(c.Fields, func(f *spec.Field) bool { return f.Name == column })
}
