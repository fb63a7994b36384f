package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"testing"

	library "github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// The app of these tests.
const (
	postTitle = spec.OrdFirst + iota
	postScore
	postDay
	postTags
	postAuthor
)

var posts = collection("posts", &spec.Field{Name: "title"}, &spec.Field{Name: "score", Type: spec.Int}, &spec.Field{Name: "day", Type: spec.Date},
	&spec.Field{Name: "tags", Type: spec.List, Elem: spec.Text}, &spec.Field{Name: "author"})

func collection(name string, fields ...*spec.Field) *spec.Collection {
	c := &spec.Collection{Name: name}
	base := []*spec.Field{{Name: "id"}, {Name: "created", Type: spec.Time}, {Name: "updated", Type: spec.Time}, {Name: "rev", Type: spec.Int}}
	for i, f := range append(base, fields...) {
		f.Ord, f.FoldOrd, f.KeyOrd = i, -1, -1
		c.Fields = append(c.Fields, f)
	}
	return c
}

func tableOf(c *spec.Collection, indexes ...driver.TableIndex) driver.Table {
	t := driver.Table{Name: c.Name, Indexes: indexes}
	for _, f := range c.Fields {
		t.Columns = append(t.Columns, driver.Column{Name: f.Name, Kind: f.Kind(), Elem: f.Elem.Kind(), MaxLen: maxLen(f)})
	}
	return t
}

func open(t testing.TB, address string) *mysql.Engine {
	t.Helper()
	return openWith(t, address, 0)
}

func openWith(t testing.TB, address string, conns int) *mysql.Engine {
	t.Helper()
	e, err := mysql.Open(context.Background(), address, mysql.Options{Conns: conns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.Use(&spec.App{Collections: []*spec.Collection{posts}}); err != nil {
		t.Fatal(err)
	}
	return e
}

// openEmpty is an engine without tables, and where it is.
func openEmpty(t testing.TB) (*mysql.Engine, string) {
	t.Helper()
	address := mysqltest.Database(t)
	return open(t, address), address
}

// empty is an engine with the tables of the app, and where it is.
func empty(t testing.TB) (*mysql.Engine, string) {
	t.Helper()
	address := mysqltest.Database(t)
	e := open(t, address)
	create(t, e)
	return e, address
}

func create(t testing.TB, e *mysql.Engine) {
	t.Helper()
	table := tableOf(posts, driver.TableIndex{Name: "by_title", Columns: []string{"title"}},
		driver.TableIndex{Name: "by_author", Columns: []string{"author", "score"}},
		driver.TableIndex{Name: "one_day", Columns: []string{"day"}, Unique: true})
	if err := e.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: table}, nil); err != nil {
		t.Fatal(err)
	}
}

func id(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }

func post(n int) driver.Record {
	r := make(driver.Record, len(posts.Fields))
	r[spec.OrdID], r[spec.OrdRev] = expr.TextOf(id(n)), expr.IntOf(1)
	r[spec.OrdCreated], r[spec.OrdUpdated] = expr.TimeOf(int64(n)), expr.TimeOf(int64(n))
	r[postTitle], r[postScore] = expr.TextOf(fmt.Sprintf("t%d", n)), expr.IntOf(int64(n))
	r[postTags], r[postAuthor] = expr.ListOf(expr.TextOf("a"), expr.TextOf("b")), expr.TextOf(fmt.Sprintf("a%d", n%7))
	return r
}

func insert(e *mysql.Engine, records ...driver.Record) error {
	return e.Write(context.Background(), func(tx driver.Tx) error {
		for _, r := range records {
			if err := tx.Insert(posts, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func fill(t testing.TB, e *mysql.Engine, n int) {
	t.Helper()
	var records []driver.Record
	for i := range n {
		records = append(records, post(i+1))
	}
	if err := insert(e, records...); err != nil {
		t.Fatal(err)
	}
}

func mine(ord int) *expr.Node {
	return &expr.Node{Op: expr.OpField, Type: posts.Fields[ord].ExprType(), Index: ord, Args: []*expr.Node{{Op: expr.OpRow, Type: expr.Type{Kind: expr.Row}}}}
}

func param(n int, k expr.Kind) *expr.Node {
	return &expr.Node{Op: expr.OpParam, Index: n, Type: expr.Type{Kind: k}}
}

func op(o expr.Op, args ...*expr.Node) *expr.Node {
	return &expr.Node{Op: o, Args: args, Type: expr.Type{Kind: expr.Bool}}
}

var byID = []driver.Key{{Ord: spec.OrdID}}

// ids is a list of ids that hold.
func ids(where *expr.Node) *driver.Query {
	return &driver.Query{From: posts, Where: where, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: byID, Limit: -1}
}

func one() *driver.Query {
	q := ids(op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text)))
	q.Cols = nil
	for _, f := range posts.Fields {
		q.Cols = append(q.Cols, driver.Col{Ord: f.Ord})
	}
	return q
}

func prepare(t testing.TB, e *mysql.Engine, q *driver.Query) driver.Stmt {
	t.Helper()
	s, err := e.Prepare(q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// texts are the first outputs of the rows of a query.
func texts(r driver.Reader, s driver.Stmt, args ...expr.Value) ([]string, error) {
	var out []string
	err := r.Rows(context.Background(), s, args, func(c driver.Columns) error {
		out = append(out, string(c.Text(0)))
		return nil
	})
	return out, err
}

// has says which posts there are.
func has(t testing.TB, e *mysql.Engine, numbers ...int) {
	t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, id(n))
	}
	got, err := texts(e, prepare(t, e, ids(nil)))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("there is %q (%v), want %q", got, err, want)
	}
}

// maxLen: titles may be long, but for the tests that index them.
func maxLen(f *spec.Field) int {
	if f.Kind() == expr.Text {
		return 36
	}
	return 0
}

// rawConn is a connection that knows nothing of the engine.
type rawConn struct{ *sql.Conn }

func raw(t testing.TB, address string) rawConn {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	config := library.NewConfig()
	config.User, config.Net, config.Addr, config.DBName = u.User.Username(), "unix", u.Query().Get("socket"), u.Path[1:]
	if u.Host != "" {
		config.Net, config.Addr = "tcp", u.Host
		config.Passwd, _ = u.User.Password()
	}
	config.Params = map[string]string{"sql_mode": "'ANSI_QUOTES'"}
	connector, err := library.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); db.Close() })
	return rawConn{c}
}

func (c rawConn) exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := c.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
}
