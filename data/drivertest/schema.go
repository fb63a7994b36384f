package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const before = `
  makers:
    fields: {name: {type: text, required: true, max: 20}}
    access: {read: true}
  things:
    fields:
      name: {type: text, required: true, max: 20}
      price: {type: int}
      size: {type: text, max: 9}
      maker: {type: ref, to: makers, inverse: things}
      tags: {type: list, of: text, max: 5}
      code: {type: text, max: 20}
      gone: {type: int}
    indexes: [[price, size]]
    access: {read: true}
  dropped: {fields: {name: {type: text, max: 9}}, access: {read: true}}
`

const after = `
  brands:
    was: makers
    fields: {name: {type: text, required: true, max: 20, ci: true, unique: true}}
    access: {read: true}
  things:
    fields:
      name: {type: text, required: true, max: 20}
      price: {type: decimal, precision: 10, scale: 2}
      extent: {type: int, was: size}
      maker: {type: ref, to: brands, inverse: things}
      tags: {type: list, of: text, max: 5}
      code: {type: text, max: 20, encrypted: true, searchable: true}
      extra: {type: text, max: 9, default: none}
      others: {type: list, of: ref, to: things}
    indexes:
      - [price, extent]
      - [tags]
      - {fields: [name], unique: true, where: 'extent > 1', name: one_large}
    access: {read: true}
  added: {fields: {name: {type: text, max: 9}, thing: {type: ref, to: things, inverse: added}}, access: {read: true}}
`

// schema: tables are what was asked for, every step may be done again, an unsuccessful one changes
// nothing, and a plan turns one schema into another with its records.
func schema(s *suite) {
	s.expect("tables are what was asked for", func() error {
		for _, text := range []string{before, after, nullable, library} {
			a := app(s, text)
			if err := sameTables(openTables(s, a, s.open), data.Tables(a)); err != nil {
				return err
			}
		}
		return nil
	})
	s.expect("a plan from one schema to another", func() error { return s.evolve() })
	s.expect("duplicates that a conversion would make", func() error { return s.duplicates() })
	s.expect("texts that are too long for an index", func() error { return s.tooLong() })
	s.steps()
	s.fences()
}

// sameTables compares an engine's tables with those there should be; the order of columns tells only
// how they came there.
func sameTables(eng driver.Engine, want []driver.Table) error {
	got, err := eng.Inspect(context.Background())
	if err != nil {
		return err
	}
	got = slices.DeleteFunc(got, func(t driver.Table) bool { return t.Name == "_migrations" })
	sorted := []cmp.Option{cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b driver.Table) bool { return a.Name < b.Name }),
		cmpopts.SortSlices(func(a, b driver.Column) bool { return a.Name < b.Name }),
		cmpopts.SortSlices(func(a, b driver.TableIndex) bool { return a.Name < b.Name }),
		cmpopts.IgnoreFields(driver.Column{}, "MaxLen")}
	if diff := cmp.Diff(want, got, sorted...); diff != "" {
		return errors.New(diff)
	}
	return nil
}

