package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
)

// differ finds the steps from one shape to another. It changes cur as the steps would, so that
// every step is seen from where the ones before it lead, and a plan that was interrupted anywhere
// is simply the plan from there.
//
// A table is changed by expanding before contracting: what is new is added and filled while the
// old is still there. A column whose kind changes is made beside the old one under a temporary
// name, filled in Go, and takes its place.
type differ struct {
	cur   *shape
	want  *shape
	steps []Step
}

func diff(now, want *shape) []Step {
	d := &differ{cur: now.clone(), want: want}
	d.renameTables()
	for _, w := range want.Tables {
		if d.cur.table(w.Name) == nil {
			d.emit(action{Change: &driver.Step{Kind: driver.CreateTable, New: w.def()}, Table: w.clone(false)}, false, "add collection %s", w.Name)
		}
	}
	for _, w := range want.Tables {
		if t := d.cur.table(w.Name); t.origin != "" {
			d.table(t, w)
		}
	}
	for _, t := range slices.Clone(d.cur.Tables) {
		// A room of Plinth that is switched off keeps what it knows.
		if want.table(t.Name) == nil && !strings.HasPrefix(t.Name, "_") {
			d.emit(action{Change: &driver.Step{Kind: driver.DropTable, Table: t.Name}}, true, "drop collection %s", t.Name)
		}
	}
	return d.steps
}

func (d *differ) emit(a action, lossy bool, format string, args ...any) {
	s := Step{Text: fmt.Sprintf(format, args...), Lossy: lossy, do: a}
	switch {
	case a.Fill != nil:
		t := d.cur.table(a.Fill.Table)
		s.table = t.origin
		if from := t.column(a.Fill.From); from != nil {
			s.column = from.origin
		}
	case a.Change.Kind == driver.CreateIndex:
		s.of = d.cur.table(a.Change.Table)
	case a.Change.Kind == driver.AddColumn:
		s.table = d.cur.table(a.Change.Table).origin
	case a.Change.Kind == driver.DropTable:
		s.table = d.cur.table(a.Change.Table).origin
	case a.Change.Kind == driver.DropColumn:
		t := d.cur.table(a.Change.Table)
		s.table, s.column = t.origin, t.column(a.Change.Column.Name).origin
	}
	d.steps = append(d.steps, s)
	d.cur.apply(a)
}

func (d *differ) renameTables() {
	for again := true; again; {
		again = false
		for _, w := range d.want.Tables {
			if w.was != "" && d.cur.table(w.Name) == nil && d.cur.table(w.was) != nil {
				d.emit(action{Change: &driver.Step{Kind: driver.RenameTable, Table: w.was, To: w.Name}}, false,
					"rename collection %s to %s", w.was, w.Name)
				again = true
			}
		}
	}
}

// table brings one table that is there to what is wanted.
func (d *differ) table(t, w *tableShape) {
	d.finishReplacements(t)
	d.renameColumns(t, w)

	replaced := map[string]bool{} // columns that another takes the place of
	refilled := map[string]bool{} // companions whose values are computed anew
	for _, c := range w.Columns {
		have := t.column(c.Name)
		switch {
		case have == nil:
		case !have.holdsSame(c):
			replaced[c.Name] = true
		case !c.Own && (have.Calc != c.Calc || have.Unfilled):
			refilled[c.Name] = true
		}
	}
	d.dropStale(t, w, replaced)
	d.add(t, w, replaced)
	d.dropIndexes(t, w, func(column string) bool { return replaced[column] || refilled[column] })
	d.replace(t, w, replaced)
	d.fill(t, w)
	for _, c := range slices.Clone(t.Columns) {
		if w.column(c.Name) != nil {
			continue
		}
		if c.Own {
			d.emit(drop(t, c), true, "drop field %q of %s", c.Name, t.Name)
		} else {
			d.emit(drop(t, c), false, "drop the hidden column %q of %s", c.Name, t.Name)
		}
	}
	for _, x := range w.Indexes {
		if t.index(x.Name) == nil {
			d.emit(action{Change: &driver.Step{Kind: driver.CreateIndex, Table: t.Name, Index: x}}, false,
				"add %sindex %q to %s", unique(x), x.Name, t.Name)
		}
	}
}

