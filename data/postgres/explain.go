package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// node is a node of a plan, as EXPLAIN (FORMAT JSON) tells it.
type node struct {
	Type   string `json:"Node Type"`
	Table  string `json:"Relation Name"`
	Alias  string `json:"Alias"`
	Index  string `json:"Index Name"`
	Cond   string `json:"Index Cond"`
	Filter string `json:"Filter"`
	Plans  []node `json:"Plans"`
}

// declaredIndex is an index as it was asked for.
type declaredIndex struct{ name, first string }

// Explain asks how the server would answer without what it does in a small table, or for a large part of
// one, whatever indexes there are: reading it whole, and in the order in which it lies.
func (s *stmt) Explain(ctx context.Context, args []expr.Value) (driver.Explanation, error) {
	var x driver.Explanation
	c, err := s.e.take(ctx)
	if err != nil {
		return x, err
	}
	defer s.e.give(c, rollback)
	if _, err := c.pg.Exec(ctx, beginRead+"; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off").ReadAll(); err != nil {
		return x, during(ctx, "explain", err)
	}
	indexes := map[string]declaredIndex{}
	err = c.each(ctx, `SELECT "sqlname", "name", "columns"::json->>0 FROM "_indexes"`, nil, func(row *columns) error {
		indexes[string(row.raw[0])] = declaredIndex{string(row.raw[1]), string(row.raw[2])}
		return nil
	})
	if err != nil {
		return x, during(ctx, "explain", err)
	}
	explained := *s.statement(args)
	explained.SQL = "EXPLAIN (FORMAT JSON) " + explained.SQL
	var text []byte
	_, err = c.ask(ctx, nil, &explained, args, func(row driver.Columns) error {
		text = slices.Clone(row.(*columns).raw[0])
		return nil
	})
	if err != nil {
		return x, during(ctx, "explain", err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) == 0 {
		return x, &fault.Error{Kind: fault.Internal, Op: "explain", Msg: "the server's explanation cannot be read", Err: err}
	}
	s.look(&x, &plans[0].Plan, "", indexes, 0)
	return x, nil
}

// look tells a node, which belongs to a table, and those below it. An index of which the first column is
// free is read whole, as its table would be.
func (s *stmt) look(x *driver.Explanation, n *node, table string, indexes map[string]declaredIndex, depth int) {
	n.Table, n.Index = sqldb.Named(n.Table), sqldb.Named(n.Index)
	if n.Table != "" {
		table = n.Table
	}
	step := n.Type
	for _, detail := range []struct{ word, text string }{{" using ", n.Index}, {" on ", n.Table}, {": ", n.Cond}, {", filter: ", n.Filter}} {
		if detail.text != "" {
			step += detail.word + detail.text
		}
	}
	x.Steps = append(x.Steps, strings.Repeat("  ", depth)+step)
	x.Sorts = x.Sorts || strings.HasSuffix(n.Type, "Sort")
	if sqldb.Beside(n.Alias) {
		return
	}
	whole := n.Type == "Seq Scan"
	if n.Index != "" {
		index, ok := indexes[n.Index]
		if !ok {
			index, ok = indexes[table] // of a list: its side table
		}
		if !ok {
			index = declaredIndex{"id", "id"}
		}
		if !slices.Contains(x.Indexes, index.name) {
			x.Indexes = append(x.Indexes, index.name)
		}
		whole = s.q.Where != nil && !strings.Contains(table, "$") && !strings.Contains(n.Cond, index.first)
	}
	if whole && !slices.Contains(x.Scans, table) {
		x.Scans = append(x.Scans, table)
	}
	for i := range n.Plans {
		s.look(x, &n.Plans[i], table, indexes, depth+1)
	}
}
