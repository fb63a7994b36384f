package sqlite

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

func inspected(t *testing.T, e *Engine) []driver.Table {
	t.Helper()
	tables, err := e.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func TestInspectRoundTrip(t *testing.T) {
	t.Parallel()
	e := empty(t)
	want := []driver.Table{tableOf(posts, postIndexes...), tableOf(teams), tableOf(topics), tableOf(users)}
	if d := cmp.Diff(want, inspected(t, e)); d != "" {
		t.Error(d)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, full(1), blank(posts, 2))
	labels := driver.Column{Name: "labels", Kind: expr.List, Elem: expr.Text}
	editor := driver.Column{Name: "editor", Kind: expr.Text, Ref: "users"}
	pinned := driver.Column{Name: "pinned", Kind: expr.Bool}
	cost := driver.Column{Name: "cost", Kind: expr.Decimal, Scale: 4, MaxLen: 3}
	steps := []driver.Step{
		{Kind: driver.AddColumn, Table: "posts", Column: labels},
		{Kind: driver.AddColumn, Table: "posts", Column: editor},
		{Kind: driver.AddColumn, Table: "posts", Column: pinned},
		{Kind: driver.AddColumn, Table: "posts", Column: cost},
		{Kind: driver.CreateIndex, Table: "posts", Index: driver.TableIndex{Name: "by_label", Columns: []string{"labels"}}},
		{Kind: driver.CreateIndex, Table: "posts", Index: driver.TableIndex{Name: "by_cost", Columns: []string{"cost", "pinned"}, Unique: true}},
		{Kind: driver.CreateIndex, Table: "posts", Index: driver.TableIndex{Name: "by_tag", Columns: []string{"tags"}}},
		{Kind: driver.RenameColumn, Table: "posts", Column: driver.Column{Name: "labels"}, To: "marks"},
		{Kind: driver.RenameColumn, Table: "posts", Column: driver.Column{Name: "topics"}, To: "themes"},
		{Kind: driver.RenameColumn, Table: "posts", Column: driver.Column{Name: "cost"}, To: "price2"},
		{Kind: driver.DropColumn, Table: "posts", Column: driver.Column{Name: "day"}},
		{Kind: driver.DropColumn, Table: "posts", Column: driver.Column{Name: "author"}},
		{Kind: driver.DropColumn, Table: "posts", Column: driver.Column{Name: "live"}},
		{Kind: driver.DropIndex, Table: "posts", Index: driver.TableIndex{Name: "by_title"}},
		{Kind: driver.RenameTable, Table: "posts", To: "entries"},
		{Kind: driver.RenameTable, Table: "users", To: "people"},
		{Kind: driver.DropTable, Table: "topics"},
		{Kind: driver.CreateTable, New: tableOf(posts, postIndexes...)}, // its names are still in use by indexes of entries
		{Kind: driver.DropIndex, Table: "entries", Index: driver.TableIndex{Name: "by_label"}},
	}
	together := e.Statements(steps...)
	for i, s := range steps {
		planned := e.Statements(s)[0]
		if err := e.Apply(t.Context(), s, nil); err != nil {
			t.Fatalf("step %d: %v\n%q", i, err, planned)
		}
		if len(planned) == 0 {
			t.Errorf("step %d tells no statements", i)
		}
		if d := cmp.Diff(planned, together[i]); d != "" {
			t.Errorf("step %d, told with those before it:\n%s", i, d)
		}
		before := inspected(t, e)
		if s.Kind == driver.RenameTable { // done again it must not take another table along
			if err := e.Apply(t.Context(), s, nil); err != nil {
				t.Errorf("step %d again: %v", i, err)
			}
		} else if err := e.Apply(t.Context(), s, nil); err != nil {
			t.Errorf("step %d again: %v", i, err)
		}
		if d := cmp.Diff(before, inspected(t, e)); d != "" {
			t.Errorf("step %d again changed:\n%s", i, d)
		}
		if again := e.Statements(s)[0]; len(again) > 0 {
			t.Errorf("step %d, done, would run %q", i, again)
		}
	}
	entries := tableOf(posts)
	entries.Name = "entries"
	entries.Columns = slices.DeleteFunc(entries.Columns, func(c driver.Column) bool { return c.Name == "day" || c.Name == "author" || c.Name == "live" })
	for i := range entries.Columns {
		if entries.Columns[i].Name == "topics" {
			entries.Columns[i].Name = "themes"
		}
	}
	labels.Name, cost.Name, editor.Ref = "marks", "price2", "people"
	entries.Columns = append(entries.Columns, labels, editor, pinned, cost)
	entries.Indexes = []driver.TableIndex{{Name: "by_status", Columns: []string{"status", "created"}},
		{Name: "by_cost", Columns: []string{"price2", "pinned"}, Unique: true}, {Name: "by_tag", Columns: []string{"tags"}}}
	people := tableOf(users)
	people.Name = "people"
	newPosts := tableOf(posts, postIndexes...)
	newPosts.Columns[postAuthor].Ref = "users"
	want := []driver.Table{entries, people, newPosts, tableOf(teams)}
	if d := cmp.Diff(want, inspected(t, e)); d != "" {
		t.Error(d)
	}
	for sql, n := range map[string]int64{
		`SELECT count(*) FROM "entries"`:                                                                2,
		`SELECT count(*) FROM "entries$themes$items"`:                                                   2, // followed their table and column
		`SELECT count(*) FROM "entries$tags$items"`:                                                     3, // filled when the index was made
		`SELECT count(*) FROM "posts$topics$items"`:                                                     0,
		`SELECT count(*) FROM sqlite_schema WHERE "name" LIKE '%labels%' OR "name" LIKE '%marks$items'`: 0,
	} {
		if got := count(t, e, sql); got != n {
			t.Errorf("%s: %d, want %d", sql, got, n)
		}
	}
}

// TestOtherProcess: statements survive a change of the tables by somebody else.
func TestOtherProcess(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, users, blank(users, 1))
	before := ask(t, e, all(users, nil))
	other, err := Open(e.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	step := driver.Step{Kind: driver.AddColumn, Table: "users", Column: driver.Column{Name: "born", Kind: expr.Date}}
	if err := other.Apply(t.Context(), step, nil); err != nil {
		t.Fatal(err)
	}
	insert(t, e, users, blank(users, 2))
	after := ask(t, e, all(users, nil))
	if len(before) != 1 || len(after) != 2 || len(after[0]) != len(users.Fields) {
		t.Errorf("%d then %d rows", len(before), len(after))
	}
}

func TestStrictTables(t *testing.T) {
	t.Parallel()
	e := empty(t)
	for name, v := range map[int]expr.Value{userActive: expr.IntOf(5), userName: expr.BytesOf("x")} {
		r := blank(users, 1)
		r[name] = v
		if err := e.Write(t.Context(), func(tx driver.Tx) error { return tx.Insert(users, r) }); err == nil {
			t.Errorf("%s took %v", users.Fields[name].Name, v)
		}
	}
	if err := e.Write(t.Context(), func(tx driver.Tx) error {
		r := blank(users, 1)
		r[spec.OrdID] = expr.Value{}
		return tx.Insert(users, r)
	}); err == nil {
		t.Error("a record without an id was stored")
	}
}