func unique(x driver.TableIndex) string {
	if x.Unique {
		return "unique "
	}
	return ""
}

func drop(t *tableShape, c *columnShape) action {
	return action{Change: &driver.Step{Kind: driver.DropColumn, Table: t.Name, Column: c.Column}}
}

func rename(t *tableShape, c *columnShape, to string) action {
	return action{Change: &driver.Step{Kind: driver.RenameColumn, Table: t.Name, Column: c.Column, To: to}}
}

// finishReplacements renames the columns whose predecessor was dropped when a plan was interrupted.
func (d *differ) finishReplacements(t *tableShape) {
	for _, c := range slices.Clone(t.Columns) {
		if base, ok := strings.CutSuffix(c.Name, temporary); ok && t.column(base) == nil {
			d.emit(rename(t, c, base), false, "put the converted field %q of %s in its place", base, t.Name)
		}
	}
}

func (d *differ) renameColumns(t, w *tableShape) {
	for again := true; again; {
		again = false
		for _, c := range w.Columns {
			if c.was == "" || t.column(c.Name) != nil {
				continue
			}
			old := t.column(c.was)
			if old == nil {
				continue
			}
			again = true
			d.emit(rename(t, old, c.Name), false, "rename field %q of %s to %q", c.was, t.Name, c.Name)
			for _, companion := range []string{"$fold", "$key"} {
				if h := t.column(c.was + companion); h != nil && t.column(c.Name+companion) == nil {
					d.emit(rename(t, h, c.Name+companion), false, "rename the hidden column %q of %s to %q", c.was+companion, t.Name, c.Name+companion)
				}
			}
		}
	}
}

// dropStale drops columns that were to replace another, where that is wanted no longer.
func (d *differ) dropStale(t, w *tableShape, replaced map[string]bool) {
	for _, c := range slices.Clone(t.Columns) {
		base, ok := strings.CutSuffix(c.Name, temporary)
		if ok && (!replaced[base] || !c.holdsSame(w.column(base)) || !slices.Equal(c.Sealed, w.column(base).Sealed)) {
			d.emit(drop(t, c), false, "drop the unfinished conversion of field %q of %s", base, t.Name)
		}
	}
}

// add adds columns: new fields, new companions, and those that will replace another.
func (d *differ) add(t, w *tableShape, replaced map[string]bool) {
	for _, c := range w.Columns {
		switch {
		case replaced[c.Name]:
			d.addReplacement(t, c)
		case t.column(c.Name) == nil:
			n := *c
			n.Unfilled = !c.Own || c.fills
			text := `add field %q (%s) to %s`
			if !c.Own {
				text = `add the hidden column %q (%s) to %s`
			}
			d.emit(action{Change: &driver.Step{Kind: driver.AddColumn, Table: t.Name, Column: c.Column}, Column: &n}, false,
				text, c.Name, c.Type, t.Name)
		}
		if have := t.column(c.Name); c.Own && c.fills && have != nil && have.Unfilled && !replaced[c.Name] {
			d.emit(action{Fill: newFill(t, c, fillDefault)}, false, "set field %q to its default in the %s that are there", c.Name, t.Name)
		}
	}
}

func (d *differ) addReplacement(t *tableShape, c *columnShape) {
	have := t.column(c.Name)
	what := fmt.Sprintf("convert field %q of %s from %s to %s", c.Name, t.Name, have.Type, c.Type)
	if have.Type == c.Type {
		what = fmt.Sprintf("store field %q of %s anew", c.Name, t.Name)
	}
	n := *c
	n.Name += temporary
	n.Unfilled = true
	if t.column(n.Name) == nil {
		d.emit(action{Change: &driver.Step{Kind: driver.AddColumn, Table: t.Name, Column: n.Column}, Column: &n}, false,
			"%s: add the new column", what)
	}
	will := t.column(n.Name)
	will.origin, will.converts = have.origin, true
	if will.Unfilled {
		f := newFill(t, c, fillConvert)
		f.Column, f.From = n.Name, c.Name
		d.emit(action{Fill: f}, false, "%s: copy the values", what)
	}
}

