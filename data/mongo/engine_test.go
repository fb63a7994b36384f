package mongo

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// onServer is an engine on a server, with the tables of the app.
func onServer(t *testing.T) *Engine {
	t.Helper()
	e := openAt(t, mongotest.Database(t))
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range app.Collections {
		if err := e.Apply(t.Context(), driver.Step{Kind: driver.CreateTable, New: tableOf(c)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Use(app); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFerretDBLacksWhatItLacks(t *testing.T) {
	t.Parallel()
	if mongotest.Given() {
		t.Skip("LEFT OUT: this is another server")
	}
	if e := onServer(t); e.can != (abilities{}) {
		t.Errorf("it can %+v", e.can)
	}
}

// TestDeadline: who asks has a deadline, which the driver tells the server.
func TestDeadline(t *testing.T) {
	t.Parallel()
	e := onServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	write := func(n int) error {
		return e.Write(ctx, func(tx driver.Tx) error { return tx.Insert(posts, blank(posts, n)) })
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*driver.Query{every(posts, nil), {From: posts, Count: true, Limit: -1}} {
		s, err := e.Prepare(q)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := e.Rows(ctx, s, nil, func(driver.Columns) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%s: %d rows, %v", s.Text(), n, err)
		}
	}
	if err := e.Check(ctx); err != nil {
		t.Error(err)
	}
	if _, err := e.Inspect(ctx); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := e.Check(gone); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the deadline: %v, want unavailable", err)
	}
}

// TestOneDocument: without transactions nothing is written before the function has ended, and no second document.
func TestOneDocument(t *testing.T) {
	t.Parallel()
	e := onServer(t)
	if e.Caps().Transactions {
		t.Skip("LEFT OUT: this server has transactions")
	}
	count := func() (n int64) {
		s, err := e.Prepare(&driver.Query{From: posts, Count: true, Limit: -1})
		if err == nil {
			err = e.Rows(t.Context(), s, nil, func(c driver.Columns) error { n = c.Int(0); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := e.Write(t.Context(), func(tx driver.Tx) error {
		if err := tx.Insert(posts, blank(posts, 1)); err != nil {
			return err
		}
		if n := count(); n != 0 {
			t.Errorf("%d records are there before the end", n)
		}
		return tx.Insert(posts, blank(posts, 2))
	})
	if !fault.Is(err, fault.Capability) || count() != 0 {
		t.Errorf("%v, and %d records", err, count())
	}
	err = e.Write(t.Context(), func(tx driver.Tx) error { // a second change of one record is one of the document
		if err := tx.Insert(posts, blank(posts, 1)); err != nil {
			return err
		}
		r := blank(posts, 1)
		r[postTitle], r[spec.OrdRev] = expr.TextOf("changed"), expr.IntOf(2)
		ok, err := tx.Update(posts, id(1), 1, r, []int{postTitle, spec.OrdRev})
		if err == nil && !ok {
			t.Error("its own record is not there")
		}
		return err
	})
	if err != nil || count() != 1 {
		t.Fatalf("%v, and %d records", err, count())
	}
	err = e.Write(t.Context(), func(tx driver.Tx) error {
		r := blank(posts, 1)
		ok, err := tx.Update(posts, id(1), 1, r, []int{postTitle})
		if ok {
			t.Error("an old revision is changed")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for rev, want := range map[int64]int64{1: 0, 2: 1} { // nor behind whoever has looked
		n, err := e.server.update(t.Context(), posts.Name, revision(id(1), rev), op("$set", field("title", "once more")), one)
		if err != nil || n != want {
			t.Errorf("of revision %d %d are changed, want %d: %v", rev, n, want, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"mongodb://h/db": "db", "mongodb://u:p@a:1,b:2/my%2Ddb?replicaSet=r": "my-db", "mongodb+srv://h/db?x=y": "db",
		"mongodb://h": "", "mongodb://h/": "", "h/db": "", "mongodb://h/a.b": "",
	} {
		if got, ok := databaseOf(address); got != want && ok || ok != (want != "") {
			t.Errorf("%s: %q %t, want %q", address, got, ok, want)
		}
	}
	for _, address := range []string{"mongodb://u:secret@h:27017", "mongodb://u:secret@h:port/db", "postgres://u:secret@h/db"} {
		_, err := Open(t.Context(), address, Options{})
		if !fault.Is(err, fault.BadRequest) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestIndexesServe: what a field is asked with an argument is a find in the query language, and a page begins
// with a bound.
func TestIndexesServe(t *testing.T) {
	t.Parallel()
	e := &Engine{can: abilities{joins: true, transactions: true}}
	e.app.Store(app)
	q := every(posts, say(expr.OpAnd, say(expr.OpEq, mine(postStatus), param(0, expr.Text)), say(expr.OpGt, mine(postStock), param(1, expr.Int))))
	q.Sort = []driver.Key{{Ord: postStock, Desc: true}, {Ord: spec.OrdID, Desc: true}}
	q.After = &driver.After{Args: []int{2, 3}, Null: []bool{false, false}}
	q.Cols = []driver.Col{{Ord: spec.OrdID}}
	p, err := compile(e.can, app.Collections, q)
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.ask([]expr.Value{expr.TextOf("open"), expr.IntOf(1), expr.IntOf(9), expr.TextOf("x")}, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bson.MarshalExtJSON(a.command(), false, false)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"find":"posts","filter":{"$and":[` +
		`{"$and":[{"$or":[{"stock":{"$lte":9}},{"stock":null}]},{"$or":[{"$and":[{"stock":{"$lt":9}}]},{"$and":[{"stock":null}]},{"$and":[{"stock":9},{"_id":{"$lt":"x"}}]}]}]},` +
		`{"status":"open"},{"stock":{"$gt":1}}]},"sort":{"stock":-1,"_id":-1},"projection":{"_id":1}}`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestFoundByID: who asks for a record by its id names nothing else in the filter, for which servers have a short way.
func TestFoundByID(t *testing.T) {
	t.Parallel()
	byID := say(expr.OpEq, mine(spec.OrdID), param(0, expr.Text))
	for _, c := range []struct {
		can   abilities
		where *expr.Node
		want  string
	}{
		{abilities{}, byID, `{"find":"posts","filter":{"_id":"x"},"projection":{"_id":1,"_gone":1}}`},
		{abilities{joins: true, transactions: true}, byID, `{"find":"posts","filter":{"_id":"x"},"projection":{"_id":1}}`},
		{abilities{}, say(expr.OpNot, byID), `{"find":"posts","filter":{"$and":[{"_id":{"$ne":"x"}},{"_gone":null}]},"sort":{"_id":1},"projection":{"_id":1}}`},
		{abilities{}, say(expr.OpAnd, byID, mine(postLive)), `{"find":"posts","filter":{"$and":[{"_id":"x"},{"live":true},{"_gone":null}]},"sort":{"_id":1},"projection":{"_id":1}}`},
		{abilities{}, say(expr.OpEq, mine(postTitle), param(0, expr.Text)), `{"find":"posts","filter":{"$and":[{"title":"x"},{"_gone":null}]},"sort":{"_id":1},"projection":{"_id":1}}`},
		{abilities{}, nil, `{"find":"posts","filter":{"_gone":null},"sort":{"_id":1},"projection":{"_id":1}}`},
	} {
		q := every(posts, c.where)
		q.Cols = []driver.Col{{Ord: spec.OrdID}}
		p, err := compile(c.can, app.Collections, q)
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.ask([]expr.Value{expr.TextOf("x")}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bson.MarshalExtJSON(a.command(), false, false); err != nil || string(got) != c.want {
			t.Errorf("%s (%v)\nwant\n%s", got, err, c.want)
		}
	}
}

// TestEntriesThatAreKnown: what unique indexes a table has is asked again when it was changed here, and of no other table;
// and an answer that was on its way meanwhile is not kept.
func TestEntriesThatAreKnown(t *testing.T) {
	t.Parallel()
	e := empty(t)
	s := &fate{server: e.server}
	e.server = s
	uniques := func(c *spec.Collection, want, calls int) {
		t.Helper()
		s.calls = 0
		if got, err := e.uniques(c.Name); err != nil || len(got) != want || s.calls != calls {
			t.Errorf("%s has %v, after %d calls: %v; want %d, after %d", c.Name, got, s.calls, err, want, calls)
		}
	}
	unique := func(name string) {
		t.Helper()
		x := driver.TableIndex{Name: name, Columns: []string{"title", "stock"}, Unique: true}
		if err := e.Apply(t.Context(), driver.Step{Kind: driver.CreateIndex, Table: posts.Name, Index: x}, nil); err != nil {
			t.Error(err)
		}
	}
	uniques(users, 0, 1)
	uniques(posts, 1, 1)
	unique("second")
	uniques(users, 0, 0)
	uniques(posts, 2, 1)
	uniques(posts, 2, 0)
	e.forget(posts.Name)
	s.on("rows", catalogue, true, func() error { unique("third"); return nil })
	if _, err := e.uniques(posts.Name); err != nil {
		t.Error(err)
	}
	uniques(posts, 3, 1)
	rename := driver.Step{Kind: driver.RenameTable, Table: posts.Name, To: "articles"}
	if err := e.Apply(t.Context(), rename, nil); err != nil {
		t.Fatal(err)
	}
	uniques(users, 0, 1)
	if got, err := e.uniques(posts.Name); err == nil {
		t.Errorf("the table that was renamed has %v", got)
	}
}