func (s *suite) evolve() error {
	old, now := app(s, before), app(s, after)
	p := s.pairOf(old)
	p.create("makers", `"name":"Ä"`, `"name":"b"`)
	p.create("things", `"name":"a","price":5,"size":"1","maker":"`+id(1)+`","tags":["x","y"],"code":"c1","gone":1`,
		`"name":"b","price":-7,"size":"2","tags":[],"code":"c2"`, `"name":"c"`)
	p.create("dropped", `"name":"x"`)
	q := &pair{suite: s, app: now, eng: p.eng, oracle: p.oracle}
	for _, eng := range []driver.Engine{p.eng, p.oracle} {
		plan, err := data.Plan(context.Background(), now, eng, secret)
		if err != nil {
			return err
		}
		if err := plan.Apply(context.Background(), eng, data.ApplyOptions{}); !fault.Is(err, fault.Invalid) {
			return fmt.Errorf("%v, want that the loss is refused", err)
		}
		if err := plan.Apply(context.Background(), eng, data.ApplyOptions{AllowLoss: true}); err != nil {
			return err
		}
		left, err := data.Plan(context.Background(), now, eng, secret)
		if err != nil || len(left.Steps)+len(left.Drift) > 0 {
			return fmt.Errorf("left to do: %+v, drift %q (%w)", left.Steps, left.Drift, err)
		}
		if err := sameTables(eng, data.Tables(now)); err != nil {
			return err
		}
	}
	q.openData()
	q.ask("things",
		question{filter: `price == "5.00"`, want: "a"},
		question{filter: `extent == 2`, want: "b"},
		question{filter: `extra == "none"`, want: "a b c"},
		question{filter: `maker.name == "ä"`, want: "a"},
		question{filter: `"y" in tags`, want: "a"},
		question{filter: `code == "c2"`, want: "b"},
		question{filter: `code == null`, want: "c"},
		question{sort: "-price", want: "a b c"},
	)
	q.ask("brands", question{filter: `things.exists(t, t.extent == 1)`, want: "Ä"})
	q.refuses("a unique fold that was there before", fault.Conflict, "unique", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "brands", parse(q, `{"name":"ä"}`), data.WriteOptions{})
		return err
	})
	q.refuses("a partial unique value that was there before", fault.Conflict, "unique", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "things", parse(q, `{"name":"b","extent":3}`), data.WriteOptions{})
		return err
	})
	for n := range 3 {
		text, err := q.value("things", id(n+1), "code")
		if err != nil || !slices.Contains([]string{`"c1"`, `"c2"`, "null"}, text) {
			return fmt.Errorf("code is %s (%w)", text, err)
		}
	}
	return nil
}

// steps does each kind of step twice, with records there.
func (s *suite) steps() {
	b := s.bare()
	ctx := context.Background()
	b.insert(b.row(1, 7), b.row(2, 7))
	text := driver.Column{Name: "extra", Kind: expr.Text, MaxLen: 20}
	list := driver.Column{Name: "many", Kind: expr.List, Elem: expr.Text, Side: true}
	table := driver.Table{Name: "more", Columns: slices.Concat(data.Tables(app(s, nullable))[0].Columns[:spec.OrdFirst], []driver.Column{{Name: "thing", Kind: expr.Text, Ref: "things", MaxLen: 36}})}
	for _, c := range []struct {
		name string
		step driver.Step
		see  string // what describe says then
	}{
		{"create a table", driver.Step{Kind: driver.CreateTable, New: table}, "more: id created updated rev thing>things; things: id created updated rev n one one_unique(one)!"},
		{"add a column", driver.Step{Kind: driver.AddColumn, Table: "things", Column: text}, "more: id created updated rev thing>things; things: id created updated rev n one extra one_unique(one)!"},
		{"add a list", driver.Step{Kind: driver.AddColumn, Table: "things", Column: list}, "more: id created updated rev thing>things; things: id created updated rev n one extra many one_unique(one)!"},
		{"create an index", driver.Step{Kind: driver.CreateIndex, Table: "things", Index: driver.TableIndex{Name: "x", Columns: []string{"extra", "n", "id"}}}, "more: id created updated rev thing>things; things: id created updated rev n one extra many one_unique(one)! x(extra,n,id)"},
		{"rename a column", driver.Step{Kind: driver.RenameColumn, Table: "things", Column: text, To: "other"}, "more: id created updated rev thing>things; things: id created updated rev n one other many one_unique(one)! x(other,n,id)"},
		{"rename a list", driver.Step{Kind: driver.RenameColumn, Table: "things", Column: list, To: "several"}, "more: id created updated rev thing>things; things: id created updated rev n one other several one_unique(one)! x(other,n,id)"},
		{"drop an index", driver.Step{Kind: driver.DropIndex, Table: "things", Index: driver.TableIndex{Name: "x"}}, "more: id created updated rev thing>things; things: id created updated rev n one other several one_unique(one)!"},
		{"drop a column", driver.Step{Kind: driver.DropColumn, Table: "things", Column: driver.Column{Name: "other", Kind: expr.Text}}, "more: id created updated rev thing>things; things: id created updated rev n one several one_unique(one)!"},
		{"drop a list", driver.Step{Kind: driver.DropColumn, Table: "things", Column: driver.Column{Name: "several", Kind: expr.List, Elem: expr.Text, Side: true}}, "more: id created updated rev thing>things; things: id created updated rev n one one_unique(one)!"},
		{"rename a table", driver.Step{Kind: driver.RenameTable, Table: "things", To: "objects"}, "more: id created updated rev thing>objects; objects: id created updated rev n one one_unique(one)!"},
		{"and back", driver.Step{Kind: driver.RenameTable, Table: "objects", To: "things"}, "more: id created updated rev thing>things; things: id created updated rev n one one_unique(one)!"},
		{"drop a table", driver.Step{Kind: driver.DropTable, Table: "more"}, "things: id created updated rev n one one_unique(one)!"},
	} {
		for _, time := range []string{"once", "again"} {
			s.expect(c.name+" "+time, func() error {
				if err := b.eng.Apply(ctx, c.step, nil); err != nil {
					return err
				}
				return want(describe(b.eng))(c.see)
			})
		}
	}
	s.expect("the records are there", func() error { return b.has("01=7", "02=7") })
	s.expect("a unique index over duplicates is refused, and not made", func() error {
		err := b.eng.Apply(ctx, driver.Step{Kind: driver.CreateIndex, Table: "things", Index: driver.TableIndex{Name: "n", Columns: []string{"n"}, Unique: true}}, nil)
		if !fault.Is(err, fault.Unique) {
			return fmt.Errorf("%v, want unique", err)
		}
		return want(describe(b.eng))("things: id created updated rev n one one_unique(one)!")
	})
}

