package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// The app of these tests: posts with an author, who has a team; topics are a list of references.
const (
	postTitle = spec.OrdFirst + iota
	postStatus
	postStock
	postBig
	postScore
	postPrice
	postLive
	postDay
	postAt
	postAuthor
	postTopics
	postTags
	postMeta
	postSealed
)

const (
	userName = spec.OrdFirst + iota
	userTeam
	userActive
)

func collection(name string, fields ...*spec.Field) *spec.Collection {
	c := &spec.Collection{Name: name}
	base := []*spec.Field{{Name: "id"}, {Name: "created", Type: spec.Time}, {Name: "updated", Type: spec.Time}, {Name: "rev", Type: spec.Int}}
	for i, f := range append(base, fields...) {
		f.Ord, f.FoldOrd, f.KeyOrd = i, -1, -1
		c.Fields = append(c.Fields, f)
	}
	return c
}

var (
	users = collection("users", &spec.Field{Name: "name"}, &spec.Field{Name: "team", Type: spec.Ref, To: "teams"},
		&spec.Field{Name: "active", Type: spec.Bool})
	teams  = collection("teams", &spec.Field{Name: "name"})
	topics = collection("topics", &spec.Field{Name: "name"})
	posts  = collection("posts", &spec.Field{Name: "title"}, &spec.Field{Name: "status", Type: spec.Enum},
		&spec.Field{Name: "stock", Type: spec.Int}, &spec.Field{Name: "big", Type: spec.Bigint},
		&spec.Field{Name: "score", Type: spec.Float}, &spec.Field{Name: "price", Type: spec.Decimal, Scale: 2},
		&spec.Field{Name: "live", Type: spec.Bool}, &spec.Field{Name: "day", Type: spec.Date}, &spec.Field{Name: "at", Type: spec.Time},
		&spec.Field{Name: "author", Type: spec.Ref, To: "users"},
		&spec.Field{Name: "topics", Type: spec.List, Elem: spec.Ref, To: "topics"},
		&spec.Field{Name: "tags", Type: spec.List, Elem: spec.Text},
		&spec.Field{Name: "meta", Type: spec.JSON}, &spec.Field{Name: "sealed", Encrypted: true})
	app = &spec.App{Collections: []*spec.Collection{users, teams, topics, posts}}
)

// tableOf is the table of a collection.
func tableOf(c *spec.Collection, indexes ...driver.TableIndex) driver.Table {
	t := driver.Table{Name: c.Name, Indexes: indexes}
	for _, f := range c.Fields {
		col := driver.Column{Name: f.Name, Kind: f.Kind(), Scale: f.Scale, Ref: f.To, Side: sqldb.HasSide(c, f), MaxLen: f.MaxLen}
		if f.Kind() == expr.List {
			col.Elem = f.Elem.Kind()
		}
		t.Columns = append(t.Columns, col)
	}
	return t
}

var postIndexes = []driver.TableIndex{
	{Name: "by_status", Columns: []string{"status", "created"}},
	{Name: "by_title", Columns: []string{"title"}},
	{Name: "author$ref", Columns: []string{"author", "id"}},
	{Name: "one_day", Columns: []string{"day", "at"}, Unique: true},
}

