package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Apply runs one step. Collections do not change in transactions: the fence's begins before the step and
// commits after it. Where the fence has written to the collection of the step, which would then wait for it, it
// is undone before the step and run again after it.
func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	ctx = context.WithoutCancel(ctx)
	switch {
	case fence == nil:
		return e.step(ctx, s)
	case !e.can.transactions:
		t := &single{e: e, in: ctx}
		if err := fence(t); err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		if err := e.step(ctx, s); err != nil {
			return err
		}
		return t.flush(ctx)
	}
	t, err := e.begin(ctx)
	if err != nil {
		return err
	}
	if err := fence(t); err != nil {
		t.undo()
		return err
	}
	if t.failed != nil {
		t.undo()
		return t.failed
	}
	within := t.touched[s.Table] || t.touched[s.To]
	if within {
		t.undo()
	}
	if err := e.step(ctx, s); err != nil {
		if !within {
			t.undo()
		}
		return err
	}
	if !within {
		return t.commit()
	}
	if t, err = e.begin(ctx); err != nil {
		return err
	}
	return t.run(fence)
}

// step changes the collection and then its entry. One that is done is done again without harm. Only to rename a table are
// the entries of others looked at.
func (e *Engine) step(ctx context.Context, s driver.Step) error {
	which := field("_id", s.Table)
	switch s.Kind {
	case driver.RenameTable:
		which = bson.D{}
		defer e.forget()
	case driver.CreateTable:
		which = field("_id", s.New.Name)
		defer e.forget(s.New.Name)
	default:
		defer e.forget(s.Table)
	}
	tables, err := e.entries(ctx, which)
	if err != nil {
		return err
	}
	return classify("change the schema", e.change(ctx, tables, s))
}

func (e *Engine) change(ctx context.Context, tables map[string]*table, s driver.Step) error {
	switch s.Kind {
	case driver.CreateTable:
		return e.createTable(ctx, tables, s.New)
	case driver.DropTable:
		if err := e.server.drop(ctx, s.Table); err != nil {
			return err
		}
		_, err := e.server.delete(ctx, catalogue, field("_id", s.Table))
		return err
	case driver.RenameTable:
		return e.renameTable(ctx, tables, s.Table, s.To)
	}
	t := tables[s.Table]
	if t == nil {
		return fault.New(fault.Internal, "there is no table %q", s.Table)
	}
	at := t.column(s.Column.Name)
	switch s.Kind {
	case driver.AddColumn:
		if at >= 0 {
			return nil
		}
		if err := e.side(ctx, s.Table, s.Column); err != nil {
			return err
		}
		t.Columns = append(t.Columns, columnOf(s.Column))
	case driver.RenameColumn:
		if at < 0 {
			return nil
		}
		if err := e.renameColumn(ctx, t, at, s.To); err != nil {
			return err
		}
	case driver.DropColumn:
		if at < 0 {
			return nil
		}
		if err := e.dropColumn(ctx, t, at); err != nil {
			return err
		}
	case driver.CreateIndex:
		if t.index(s.Index.Name) >= 0 {
			return nil
		}
		for _, c := range s.Index.Columns {
			if t.column(c) < 0 {
				return fault.New(fault.Internal, "%s has no column %q", t.Name, c)
			}
		}
		if err := e.createIndex(ctx, t.Name, tableIndex(s.Index)); err != nil {
			return err
		}
		t.Indexes = append(t.Indexes, tableIndex(s.Index))
	case driver.DropIndex:
		i := t.index(s.Index.Name)
		if i < 0 {
			return nil
		}
		if err := e.server.dropIndex(ctx, t.Name, s.Index.Name); err != nil {
			return err
		}
		t.Indexes = slices.Delete(t.Indexes, i, i+1)
	}
	return e.enroll(ctx, t)
}