// dropIndexes drops the indexes that are wanted no longer, and those of columns that are about to
// change under them.
func (d *differ) dropIndexes(t, w *tableShape, changes func(column string) bool) {
	for _, x := range slices.Clone(t.Indexes) {
		want := w.index(x.Name)
		same := want != nil && want.Unique == x.Unique && slices.Equal(want.Columns, x.Columns)
		text := "drop index %q of %s"
		if same && slices.ContainsFunc(x.Columns, changes) {
			same, text = false, "drop index %q of %s while its columns change"
		}
		if !same {
			d.emit(action{Change: &driver.Step{Kind: driver.DropIndex, Table: t.Name, Index: x}}, false, text, x.Name, t.Name)
		}
	}
}

func (d *differ) replace(t, w *tableShape, replaced map[string]bool) {
	for _, c := range w.Columns {
		if !replaced[c.Name] {
			continue
		}
		d.emit(drop(t, t.column(c.Name)), false, "drop the old column of field %q of %s", c.Name, t.Name)
		d.emit(rename(t, t.column(c.Name+temporary), c.Name), false, "put the converted field %q of %s in its place", c.Name, t.Name)
	}
}

// fill seals anew what was sealed for another place, and computes companions: folds and hashes
// first, because conditions of partial indexes are asked of them.
func (d *differ) fill(t, w *tableShape) {
	for _, c := range w.Columns {
		if have := t.column(c.Name); c.Sealed != nil && !slices.Equal(have.Sealed, c.Sealed) {
			d.emit(action{Fill: newFill(t, c, fillReseal)}, false, "seal field %q of %s for its new name", c.Name, t.Name)
		}
	}
	for _, partial := range []bool{false, true} {
		for _, c := range w.Columns {
			have := t.column(c.Name)
			if c.Own || strings.HasPrefix(c.Calc, "partial") != partial || !have.Unfilled && have.Calc == c.Calc {
				continue
			}
			d.emit(action{Fill: newFill(t, c, fillCompanion)}, false, "compute the hidden column %q of %s", c.Name, t.Name)
		}
	}
}

// drift names what differs between the shape that Apply left and the tables there are, and puts the
// shape right where something is missing, so that a plan makes it again. What was added by others is
// named and left alone.
func drift(s *shape, tables []driver.Table) []string {
	var out []string
	report := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	found := map[string]driver.Table{}
	for _, t := range tables {
		found[t.Name] = t
		if s.table(t.Name) == nil && t.Name != journalTable {
			report("table %q was made outside Plinth", t.Name)
		}
	}
	s.Tables = slices.DeleteFunc(s.Tables, func(t *tableShape) bool {
		_, there := found[t.Name]
		if !there {
			report("collection %s was dropped outside Plinth", t.Name)
		}
		return !there
	})
	for _, t := range s.Tables {
		driftTable(t, found[t.Name], report)
	}
	return out
}

func driftTable(t *tableShape, is driver.Table, report func(string, ...any)) {
	columns := map[string]driver.Column{}
	for _, c := range is.Columns {
		columns[c.Name] = c
		if t.column(c.Name) == nil {
			report("column %q of %s was added outside Plinth", c.Name, t.Name)
		}
	}
	t.Columns = slices.DeleteFunc(t.Columns, func(c *columnShape) bool {
		got, there := columns[c.Name]
		switch {
		case !there:
			report("column %q of %s was dropped outside Plinth", c.Name, t.Name)
		case !storedAlike(c.Column, got):
			report("column %q of %s was changed outside Plinth", c.Name, t.Name)
		}
		return !there
	})
	for _, x := range is.Indexes {
		if t.index(x.Name) == nil {
			report("index %q of %s was added outside Plinth", x.Name, t.Name)
		}
	}
	t.Indexes = slices.DeleteFunc(t.Indexes, func(x driver.TableIndex) bool {
		i := slices.IndexFunc(is.Indexes, func(y driver.TableIndex) bool { return y.Name == x.Name })
		switch {
		case i < 0:
			report("index %q of %s was dropped outside Plinth", x.Name, t.Name)
		case is.Indexes[i].Unique != x.Unique || !slices.Equal(is.Indexes[i].Columns, x.Columns):
			report("index %q of %s was changed outside Plinth", x.Name, t.Name)
		}
		return i < 0
	})
}
