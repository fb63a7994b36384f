package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// inserts: what is stored together is stored, or refused, as if one record came after the other. An engine
// without a driver.Inserter is asked one by one.
func inserts(s *suite) {
	a := app(s, `
  things:
    fields:
      one: {type: text, max: 20, unique: true}
      thing: {type: ref, to: things}
      things: {type: list, of: ref, to: things}
      tags: {type: list, of: text, max: 9}
    indexes: [[tags]]
    access: {read: true}
  teams: {fields: {name: {type: text, max: 9}}, access: {read: true}}
`)
	insertsOn(s, a, false)
	insertsOn(s, a, true)
}

// insertsOn stores all with the commit, if last and the engine can do so.
func insertsOn(s *suite, a *spec.App, last bool) {
	in := &inserting{suite: s, eng: openTables(s, a, s.open)}
	s.caps = in.eng.Caps()
	in.things, _ = a.Collection("things")
	in.teams, _ = a.Collection("teams")
	if last {
		err := in.eng.Write(context.Background(), func(tx driver.Tx) error { _, in.last = tx.(driver.Finisher); return nil })
		if err != nil {
			s.Fatal(err)
		}
		if !in.last {
			return
		}
	}
	for n := range 3 {
		in.setup(in.thing(id(n)))
	}
	one := func(text string, n string, refers ...string) driver.Insertion {
		i := in.thing(n, refers...)
		in.set(&i, "one", expr.TextOf(text))
		return i
	}
	in.setup(one("taken", id(3)))
	in.order(one)
	in.runs(one)
	in.lists()
	if in.last {
		in.revisions(one)
	}
}

// inserting is an engine in which records are stored together.
type inserting struct {
	*suite
	eng           driver.Engine
	last          bool // they are stored with the commit
	things, teams *spec.Collection
}

// apart is an id of a time of its own. Those of id differ in their random bits only.
func apart(n int) string { return fmt.Sprintf("0190%04x-0001-7%03x-8000-000000000000", n>>4, n&15) }

func (in *inserting) record(c *spec.Collection, id string) driver.Insertion {
	r := make(driver.Record, len(c.Fields))
	r[spec.OrdID], r[spec.OrdRev] = expr.TextOf(id), expr.IntOf(1)
	r[spec.OrdCreated], r[spec.OrdUpdated] = expr.TimeOf(0), expr.TimeOf(0)
	return driver.Insertion{C: c, R: r}
}

// thing is a record that refers to the first in its field thing and to the others in things.
func (in *inserting) thing(id string, refers ...string) driver.Insertion {
	i := in.record(in.things, id)
	var others []expr.Value
	for n, to := range refers {
		i.Refers = append(i.Refers, driver.Reference{C: in.things, ID: to})
		if n == 0 {
			in.set(&i, "thing", expr.TextOf(to))
		} else {
			others = append(others, expr.TextOf(to))
		}
	}
	if others != nil {
		in.set(&i, "things", expr.ListOf(others...))
	}
	return i
}

func (in *inserting) set(i *driver.Insertion, field string, v expr.Value) {
	f, _ := i.C.Field(field)
	i.R[f.Ord] = v
}

func (in *inserting) setup(one driver.Insertion) {
	in.Helper()
	if at, err := in.all([]driver.Insertion{one}, nil); at != 1 || err != nil {
		in.Fatal(at, err)
	}
}

var errGivenUp = errors.New("given up")

// all stores a list in a transaction, which is given up where not all can be stored, or with the error of then.
func (in *inserting) all(list []driver.Insertion, then error) (at int, err error) {
	failed := in.eng.Write(context.Background(), func(tx driver.Tx) error {
		for _, one := range list {
			for i := range one.Refers {
				one.Refers[i].Missing = false
			}
		}
		if f, ok := tx.(driver.Finisher); ok && in.last && then == nil {
			at, err = f.Finish(nil, list)
		} else {
			at, err = insertAll(in.eng, tx, list)
		}
		if err != nil {
			return err
		}
		if at < len(list) {
			return errGivenUp
		}
		return then
	})
	if err == nil && failed != errGivenUp {
		err = failed
	}
	return at, err
}