// enroll writes a table's entry.
func (e *Engine) enroll(ctx context.Context, t *table) error {
	columns, indexes := bson.A{}, bson.A{}
	for _, c := range t.Columns {
		columns = append(columns, c.entry())
	}
	for _, x := range t.Indexes {
		indexes = append(indexes, bson.D{{Key: "name", Value: x.Name}, {Key: "columns", Value: list(x.Columns)}, {Key: "unique", Value: x.Unique}})
	}
	_, err := e.server.update(ctx, catalogue, field("_id", t.Name), op("$set", bson.D{{Key: "columns", Value: columns}, {Key: "indexes", Value: indexes}}), upsert)
	return err
}

func (c column) entry() bson.D {
	return bson.D{{Key: "name", Value: c.Name}, {Key: "kind", Value: c.Kind}, {Key: "elem", Value: c.Elem}, {Key: "scale", Value: c.Scale},
		{Key: "ref", Value: c.Ref}, {Key: "side", Value: c.Side}, {Key: "maxlen", Value: c.MaxLen}}
}

// createIndex makes an index, and names it when it refuses what is there.
func (e *Engine) createIndex(ctx context.Context, name string, x tableIndex) error {
	keys := make([]string, len(x.Columns))
	for i, c := range x.Columns {
		keys[i] = stored(c)
	}
	err := classify("create an index", e.server.createIndex(ctx, name, index{x.Name, keys, x.Unique, x.Unique && e.can.partial}))
	if fault.Is(err, fault.Unique) {
		return &fault.Error{Kind: fault.Unique, Index: x.Name, Err: err}
	}
	return err
}

// sideIndex is the name of the index of a list's items.
func sideIndex(column string) string { return column + "$items" }

func (e *Engine) side(ctx context.Context, name string, c driver.Column) error {
	if !c.Side || c.Kind != expr.List {
		return nil
	}
	return e.createIndex(ctx, name, tableIndex{Name: sideIndex(c.Name), Columns: []string{c.Name}})
}

func (e *Engine) createTable(ctx context.Context, tables map[string]*table, d driver.Table) error {
	if tables[d.Name] != nil {
		return nil
	}
	if err := e.server.create(ctx, d.Name); err != nil {
		return err
	}
	if err := e.waited(ctx, d.Name); err != nil {
		return err
	}
	t := &table{Name: d.Name}
	for _, c := range d.Columns {
		if err := e.side(ctx, d.Name, c); err != nil {
			return err
		}
		t.Columns = append(t.Columns, columnOf(c))
	}
	for _, x := range d.Indexes {
		if err := e.createIndex(ctx, d.Name, tableIndex(x)); err != nil {
			return err
		}
		t.Indexes = append(t.Indexes, tableIndex(x))
	}
	return e.enroll(ctx, t)
}