// fences: a step and its fence happen both, or neither does.
func (s *suite) fences() {
	b := s.bare()
	ctx := context.Background()
	b.insert(b.row(1, 7), b.row(2, 7))
	const before, after = "things: id created updated rev n one one_unique(one)!", "things: id created updated rev n one extra one_unique(one)!"
	step := driver.Step{Kind: driver.AddColumn, Table: "things", Column: driver.Column{Name: "extra", Kind: expr.Text}}
	insert := func(num int) func(driver.Tx) error {
		return func(tx driver.Tx) error {
			if _, err := b.all(tx); err != nil { // it reads in the same transaction
				return err
			}
			return tx.Insert(b.things, b.row(num, 7))
		}
	}
	s.expect("a fence that refuses keeps the step from being done", func() error {
		boom := errors.New("boom")
		err := b.eng.Apply(ctx, step, func(tx driver.Tx) error { return errors.Join(insert(3)(tx), boom) })
		if !errors.Is(err, boom) {
			return fmt.Errorf("%v, want the error of the fence", err)
		}
		return errors.Join(b.has("01=7", "02=7"), want(describe(b.eng))(before))
	})
	s.expect("a step that fails undoes the fence", func() error {
		unique := driver.Step{Kind: driver.CreateIndex, Table: "things", Index: driver.TableIndex{Name: "n", Columns: []string{"n"}, Unique: true}}
		if err := b.eng.Apply(ctx, unique, insert(3)); !fault.Is(err, fault.Unique) {
			return fmt.Errorf("%v, want unique", err)
		}
		return errors.Join(b.has("01=7", "02=7"), want(describe(b.eng))(before))
	})
	s.expect("a step and its fence", func() error {
		return errors.Join(b.eng.Apply(ctx, step, insert(3)), b.has("01=7", "02=7", "03=7"), want(describe(b.eng))(after))
	})
	s.expect("a step that is done has its fence all the same", func() error {
		return errors.Join(b.eng.Apply(ctx, step, insert(4)), b.has("01=7", "02=7", "03=7", "04=7"), want(describe(b.eng))(after))
	})
}

