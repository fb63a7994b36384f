package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// secret is the app's key in every test.
var secret = []byte("drivertest drivertest drivertest!")

// operator passes every rule.
var operator = data.Caller{Operator: true, SignedIn: true, Scope: "operator"}

// pair is one app on the engine under test and on the oracle.
type pair struct {
	*suite
	app      *spec.App
	eng      driver.Engine
	oracle   driver.Engine
	it, want *data.DB
	clocks   [2]*atomic.Int64 // of the two
}

// app reads the collections section of an app file; every collection is open to all.
func app(t testing.TB, collections string) *spec.App {
	t.Helper()
	text := "name: test\ncollections:\n" + collections
	a, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(text)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = a.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return a
}

// openTables opens an engine inside its contract and makes the tables of an app.
func openTables(t testing.TB, a *spec.App, open Open) driver.Engine {
	t.Helper()
	eng := underContract(t, open(t, a))
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	plan, err := data.Plan(context.Background(), a, eng, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(context.Background(), eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := eng.Use(a); err != nil {
		t.Fatal(err)
	}
	return eng
}

// openData opens the portable database with a clock that goes on when it is looked at.
func openData(t testing.TB, a *spec.App, eng driver.Engine) (*data.DB, *atomic.Int64) {
	t.Helper()
	var ticks atomic.Int64
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	db, err := data.Open(context.Background(), a, eng, data.Options{Key: secret, Clock: func() time.Time {
		return start.Add(time.Duration(ticks.Add(1)) * time.Millisecond)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return db, &ticks
}

func openMemory(testing.TB, *spec.App) driver.Engine { return oracle{memory.Open()} }

// oracle is the memory engine without what others may do in a second way: it answers what it is asked for in the
// simplest.
type oracle struct{ driver.Engine }

func (o oracle) Caps() driver.Caps {
	caps := o.Engine.Caps()
	caps.Joins = false
	return caps
}

func (s *suite) pair(collections string) *pair {
	s.Helper()
	return s.pairOf(app(s, collections))
}

func (s *suite) pairOf(a *spec.App) *pair {
	s.Helper()
	p := &pair{suite: s, app: a, eng: openTables(s, a, s.open), oracle: openTables(s, a, openMemory)}
	s.caps = p.eng.Caps()
	p.openData()
	return p
}

func (p *pair) openData() {
	p.Helper()
	p.it, p.clocks[0] = openData(p, p.app, p.eng)
	p.want, p.clocks[1] = openData(p, p.app, p.oracle)
}

// id is the id of the record with a number.
func id(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }

func parse(t testing.TB, text string) *doc.Node {
	t.Helper()
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return n
}

// create makes records numbered from 1 on both sides, of JSON objects without their braces.
func (p *pair) create(collection string, bodies ...string) {
	p.Helper()
	ops := make([]data.Operation, len(bodies))
	for i, b := range bodies {
		text := `{"id":"` + id(i+1) + `"`
		if b != "" {
			text += "," + b
		}
		ops[i] = data.Operation{Op: "create", Collection: collection, Body: parse(p, text+"}")}
	}
	for part := range slices.Chunk(ops, 400) {
		for _, db := range []*data.DB{p.it, p.want} {
			if err := p.batch(db, part); err != nil {
				p.Fatalf("create %s: %v", collection, err)
			}
		}
	}
}

// batch does several writes: at once, or each by itself where the engine has no transactions.
func (p *pair) batch(db *data.DB, ops []data.Operation) error {
	results, _, err := db.Batch(context.Background(), operator, ops, p.caps.Transactions, data.WriteOptions{})
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	return err
}

// both asks the two sides and compares what they say, errors by their kind. What the engine refuses the
// oracle is not asked, and both stay as they were.
func (p *pair) both(ask func(*data.DB) (string, error)) (string, error) {
	got, err := ask(p.it)
	if _, refused := p.refusal(err); refused {
		p.clocks[1].Store(p.clocks[0].Load())
		return "", err
	}
	want, wantErr := ask(p.want)
	switch {
	case (err == nil) != (wantErr == nil) || fault.Of(err) != fault.Of(wantErr):
		return "", fmt.Errorf("%s %s: %q (%v)\nthe oracle: %q (%v)", p.eng.Name(), fault.Of(err), got, err, want, wantErr)
	case got != want:
		return "", fmt.Errorf("%s: %s\nthe oracle: %s", p.eng.Name(), got, want)
	}
	return got, err
}

// question is a fixed case: a list, and the names of the records it has, in order. "" is the
// answer that is empty.
type question struct {
	filter string
	sort   string
	want   string
}

// ask runs fixed cases over a collection whose records have a field "name".
func (p *pair) ask(collection string, questions ...question) {
	p.Helper()
	for _, q := range questions {
		name := strings.TrimSpace(q.filter + " " + q.sort)
		p.expect(name, func() error {
			got, err := p.both(func(db *data.DB) (string, error) {
				return list(db, &data.ListQuery{Collection: collection, Filter: q.filter, Sort: q.sort, Limit: 500, Count: true})
			})
			if err != nil {
				return err
			}
			names := namesOf(parse(p, got))
			if names != q.want {
				return fmt.Errorf("the answer is %q, want %q", names, q.want)
			}
			return nil
		})
	}
}

func list(db *data.DB, q *data.ListQuery) (string, error) {
	b, err := db.List(context.Background(), operator, q, nil)
	return string(b), err
}

// namesOf joins the names of a list.
func namesOf(n *doc.Node) string {
	items, _ := n.Get("items")
	var names []string
	for i := range items.Items {
		name, _ := items.Items[i].Get("name")
		names = append(names, name.Text)
	}
	return strings.Join(names, " ")
}

// walk reads a list page by page and returns the names, and how many pages there were.
func walk(db *data.DB, q data.ListQuery, seen func(*doc.Node)) (pages int, err error) {
	for {
		text, err := list(db, &q)
		if err != nil {
			return pages, err
		}
		n, err := doc.Parse([]byte(text), doc.Limits{})
		if err != nil {
			return pages, err
		}
		pages++
		seen(n)
		next, ok := n.Get("next")
		if !ok {
			return pages, nil
		}
		if pages > 10000 {
			return pages, errors.New("the list does not end")
		}
		q.Cursor = next.Text
	}
}

// refuses runs cases that are errors of a kind on both sides, and checks the code of the first field.
func (p *pair) refuses(name string, kind fault.Kind, code string, do func(*data.DB) error) {
	p.Helper()
	p.expect(name, func() error {
		_, err := p.both(func(db *data.DB) (string, error) { return "", do(db) })
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != kind {
			return errors.Join(err, fmt.Errorf("want %s", kind))
		}
		if code != "" && (len(e.Fields) == 0 || e.Fields[0].Code != code) {
			return fmt.Errorf("%+v, want the code %q", e.Fields, code)
		}
		return nil
	})
}

// record reads one record on both sides.
func (p *pair) record(collection, id string) (string, error) {
	return p.both(func(db *data.DB) (string, error) {
		b, _, err := db.Get(context.Background(), operator, data.Target{Collection: collection, ID: id}, data.View{}, nil)
		return string(b), err
	})
}

// value reads one field of one record as JSON text.
func (p *pair) value(collection, id, field string) (string, error) {
	text, err := p.record(collection, id)
	if err != nil {
		return "", err
	}
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		return "", err
	}
	v, ok := n.Get(field)
	if !ok {
		return "", fmt.Errorf("no field %q in %s", field, text)
	}
	return string(v.AppendCanonical(nil)), nil
}

// stores writes values into a field, one record each, and reads them back as want.
func (p *pair) stores(collection, field string, values ...[2]string) {
	p.Helper()
	bodies := make([]string, len(values))
	for i, v := range values {
		bodies[i] = `"` + field + `":` + v[0]
	}
	p.create(collection, bodies...)
	for i, v := range values {
		p.expect(field+" "+v[0], func() error {
			got, err := p.value(collection, id(i+1), field)
			if err == nil && got != v[1] {
				err = fmt.Errorf("is read as %s, want %s", got, v[1])
			}
			return err
		})
	}
}

// update writes a patch on both sides.
func (p *pair) update(collection, id, patch string) error {
	_, err := p.both(func(db *data.DB) (string, error) {
		r, err := db.Update(context.Background(), operator, collection, id, parse(p, patch), data.WriteOptions{})
		return string(r.Body), err
	})
	return err
}

func (p *pair) delete(collection, id string) error {
	_, err := p.both(func(db *data.DB) (string, error) {
		r, err := db.Delete(context.Background(), operator, collection, id, data.WriteOptions{})
		return fmt.Sprint(r.Status), err
	})
	return err
}

// want compares what was read with what should be.
func want(got string, err error) func(string) error {
	return func(want string) error {
		if err == nil && got != want {
			return fmt.Errorf("is %s, want %s", got, want)
		}
		return err
	}
}

// oneByOne are the changes, each of one record, that stand in for one that the engine refused.
func (p *pair) oneByOne(errs ...error) {
	p.Helper()
	if err := errors.Join(errs...); err != nil {
		p.Fatal(err)
	}
}