// renameTable renames the collection, then its entry and what refers to it, and forgets the old name last: as
// long as that is known the step is not done.
func (e *Engine) renameTable(ctx context.Context, tables map[string]*table, from, to string) error {
	t := tables[from]
	if t == nil {
		return nil
	}
	if tables[to] != nil {
		names, err := e.server.collections(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(names, from) {
			return fault.New(fault.Internal, "there is a table %q already", to)
		}
	}
	if err := e.server.rename(ctx, from, to); err != nil {
		return err
	}
	renamed := *t
	renamed.Name = to
	for name, other := range tables {
		if name == from {
			other = &renamed
		}
		refers := name == from
		for i := range other.Columns {
			if other.Columns[i].Ref == from {
				other.Columns[i].Ref, refers = to, true
			}
		}
		if refers {
			if err := e.enroll(ctx, other); err != nil {
				return err
			}
		}
	}
	_, err := e.server.delete(ctx, catalogue, field("_id", from))
	return err
}

// renameColumn renames the field in every document. Its indexes are made anew: they cannot be renamed.
func (e *Engine) renameColumn(ctx context.Context, t *table, at int, to string) error {
	was := t.Columns[at]
	if _, err := e.server.update(ctx, t.Name, is(stored(was.Name), "$exists", true), op("$rename", field(stored(was.Name), stored(to))), many); err != nil {
		return err
	}
	if was.Side {
		if err := e.server.dropIndex(ctx, t.Name, sideIndex(was.Name)); err != nil {
			return err
		}
		now := was.asked()
		now.Name = to
		if err := e.side(ctx, t.Name, now); err != nil {
			return err
		}
	}
	t.Columns[at].Name = to
	for i, x := range t.Indexes {
		j := slices.Index(x.Columns, was.Name)
		if j < 0 {
			continue
		}
		if err := e.server.dropIndex(ctx, t.Name, x.Name); err != nil {
			return err
		}
		t.Indexes[i].Columns[j] = to
		if err := e.createIndex(ctx, t.Name, t.Indexes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) dropColumn(ctx context.Context, t *table, at int) error {
	was := t.Columns[at]
	if was.Side {
		if err := e.server.dropIndex(ctx, t.Name, sideIndex(was.Name)); err != nil {
			return err
		}
	}
	for i := len(t.Indexes) - 1; i >= 0; i-- {
		if slices.Contains(t.Indexes[i].Columns, was.Name) {
			if err := e.server.dropIndex(ctx, t.Name, t.Indexes[i].Name); err != nil {
				return err
			}
			t.Indexes = slices.Delete(t.Indexes, i, i+1)
		}
	}
	if _, err := e.server.update(ctx, t.Name, is(stored(was.Name), "$exists", true), op("$unset", field(stored(was.Name), "")), many); err != nil {
		return err
	}
	t.Columns = slices.Delete(t.Columns, at, at+1)
	return nil
}

// Statements are the commands of each step, as they are written in MongoDB's shell.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	for i, s := range steps {
		out[i] = e.told(s)
	}
	return out
}

func (e *Engine) told(s driver.Step) []string {
	run := func(command bson.D) string {
		text, err := bson.MarshalExtJSON(command, false, false)
		if err != nil {
			return err.Error()
		}
		return "db.runCommand(" + string(text) + ")"
	}
	made := func(name string, x driver.TableIndex) string {
		keys := make([]string, len(x.Columns))
		for i, c := range x.Columns {
			keys[i] = stored(c)
		}
		return run(bson.D{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{index{x.Name, keys, x.Unique, x.Unique && e.can.partial}.spec()}}})
	}
	all := func(change bson.D) string {
		return run(bson.D{{Key: "update", Value: s.Table}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "u", Value: change}, {Key: "multi", Value: true}}}}})
	}
	side := func(name string, c driver.Column) []string {
		if !c.Side {
			return nil
		}
		return []string{made(name, driver.TableIndex{Name: sideIndex(c.Name), Columns: []string{c.Name}})}
	}
	switch s.Kind {
	case driver.CreateTable:
		lines := []string{run(bson.D{{Key: "create", Value: s.New.Name}})}
		if e.can.carries() && e.can.partial {
			lines = append(lines, run(bson.D{{Key: "createIndexes", Value: s.New.Name}, {Key: "indexes", Value: bson.A{waits.spec()}}}))
		}
		for _, c := range s.New.Columns {
			lines = append(lines, side(s.New.Name, c)...)
		}
		for _, x := range s.New.Indexes {
			lines = append(lines, made(s.New.Name, x))
		}
		return lines
	case driver.RenameTable:
		return []string{"db.getCollection(" + quoted(s.Table) + ").renameCollection(" + quoted(s.To) + ")"}
	case driver.DropTable:
		return []string{run(bson.D{{Key: "drop", Value: s.Table}})}
	case driver.AddColumn:
		return side(s.Table, s.Column)
	case driver.RenameColumn:
		return []string{all(op("$rename", field(s.Column.Name, s.To)))}
	case driver.DropColumn:
		return []string{all(op("$unset", field(s.Column.Name, "")))}
	case driver.CreateIndex:
		return []string{made(s.Table, s.Index)}
	default:
		return []string{run(bson.D{{Key: "dropIndexes", Value: s.Table}, {Key: "index", Value: s.Index.Name}})}
	}
}