// duplicates: a conversion that breaks a unique index is refused by the plan, and nothing is done.
func (s *suite) duplicates() error {
	of := func(t string) *spec.App {
		return app(s, "  coins: {fields: {name: {type: text, max: 9}, code: {type: "+t+", unique: true}}, access: {read: true}}\n")
	}
	p := s.pairOf(of("text, max: 9"))
	p.create("coins", `"name":"a","code":"1"`, `"name":"b","code":"01"`, `"name":"c","code":"x"`, `"name":"d","code":"y"`)
	const message = `coins cannot be unique by code (index "code_unique") after the conversion of code: 1 record is not the only one, such as the second with 1; change the records first`
	for _, eng := range []driver.Engine{p.eng, p.oracle} {
		_, err := data.Plan(context.Background(), of("int"), eng, secret)
		if !fault.Is(err, fault.Conflict) || err.Error() != message {
			return fmt.Errorf("%v, want %s", err, message)
		}
		if err := sameTables(eng, data.Tables(p.app)); err != nil {
			return err
		}
	}
	return p.update("coins", id(2), `{"code":"02"}`) // the app goes on as it was
}

// tooLong: an index over texts that are longer than one in an index may be is refused by the plan.
func (s *suite) tooLong() error {
	of := func(field, indexes string) *spec.App {
		return app(s, "  notes: {fields: {name: {type: text, max: 9}, s: {type: text"+field+"}}, indexes: ["+indexes+"], access: {read: true}}\n")
	}
	p := s.pairOf(of("", ""))
	p.create("notes", `"name":"a","s":"`+strings.Repeat("é", 255)+`"`, `"name":"b","s":"`+strings.Repeat("é", 256)+`"`, `"name":"c"`)
	if !p.caps.Paths {
		return nil // it cannot be asked how long texts are either
	}
	for _, c := range []struct {
		app   *spec.App
		index string
	}{{of(", max: 255", "[s]"), "s_index"}, {of(", max: 255, ci: true, unique: true", ""), "s_unique"}} {
		message := `notes cannot be indexed by s (index "` + c.index + `"): 1 value longer than 255 characters; change the records first`
		for _, eng := range []driver.Engine{p.eng, p.oracle} {
			if _, err := data.Plan(context.Background(), c.app, eng, secret); !fault.Is(err, fault.Conflict) || err.Error() != message {
				return fmt.Errorf("%v, want %s", err, message)
			}
		}
	}
	if err := p.update("notes", id(2), `{"s":"short"}`); err != nil {
		return err
	}
	for _, eng := range []driver.Engine{p.eng, p.oracle} {
		plan, err := data.Plan(context.Background(), of(", max: 255", "[s]"), eng, secret)
		if err == nil {
			err = plan.Apply(context.Background(), eng, data.ApplyOptions{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describe writes the app's own tables in a line.
func describe(eng driver.Engine) (string, error) {
	tables, err := eng.Inspect(context.Background())
	if err != nil {
		return "", err
	}
	slices.SortFunc(tables, func(a, b driver.Table) int { return strings.Compare(a.Name, b.Name) })
	var out []string
	for _, t := range tables {
		if strings.HasPrefix(t.Name, "_") {
			continue
		}
		line := t.Name + ":"
		for _, c := range t.Columns {
			line += " " + c.Name
			if c.Ref != "" {
				line += ">" + c.Ref
			}
		}
		slices.SortFunc(t.Indexes, func(a, b driver.TableIndex) int { return strings.Compare(a.Name, b.Name) })
		for _, x := range t.Indexes {
			line += " " + x.Name + "(" + strings.Join(x.Columns, ",") + ")"
			if x.Unique {
				line += "!"
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "; "), nil
}
