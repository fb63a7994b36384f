package memory

import (
	"context"
	"math/big"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// stmt is a prepared query: here the query itself.
type stmt struct {
	q *driver.Query
	e *Engine
}

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) { return &stmt{q: q, e: e}, nil }

// view answers queries on one state.
type view struct {
	state *state
	app   *spec.App
}

// found is a row that holds, with the parent it belongs to.
type found struct {
	parent expr.Value
	rec    []expr.Value
}

func (v *view) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	own, ok := s.(*stmt)
	if !ok {
		return fault.New(fault.Internal, "a statement of another engine")
	}
	q := own.q
	rows, err := v.hold(ctx, q, args)
	if err != nil {
		return err
	}
	switch {
	case q.Count:
		return yield(columns{expr.IntOf(int64(len(rows)))})
	case len(q.Group) > 0 || len(q.Aggregates) > 0:
		return groups(q, args, rows, yield)
	}
	rows = page(q, args, rows)
	for _, f := range rows {
		out, err := v.outputs(q, args, f)
		if err != nil {
			return err
		}
		if err := yield(out); err != nil {
			return err
		}
	}
	return nil
}

// hold finds the rows of which Where is true, by id; with Per once for each parent.
func (v *view) hold(ctx context.Context, q *driver.Query, args []expr.Value) ([]found, error) {
	tab, ok := v.state.tables[q.From.Name]
	if !ok {
		return nil, noTable(q.From.Name)
	}
	l, err := tab.layout(q.From)
	if err != nil {
		return nil, err
	}
	var rows []found
	seen := 0
	take := func(parent expr.Value, row []expr.Value) error {
		if seen++; seen%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		rec := l.record(row)
		if q.Where != nil {
			yes, err := v.holds(q.Where, rec, args)
			if err != nil || !yes {
				return err
			}
		}
		rows = append(rows, found{parent, rec})
		return nil
	}
	if q.Per != nil {
		err = perParent(tab, l, q.Per, args, take)
		return rows, err
	}
	if id, one := byID(q.Where, args); one {
		if row, ok := tab.rows.get(id.Text()); ok {
			err = take(expr.Value{}, row)
		}
		return rows, err
	}
	tab.rows.each(func(_ string, row []expr.Value) bool {
		err = take(expr.Value{}, row)
		return err == nil
	})
	return rows, err
}

