package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	tables := e.state.Load().tables
	var out []driver.Table
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		d := tables[name].def
		d.Columns, d.Indexes = slices.Clone(d.Columns), slices.Clone(d.Indexes)
		out = append(out, d)
	}
	return out, ctx.Err()
}

// Statements is empty: there is no language between this engine and its tables.
func (e *Engine) Statements(steps ...driver.Step) [][]string { return make([][]string, len(steps)) }

func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	return e.change(ctx, func(next *state) error {
		if fence != nil {
			if err := fence(e.within(next)); err != nil {
				return err
			}
		}
		return next.apply(s)
	})
}

func (st *state) apply(s driver.Step) error {
	switch s.Kind {
	case driver.CreateTable:
		if st.tables[s.New.Name] == nil {
			st.tables[s.New.Name] = newTable(cloneDef(s.New))
		}
		return nil
	case driver.DropTable:
		delete(st.tables, s.Table)
		return nil
	case driver.RenameTable:
		return st.renameTable(s.Table, s.To)
	}
	t, ok := st.tables[s.Table]
	if !ok {
		return noTable(s.Table)
	}
	next := &table{def: cloneDef(t.def), rows: t.rows, unique: slices.Clone(t.unique), refs: &refs{}}
	if err := next.alter(s); err != nil {
		return err
	}
	st.tables[s.Table] = next
	return nil
}

func (st *state) renameTable(from, to string) error {
	t := st.tables[from]
	if t == nil {
		return nil // done before
	}
	if st.tables[to] != nil {
		return fault.New(fault.Internal, "memory: there is a table %q already", to)
	}
	delete(st.tables, from)
	st.tables[to] = t
	for name, t := range st.tables {
		next := *t
		next.def = cloneDef(t.def)
		if name == to {
			next.def.Name = to
		}
		for i := range next.def.Columns {
			if next.def.Columns[i].Ref == from {
				next.def.Columns[i].Ref = to
			}
		}
		st.tables[name] = &next
	}
	return nil
}

// alter changes a table that is not in place yet.
func (t *table) alter(s driver.Step) error {
	at := t.column(s.Column.Name)
	switch s.Kind {
	case driver.AddColumn:
		if at < 0 {
			t.def.Columns = append(t.def.Columns, s.Column)
			t.remake(func(row []expr.Value) []expr.Value { return append(slices.Clone(row), expr.Value{}) })
		}
	case driver.RenameColumn:
		if at >= 0 {
			t.def.Columns[at].Name = s.To
			for i := range t.def.Indexes {
				for j, c := range t.def.Indexes[i].Columns {
					if c == s.Column.Name {
						t.def.Indexes[i].Columns[j] = s.To
					}
				}
			}
		}
	case driver.DropColumn:
		if at >= 0 {
			for i := len(t.def.Indexes) - 1; i >= 0; i-- {
				if slices.Contains(t.def.Indexes[i].Columns, s.Column.Name) {
					t.def.Indexes = slices.Delete(t.def.Indexes, i, i+1)
					t.unique = slices.Delete(t.unique, i, i+1)
				}
			}
			t.def.Columns = slices.Delete(t.def.Columns, at, at+1)
			t.remake(func(row []expr.Value) []expr.Value { return slices.Delete(slices.Clone(row), at, at+1) })
		}
	case driver.CreateIndex:
		return t.addIndex(s.Index)
	case driver.DropIndex:
		if i := t.index(s.Index.Name); i >= 0 {
			t.def.Indexes = slices.Delete(t.def.Indexes, i, i+1)
			t.unique = slices.Delete(t.unique, i, i+1)
		}
	}
	return nil
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.def.Indexes, func(x driver.TableIndex) bool { return x.Name == name })
}

func (t *table) remake(row func([]expr.Value) []expr.Value) {
	var rows tree[[]expr.Value]
	t.rows.each(func(id string, old []expr.Value) bool {
		rows = rows.put(id, row(old))
		return true
	})
	t.rows = rows
}

func (t *table) addIndex(x driver.TableIndex) error {
	if t.index(x.Name) >= 0 {
		return nil
	}
	for _, c := range x.Columns {
		if t.column(c) < 0 {
			return fault.New(fault.Internal, "memory: %s has no column %q", t.def.Name, c)
		}
	}
	var keys tree[string]
	twice := false
	if x.Unique {
		t.rows.each(func(id string, row []expr.Value) bool {
			if key, ok := t.key(x, row); ok {
				_, had := keys.get(key)
				twice = twice || had
				keys = keys.put(key, id)
			}
			return !twice
		})
	}
	if twice {
		return &fault.Error{Kind: fault.Unique, Index: x.Name}
	}
	x.Columns = slices.Clone(x.Columns)
	t.def.Indexes = append(t.def.Indexes, x)
	t.unique = append(t.unique, keys)
	return nil
}

func cloneDef(d driver.Table) driver.Table {
	d.Columns, d.Indexes = slices.Clone(d.Columns), slices.Clone(d.Indexes)
	for i := range d.Indexes {
		d.Indexes[i].Columns = slices.Clone(d.Indexes[i].Columns)
	}
	return d
}