// empty is an engine with the tables of the app.
func empty(t testing.TB) *Engine {
	t.Helper()
	e, err := Open(filepath.Join(t.TempDir(), "test.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range app.Collections {
		table := tableOf(c)
		if c == posts {
			table.Indexes = postIndexes
		}
		if err := e.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: table}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Use(app); err != nil {
		t.Fatal(err)
	}
	return e
}

// id makes an id that sorts by n.
func id(n int) string { return fmt.Sprintf("0190%04x-%04x-7000-8000-%012d", n>>16, n&0xffff, n) }

// blank is a record with what every record has.
func blank(c *spec.Collection, n int) driver.Record {
	r := make(driver.Record, len(c.Fields))
	r[spec.OrdID], r[spec.OrdCreated], r[spec.OrdUpdated], r[spec.OrdRev] = expr.TextOf(id(n)), expr.TimeOf(int64(1000+n)), expr.TimeOf(int64(1000+n)), expr.IntOf(1)
	return r
}

func insert(t testing.TB, e *Engine, c *spec.Collection, records ...driver.Record) {
	t.Helper()
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		for _, r := range records {
			if err := tx.Insert(c, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// all is a list of every field, by id, that holds.
func all(c *spec.Collection, where *expr.Node) *driver.Query {
	q := &driver.Query{From: c, Where: where, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1}
	for _, f := range c.Fields {
		q.Cols = append(q.Cols, driver.Col{Ord: f.Ord})
	}
	return q
}

// ask answers a query as values.
func ask(t testing.TB, e *Engine, q *driver.Query, args ...expr.Value) [][]expr.Value {
	t.Helper()
	s, err := e.Prepare(q)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]expr.Value
	err = e.Read(context.Background(), func(r driver.Reader) error {
		return r.Rows(context.Background(), s, args, func(c driver.Columns) error {
			row := make([]expr.Value, len(s.(*stmt).Outputs))
			for i := range row {
				row[i] = c.Value(i)
			}
			out = append(out, row)
			return nil
		})
	})
	if err != nil {
		t.Fatalf("%s\n%v", s.Text(), err)
	}
	return out
}

// Nodes of the IR.

func record() *expr.Node { return &expr.Node{Op: expr.OpRow, Type: expr.Type{Kind: expr.Row}} }

func variable(n int) *expr.Node {
	return &expr.Node{Op: expr.OpRow, Index: n, Type: expr.Type{Kind: expr.Row}}
}

func of(c *spec.Collection, row *expr.Node, ord int) *expr.Node {
	return &expr.Node{Op: expr.OpField, Type: c.Fields[ord].ExprType(), Args: []*expr.Node{row}, Index: ord, Name: c.Fields[ord].Name}
}

func mine(ord int) *expr.Node { return of(posts, record(), ord) }

func lit(v expr.Value) *expr.Node {
	return &expr.Node{Op: expr.OpLit, Val: v, Type: expr.Type{Kind: v.Kind(), Scale: v.Scale(), Null: v.IsNull()}}
}

func param(n int, k expr.Kind) *expr.Node {
	return &expr.Node{Op: expr.OpParam, Index: n, Type: expr.Type{Kind: k}}
}

func op(o expr.Op, args ...*expr.Node) *expr.Node {
	return &expr.Node{Op: o, Args: args, Type: expr.Type{Kind: expr.Bool}}
}

func strict(n *expr.Node) *expr.Node {
	n.Strict = true
	return n
}

func deref(row *expr.Node, c *spec.Collection, ord int, to *spec.Collection) *expr.Node {
	return &expr.Node{Op: expr.OpDeref, Args: []*expr.Node{row}, Index: ord, Name: c.Fields[ord].Name, Type: expr.Type{Kind: expr.Row, Ref: to.Name}}
}

func several(row *expr.Node, c *spec.Collection, ord int, to *spec.Collection) *expr.Node {
	n := deref(row, c, ord, to)
	n.Type = expr.Type{Kind: expr.List, Elem: expr.Row, Ref: to.Name}
	return n
}

func inverse(row *expr.Node, from *spec.Collection, ord int) *expr.Node {
	return &expr.Node{Op: expr.OpInverse, Args: []*expr.Node{row}, Index: ord, Name: from.Fields[ord].Name,
		Type: expr.Type{Kind: expr.List, Elem: expr.Row, Ref: from.Name}}
}

func bound(o expr.Op, bind int, over, body *expr.Node) *expr.Node {
	return &expr.Node{Op: o, Args: []*expr.Node{over, body}, Bind: bind, Type: expr.Type{Kind: expr.Bool}}
}

func guarded(n *expr.Node, bind int, guard *expr.Node) *expr.Node {
	n.Guard, n.Bind = guard, bind
	return n
}

func size(n *expr.Node) *expr.Node {
	return &expr.Node{Op: expr.OpSize, Args: []*expr.Node{n}, Type: expr.Type{Kind: expr.Int}}
}

func literals(values ...expr.Value) *expr.Node {
	n := &expr.Node{Op: expr.OpList, Type: expr.Type{Kind: expr.List, Elem: values[0].Kind()}}
	for _, v := range values {
		n.Args = append(n.Args, lit(v))
	}
	return n
}

// statement is SQL of the test's own, with one number as its answer.
func statement(sql string) *sqldb.Statement {
	return &sqldb.Statement{SQL: sql, Outputs: []sqldb.Output{{Kind: expr.Int}}}
}