func perParent(tab *table, l layout, per *driver.Per, args []expr.Value, take func(expr.Value, []expr.Value) error) error {
	asked := map[string]bool{}
	for _, parent := range args[per.Arg].List() {
		if parent.IsNull() || asked[parent.Text()] {
			continue
		}
		asked[parent.Text()] = true
		ids := []string{parent.Text()}
		if per.Ord != spec.OrdID {
			ids = tab.referring(l.cols[per.Ord], parent.Text())
		}
		for _, id := range ids {
			row, ok := tab.rows.get(id)
			if !ok {
				continue
			}
			if err := take(parent, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// byID finds the one id that a condition allows, where it says so outright. It only spares
// looking at the other rows: the whole condition is asked all the same.
func byID(n *expr.Node, args []expr.Value) (expr.Value, bool) {
	if n == nil {
		return expr.Value{}, false
	}
	switch n.Op {
	case expr.OpAnd:
		for _, a := range n.Args {
			if id, ok := byID(a, args); ok {
				return id, true
			}
		}
	case expr.OpEq:
		for i, a := range n.Args {
			if a.Op != expr.OpField || a.Index != spec.OrdID || a.Args[0].Op != expr.OpRow || a.Args[0].Index != expr.VarRecord {
				continue
			}
			switch b := n.Args[1-i]; b.Op {
			case expr.OpLit:
				return b.Val, true
			case expr.OpParam:
				return args[b.Index], true
			}
		}
	}
	return expr.Value{}, false
}

// page sorts rows, drops those up to After and those beyond the limits.
func page(q *driver.Query, args []expr.Value, rows []found) []found {
	slices.SortStableFunc(rows, func(a, b found) int {
		if q.Per != nil {
			if c := strings.Compare(a.parent.Text(), b.parent.Text()); c != 0 {
				return c
			}
		}
		for _, k := range q.Sort {
			if c := compareKey(k, a.rec[k.Ord], b.rec[k.Ord]); c != 0 {
				return c
			}
		}
		return 0
	})
	if q.After != nil {
		rows = slices.DeleteFunc(rows, func(f found) bool { return !behind(q, args, f.rec) })
	}
	if q.Per != nil && q.Per.Limit >= 0 {
		rows = firstOfEach(rows, int(args[q.Per.Limit].Int()))
	}
	if q.Limit >= 0 {
		rows = rows[:min(len(rows), int(args[q.Limit].Int()))]
	}
	return rows
}

func compareKey(k driver.Key, a, b expr.Value) int {
	if k.Desc {
		a, b = b, a
	}
	return expr.Compare(a, b)
}

// behind says whether a record comes after the row that After names.
func behind(q *driver.Query, args []expr.Value, rec []expr.Value) bool {
	for i, k := range q.Sort[:len(q.After.Args)] {
		var at expr.Value
		if !q.After.Null[i] {
			at = args[q.After.Args[i]]
		}
		if c := compareKey(k, rec[k.Ord], at); c != 0 {
			return c > 0
		}
	}
	return false
}

// firstOfEach keeps the first n rows of each parent; rows of one parent are together.
func firstOfEach(rows []found, n int) []found {
	var kept []found
	run := 0
	for i, f := range rows {
		if i > 0 && f.parent.Text() != rows[i-1].parent.Text() {
			run = 0
		}
		if run < n {
			kept = append(kept, f)
		}
		run++
	}
	return kept
}

func (v *view) outputs(q *driver.Query, args []expr.Value, f found) (columns, error) {
	out := make(columns, 0, len(q.Cols)+1)
	if q.Per != nil {
		out = append(out, f.parent)
	}
	out, err := v.cols(out, q.Cols, f.rec, args)
	for _, j := range q.Joins {
		if err != nil {
			return nil, err
		}
		var rec []expr.Value
		if rec, err = v.beside(&j, f.rec, args); err == nil {
			out, err = v.cols(out, j.Cols, rec, args)
		}
	}
	return out, err
}

// cols appends outputs of a record; all are null, or false, where there is none.
func (v *view) cols(out columns, cols []driver.Col, rec []expr.Value, args []expr.Value) (columns, error) {
	for _, c := range cols {
		yes := rec != nil
		if c.If != nil {
			var err error
			if yes {
				if yes, err = v.holds(c.If, rec, args); err != nil {
					return nil, err
				}
			}
			out = append(out, expr.BoolOf(yes))
		}
		var value expr.Value
		if yes {
			value = rec[c.Ord]
		}
		out = append(out, value)
	}
	return out, nil
}

// beside is the record that stands beside another; nil is none.
func (v *view) beside(j *driver.Join, rec []expr.Value, args []expr.Value) ([]expr.Value, error) {
	tab, ok := v.state.tables[j.To.Name]
	if !ok {
		return nil, noTable(j.To.Name)
	}
	l, err := tab.layout(j.To)
	if err != nil || rec[j.Ord].IsNull() {
		return nil, err
	}
	row, ok := tab.rows.get(rec[j.Ord].Text())
	if !ok {
		return nil, nil
	}
	other := l.record(row)
	if j.Where != nil {
		if yes, err := v.holds(j.Where, other, args); err != nil || !yes {
			return nil, err
		}
	}
	return other, nil
}

// groups answers for each distinct value of the group's fields, in their order.
func groups(q *driver.Query, args []expr.Value, rows []found, yield func(driver.Columns) error) error {
	key := func(a, b found) int {
		for _, ord := range q.Group {
			if c := expr.Compare(a.rec[ord], b.rec[ord]); c != 0 {
				return c
			}
		}
		return 0
	}
	slices.SortStableFunc(rows, key)
	limit := -1
	if q.Limit >= 0 {
		limit = int(args[q.Limit].Int())
	}
	if len(rows) == 0 && len(q.Group) == 0 && limit != 0 {
		return group(q, nil, yield)
	}
	for n := 0; len(rows) > 0 && n != limit; n++ {
		end := 1
		for end < len(rows) && key(rows[0], rows[end]) == 0 {
			end++
		}
		if err := group(q, rows[:end], yield); err != nil {
			return err
		}
		rows = rows[end:]
	}
	return nil
}

func group(q *driver.Query, rows []found, yield func(driver.Columns) error) error {
	out := make(columns, 0, len(q.Group)+len(q.Aggregates))
	for _, ord := range q.Group {
		out = append(out, rows[0].rec[ord])
	}
	for _, a := range q.Aggregates {
		out = append(out, aggregate(a, rows))
	}
	return yield(out)
}

func aggregate(a driver.Aggregate, rows []found) expr.Value {
	if a.Func == "count" {
		n := 0
		for _, f := range rows {
			if a.Ord < 0 || !f.rec[a.Ord].IsNull() {
				n++
			}
		}
		return expr.IntOf(int64(n))
	}
	if a.Func == "sum" {
		return sum(a.Ord, rows)
	}
	var out expr.Value
	for _, f := range rows {
		v := f.rec[a.Ord]
		switch {
		case v.IsNull():
		case out.IsNull():
			out = v
		case a.Func == "min" && expr.Compare(v, out) < 0, a.Func == "max" && expr.Compare(v, out) > 0:
			out = v
		}
	}
	return out
}

// sum adds whole numbers, or decimals of one scale.
func sum(ord int, rows []found) expr.Value {
	total, n := new(big.Int), new(big.Int)
	none := true
	for _, f := range rows {
		if v := f.rec[ord]; !v.IsNull() {
			none = false
			total.Add(total, n.SetInt64(v.Int()))
		}
	}
	if none {
		return expr.Value{}
	}
	return expr.TextOf(total.String())
}

func (v *view) holds(n *expr.Node, rec []expr.Value, args []expr.Value) (bool, error) {
	return expr.Holds(n, &expr.Scope{Rows: [][]expr.Value{rec}, Params: args, Fetch: v})
}

// Fetch finds a record that a path leads to.
func (v *view) Fetch(collection, id string) ([]expr.Value, error) {
	tab, l, err := v.find(collection)
	if err != nil {
		return nil, err
	}
	row, ok := tab.rows.get(id)
	if !ok {
		return nil, nil
	}
	return l.record(row), nil
}

// Referring finds the records that refer to id, by id.
func (v *view) Referring(collection string, ord int, id string) ([][]expr.Value, error) {
	tab, l, err := v.find(collection)
	if err != nil {
		return nil, err
	}
	ids := tab.referring(l.cols[ord], id)
	recs := make([][]expr.Value, len(ids))
	for i, id := range ids {
		row, _ := tab.rows.get(id)
		recs[i] = l.record(row)
	}
	return recs, nil
}

func (v *view) find(collection string) (*table, layout, error) {
	if v.app == nil {
		return nil, layout{}, fault.New(fault.Internal, "memory: Use comes before a path to %s", collection)
	}
	c, ok := v.app.Collection(collection)
	tab := v.state.tables[collection]
	if !ok || tab == nil {
		return nil, layout{}, noTable(collection)
	}
	l, err := tab.layout(c)
	return tab, l, err
}
