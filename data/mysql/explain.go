package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// plan is a line of EXPLAIN: a table of a query and how its rows are found.
type plan struct{ table, how, key, ref, extra string }

// Explain asks how the server would answer without what it does in a small table, or for a large part of
// one, whatever indexes there are: reading it whole.
func (s *stmt) Explain(ctx context.Context, args []expr.Value) (driver.Explanation, error) {
	var x driver.Explanation
	c, err := s.e.pool.Take(ctx, reading)
	if err != nil {
		return x, err
	}
	r := session{e: s.e, c: c, reads: true}
	defer r.end()
	names := map[[2]string]string{}
	err = r.first(ctx, func() error {
		return r.c.each(ctx, `SELECT "tbl", "sqlname", "name" FROM "_indexes"`, func(text func(int) string) error {
			names[[2]string{text(0), text(1)}] = text(2)
			names[[2]string{text(1), ""}] = text(2) // of a list: its side table
			return nil
		})
	})
	if err == nil {
		err = r.c.exec(ctx, "SET SESSION max_seeks_for_key = 1")
	}
	if err != nil {
		return x, during(ctx, "explain", err)
	}
	defer func() {
		if r.c.exec(ctx, "SET SESSION max_seeks_for_key = DEFAULT") != nil {
			r.c.bad = true
		}
	}()
	parts, err := s.parts(args)
	if err != nil {
		return x, err
	}
	for _, part := range parts {
		lines, err := r.c.plan(ctx, part)
		if err != nil {
			return x, during(ctx, "explain", err)
		}
		for _, line := range lines {
			table := part.st.Tables[line.table]
			line.tell(&x, table, names)
		}
	}
	return x, nil
}

// plan asks for a statement's plan. The columns of EXPLAIN are not the same everywhere, so they go by name.
func (c *conn) plan(ctx context.Context, p part) ([]plan, error) {
	explained := *p.st
	explained.Outputs = nil
	var lines []plan
	_, err := c.ask(ctx, "EXPLAIN "+p.st.SQL, &explained, p.args, func(driver.Columns) error {
		line := plan{}
		k := c.top
		for i, name := range k.result.Columns() {
			text := textOf(k.cols.vals[i])
			switch strings.ToLower(name) {
			case "table":
				line.table = text
			case "type":
				line.how = text
			case "key":
				line.key = text
			case "ref":
				line.ref = text
			case "extra":
				line.extra = text
			}
		}
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

// tell adds a line to an explanation. An index of which every entry is read is no better than its table,
// unless it gives the order.
func (l *plan) tell(x *driver.Explanation, table string, names map[[2]string]string) {
	step := l.how
	for _, detail := range []struct{ word, text string }{{" of ", table}, {" using ", l.key}, {", by ", l.ref}, {": ", l.extra}} {
		if detail.text != "" {
			step += detail.word + detail.text
		}
	}
	x.Steps = append(x.Steps, step)
	if strings.HasPrefix(l.table, "<union") {
		return // the few rows of its members are put in order
	}
	x.Sorts = x.Sorts || strings.Contains(l.extra, "filesort")
	if sqldb.Beside(l.table) {
		return
	}
	if table == "" {
		if i := strings.IndexByte(l.table, '$'); i < 0 {
			return
		}
		table = l.table
	}
	name := ""
	if l.key != "" {
		var ok bool
		if name, ok = names[[2]string{table, l.key}]; !ok {
			if name, ok = names[[2]string{table, ""}]; !ok {
				name = "id"
			}
		}
		if !slices.Contains(x.Indexes, name) {
			x.Indexes = append(x.Indexes, name)
		}
	}
	whole := l.how == "ALL" || l.how == "index" && strings.Contains(l.extra, "Using where")
	if whole && !slices.Contains(x.Scans, table) {
		x.Scans = append(x.Scans, table)
	}
}