// insertAll is InsertAll on an engine that need not have it.
func insertAll(eng driver.Engine, tx driver.Tx, list []driver.Insertion) (int, error) {
	if in, ok := tx.(driver.Inserter); ok {
		return in.InsertAll(list)
	}
	for at := range list {
		missing := false
		for i := range list[at].Refers {
			to := &list[at].Refers[i]
			stmt, err := eng.Prepare(&driver.Query{From: to.C, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: byID, Limit: -1,
				Per: &driver.Per{Arg: 0, Ord: spec.OrdID, Limit: -1}})
			if err != nil {
				return at, err
			}
			to.Missing = true
			err = tx.Rows(context.Background(), stmt, []expr.Value{expr.ListOf(expr.TextOf(to.ID))}, func(driver.Columns) error {
				to.Missing = false
				return nil
			})
			if err != nil {
				return at, err
			}
			missing = missing || to.Missing
		}
		if missing {
			return at, nil
		}
		if err := tx.Insert(list[at].C, list[at].R); err != nil {
			return at, err
		}
	}
	return len(list), nil
}

var byID = []driver.Key{{Ord: spec.OrdID}}

// ids are those of all things and teams.
func (in *inserting) ids() (ids []string, err error) {
	for _, c := range []*spec.Collection{in.things, in.teams} {
		stmt, err := in.eng.Prepare(&driver.Query{From: c, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: byID, Limit: -1})
		if err != nil {
			return nil, err
		}
		err = in.eng.Rows(context.Background(), stmt, nil, func(cols driver.Columns) error {
			ids = append(ids, c.Name+string(cols.Text(0)))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// outcome is what becomes of a list.
type outcome struct {
	at      int
	index   string   // that refuses the record at
	missing []string // or what it refers to and is not there; none: all are stored
}

// becomes is a case: the outcome of a list, and that all of it is there then, or nothing.
func (in *inserting) becomes(name string, want outcome, list ...driver.Insertion) {
	in.Helper()
	in.expect(name, func() error {
		there, err := in.ids()
		if err != nil {
			return err
		}
		at, err := in.all(list, nil)
		var f *fault.Error
		switch {
		case want.index == "" && err != nil:
			return err
		case want.index != "" && (!errors.As(err, &f) || f.Kind != fault.Unique || f.Index != want.index):
			return errors.Join(err, fmt.Errorf("at %d, want %d refused by %s", at, want.at, want.index))
		case at != want.at:
			return fmt.Errorf("at %d, want %d", at, want.at)
		}
		var missing []string
		if err == nil && at < len(list) {
			for _, to := range list[at].Refers {
				if to.Missing {
					missing = append(missing, to.ID)
				}
			}
		}
		if !slices.Equal(missing, want.missing) {
			return fmt.Errorf("missing is %q, want %q", missing, want.missing)
		}
		if at == len(list) {
			for _, one := range list {
				there = append(there, one.C.Name+one.R[spec.OrdID].Text())
			}
		}
		is, err := in.ids()
		slices.Sort(there)
		slices.Sort(is)
		if err == nil && !slices.Equal(is, there) {
			err = fmt.Errorf("there is %q, want %q", is, there)
		}
		return err
	})
}

// order: what comes first decides.
func (in *inserting) order(one func(text, id string, refers ...string) driver.Insertion) {
	x, y, none := id(90), id(91), id(99)
	thing := in.thing
	missing := func(at int, ids ...string) outcome { return outcome{at: at, missing: ids} }
	in.becomes("a record", outcome{at: 1}, thing(id(10)))
	in.becomes("what an earlier one has made is there, and what was there", outcome{at: 4},
		thing(id(20), id(1)), thing(id(21), id(20), id(1)), thing(id(22), id(21)), thing(id(23), id(2), id(22), id(20)))
	in.becomes("a reference to nothing", missing(0, none), thing(x, none))
	in.becomes("one to nothing among others", missing(1, none), thing(x, id(1)), thing(y, id(1), none, id(2)), thing(id(92)))
	in.becomes("several to nothing", missing(0, none, id(98)), thing(x, none, id(1), id(98)))
	in.becomes("what is made too late", missing(1, id(92)), thing(x), thing(y, id(92)), thing(id(92)))
	in.becomes("an id that was there", outcome{at: 2, index: "id"}, thing(x), thing(y), thing(id(1)), thing(id(92)))
	in.becomes("an id of an earlier one", outcome{at: 2, index: "id"}, thing(x), thing(y), thing(x), thing(id(92)))
	in.becomes("a value that was there", outcome{at: 1, index: "one_unique"}, one("free", x), one("taken", y), thing(id(92)))
	in.becomes("a value of an earlier one", outcome{at: 2, index: "one_unique"}, one("free", x), one("other", y), one("free", id(92)))
	in.becomes("a refusal before a reference to nothing", outcome{at: 1, index: "id"}, thing(x), thing(id(1)), thing(y, none))
	in.becomes("a reference to nothing before a refusal", missing(1, none), thing(x), thing(y, none), thing(id(1)))
	in.becomes("both at once", missing(0, none), thing(id(1), none), thing(x))
	in.becomes("several collections", outcome{at: 5}, in.record(in.teams, id(1)), thing(id(30)), in.record(in.teams, id(2)), thing(id(31), id(30)), in.record(in.teams, id(3)))
	in.becomes("a refusal in another collection", outcome{at: 2, index: "id"}, thing(x), in.record(in.teams, x), in.record(in.teams, x), thing(y))
}

// runs: many records of one collection, whose refusals are named as those of few.
func (in *inserting) runs(one func(text, id string, refers ...string) driver.Insertion) {
	const size = 40
	for kind, ids := range []struct {
		name string
		of   func(int) string
	}{
		{"of times of their own", apart},
		{"that differ in random bits", func(n int) string { return id(1000 + n) }},
		{"of which some do", func(n int) string {
			if n += 2000; n%10 == 9 {
				return apart(n - 1)[:35] + "1"
			}
			return apart(n)
		}},
	} {
		run := func(from int) []driver.Insertion {
			list := make([]driver.Insertion, size)
			for i := range list {
				list[i] = one(fmt.Sprint(kind, " ", from+i), ids.of(from+i), id(1))
			}
			return list
		}
		name := fmt.Sprintf("%d with ids %s", size, ids.name)
		for _, at := range []int{0, 19, 32, 39} {
			list := run(100)
			in.set(&list[at], "one", expr.TextOf("taken"))
			in.becomes(fmt.Sprintf("%s, a value taken at %d", name, at), outcome{at: at, index: "one_unique"}, list...)
			list = run(100)
			in.set(&list[at], "id", expr.TextOf(id(2)))
			in.becomes(fmt.Sprintf("%s, an id taken at %d", name, at), outcome{at: at, index: "id"}, list...)
			list = run(100)
			list[at] = one("free", ids.of(100+at), id(1), id(99))
			in.becomes(fmt.Sprintf("%s, a reference to nothing at %d", name, at), outcome{at: at, missing: []string{id(99)}}, list...)
		}
		in.expect(name+", given up", func() error {
			there, err := in.ids()
			if err != nil {
				return err
			}
			if at, err := in.all(run(100), errGivenUp); at != size || err != nil {
				return fmt.Errorf("at %d: %w", at, err)
			}
			is, err := in.ids()
			if err == nil && !slices.Equal(is, there) {
				err = fmt.Errorf("there is %q, want %q", is, there)
			}
			return err
		})
		in.becomes(name, outcome{at: size}, run(100)...)
		chain := make([]driver.Insertion, 200)
		for i := range chain {
			chain[i] = in.thing(ids.of(200+i), ids.of(199+i), id(1))
		}
		in.becomes(name+", a chain from nothing", outcome{at: 0, missing: []string{ids.of(199)}}, chain...)
		chain[0] = in.thing(ids.of(200))
		in.becomes(name+", a chain", outcome{at: len(chain)}, chain...)
	}
}

// lists: what finds records by the items of their lists finds those that were stored together, and no others.
func (in *inserting) lists() {
	const size = 40
	listed := func(n int) driver.Insertion {
		i := in.thing(apart(9000+n), id(0), id(n%2+1), apart(9000))
		in.set(&i, "tags", expr.ListOf(expr.TextOf("a"), expr.TextOf(fmt.Sprint("t", n%4))))
		return i
	}
	var all []driver.Insertion
	for n := range size {
		all = append(all, listed(n))
	}
	all[0] = in.thing(apart(9000))
	all[20] = in.thing(apart(9020))
	field, _ := in.things.Field("things")
	parents := []string{id(1), id(2), apart(9000)}
	// of says how many records each parent has.
	of := func() (map[string]int, error) {
		stmt, err := in.eng.Prepare(&driver.Query{From: in.things, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: byID, Limit: -1,
			Per: &driver.Per{Arg: 0, Ord: field.Ord, Limit: -1}})
		if err != nil {
			return nil, err
		}
		n := map[string]int{}
		err = in.eng.Rows(context.Background(), stmt, []expr.Value{expr.ListOf(expr.TextOf(parents[0]), expr.TextOf(parents[1]), expr.TextOf(parents[2]))}, func(cols driver.Columns) error {
			n[string(cols.Text(0))]++
			return nil
		})
		return n, err
	}
	// finds is a case: how many more records each parent has when the list is stored, or given up.
	finds := func(name string, then error, want ...int) {
		in.expect(name, func() error {
			before, err := of()
			if err != nil {
				return err
			}
			if at, err := in.all(all, then); at != size || err != nil && err != then {
				return fmt.Errorf("at %d: %w", at, err)
			}
			after, err := of()
			for i, parent := range parents {
				if n := after[parent] - before[parent]; err == nil && n != want[i] {
					err = fmt.Errorf("%d more are found by %s, want %d", n, parent, want[i])
				}
			}
			return err
		})
	}
	finds("lists that are given up", errGivenUp, 0, 0, 0)
	in.becomes("lists before a refusal", outcome{at: 30, index: "id"}, append(slices.Clone(all[:30]), in.thing(id(1)))...)
	finds("lists", nil, 18, 20, 38)
}

// revisions: a record that was read is changed, with others, if it is still what was read; else nothing is.
func (in *inserting) revisions(one func(text, id string, refers ...string) driver.Insertion) {
	row, err := in.eng.Prepare(&driver.Query{From: in.things, Cols: allOf(in.things), Sort: byID, Limit: -1,
		Per: &driver.Per{Arg: 0, Ord: spec.OrdID, Limit: -1}})
	if err != nil {
		in.Fatal(err)
	}
	read := func(r driver.Reader, id string) (rec driver.Record, err error) {
		err = r.Rows(context.Background(), row, []expr.Value{expr.ListOf(expr.TextOf(id))}, func(cols driver.Columns) error {
			rec = make(driver.Record, len(in.things.Fields))
			for i := range rec {
				rec[i] = cols.Value(i + 1)
			}
			return nil
		})
		return rec, err
	}
	field := func(name string) int { f, _ := in.things.Field(name); return f.Ord }
	for n, c := range []struct {
		name  string
		meet  func(tx driver.Tx) error           // before, in the transaction
		wrong func(u *driver.Revision)           // the record is not that
		set   func(r driver.Record) (ords []int) // else the text is set
		more  []driver.Insertion
		want  outcome
	}{
		{name: "a change alone", want: outcome{at: 1}},
		{name: "of another revision", wrong: func(u *driver.Revision) { u.Rev++ }},
		{name: "of one that was made at another time", wrong: func(u *driver.Revision) { u.R[spec.OrdCreated] = expr.TimeOf(77) }},
		{name: "of one that is not there", wrong: func(u *driver.Revision) { u.ID = id(998) }},
		{name: "of another revision, with a record", wrong: func(u *driver.Revision) { u.Rev-- }, more: []driver.Insertion{in.thing(id(700))}},
		{name: "with a record", more: []driver.Insertion{in.thing(id(701), id(1))}, want: outcome{at: 2}},
		{name: "with a record that refers to nothing", more: []driver.Insertion{in.thing(id(702)), in.thing(id(703), id(999))}, want: outcome{at: 2, missing: []string{id(999)}}},
		{name: "with a record that is refused", more: []driver.Insertion{in.thing(id(704)), in.thing(id(1))}, want: outcome{at: 2, index: "id"}},
		{name: "that is refused", set: func(r driver.Record) []int { r[field("one")] = expr.TextOf("taken"); return []int{field("one")} },
			more: []driver.Insertion{in.thing(id(705))}, want: outcome{index: "one_unique"}},
		{name: "of lists", set: func(r driver.Record) []int {
			r[field("tags")], r[field("things")] = expr.ListOf(expr.TextOf("new")), expr.ListOf(expr.TextOf(id(1)))
			return []int{field("tags"), field("things")}
		}, want: outcome{at: 1}},
		{name: "of lists, of another revision", set: func(r driver.Record) []int { r[field("tags")] = expr.ListOf(); return []int{field("tags")} },
			wrong: func(u *driver.Revision) { u.Rev++ }},
		{name: "behind another", meet: func(tx driver.Tx) error { return tx.Insert(in.things, in.thing(id(706)).R) }, want: outcome{at: 1}},
		{name: "behind another, of another revision", meet: func(tx driver.Tx) error { return tx.Insert(in.things, in.thing(id(707)).R) },
			wrong: func(u *driver.Revision) { u.Rev++ }},
		{name: "behind another, of one that was made at another time", meet: func(tx driver.Tx) error { return tx.Insert(in.things, in.thing(id(708)).R) },
			wrong: func(u *driver.Revision) { u.R[spec.OrdCreated] = expr.TimeOf(77) }},
	} {
		mine := id(600 + n)
		in.setup(in.thing(mine, id(0), id(2)))
		in.expect("a revision "+c.name, func() error {
			before, err := in.ids()
			if err != nil {
				return err
			}
			var rec driver.Record
			var at int
			failed := in.eng.Write(context.Background(), func(tx driver.Tx) error {
				if rec, err = read(tx, mine); err != nil {
					return err
				}
				if c.meet != nil {
					if err = c.meet(tx); err != nil {
						return err
					}
				}
				u := &driver.Revision{C: in.things, ID: mine, Rev: 1, R: slices.Clone(rec)}
				u.R[spec.OrdRev], u.R[spec.OrdUpdated] = expr.IntOf(2), expr.TimeOf(5)
				u.Ords = []int{spec.OrdUpdated, spec.OrdRev}
				if c.set != nil {
					u.Ords = append(u.Ords, c.set(u.R)...)
				} else {
					u.R[field("one")] = expr.TextOf(fmt.Sprint("new ", n))
					u.Ords = append(u.Ords, field("one"))
				}
				if c.wrong != nil {
					c.wrong(u)
				}
				for i := range c.more {
					for j := range c.more[i].Refers {
						c.more[i].Refers[j].Missing = false
					}
				}
				if at, err = tx.(driver.Finisher).Finish(u, c.more); err != nil {
					return err
				}
				if at < 1+len(c.more) {
					return errGivenUp
				}
				rec = u.R
				return nil
			})
			var f *fault.Error
			switch {
			case c.want.index != "" && (!errors.As(err, &f) || f.Kind != fault.Unique || f.Index != c.want.index):
				return fmt.Errorf("%w, want a refusal by %s", err, c.want.index)
			case c.want.index == "" && (err != nil || failed != nil && failed != errGivenUp):
				return errors.Join(err, failed)
			case at != c.want.at:
				return fmt.Errorf("at %d, want %d", at, c.want.at)
			}
			if failed == nil {
				for _, one := range c.more {
					before = append(before, one.C.Name+one.R[spec.OrdID].Text())
				}
				if c.meet != nil {
					before = append(before, "things"+id(706))
				}
			}
			slices.Sort(before)
			is, err := in.ids()
			if err != nil {
				return err
			}
			if slices.Sort(is); !slices.Equal(is, before) {
				return fmt.Errorf("there is %q, want %q", is, before)
			}
			found, err := read(in.eng, mine)
			for i := range found {
				if err == nil && !expr.Equal(found[i], rec[i]) {
					err = fmt.Errorf("%s is %v, want %v", in.things.Fields[i].Name, found[i], rec[i])
				}
			}
			return err
		})
	}
}

func allOf(c *spec.Collection) (cols []driver.Col) {
	for _, f := range c.Fields {
		cols = append(cols, driver.Col{Ord: f.Ord})
	}
	return cols
}
