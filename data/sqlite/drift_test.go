package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// What others dropped is planned, made again and then there, although the catalogue still speaks of it.
func TestDriftIsMended(t *testing.T) {
	t.Parallel()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(`
collections:
  makers: {fields: {name: {type: text, max: 20}}}
  things:
    fields:
      name: {type: text, max: 20, unique: true}
      price: {type: int}
      maker: {type: ref, to: makers}
      tags: {type: list, of: text, max: 5}
      others: {type: list, of: ref, to: makers}
    indexes: [[price], [tags]]
`)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for name, outside := range map[string]string{
		"an index":                 `DROP INDEX "things$price_index$index"`,
		"a unique index":           `DROP INDEX "things$name_unique$index"`,
		"a column":                 `DROP INDEX "things$price_index$index"; ALTER TABLE "things" DROP COLUMN "price"`,
		"a list":                   `ALTER TABLE "things" DROP COLUMN "tags"`,
		"a list of references":     `ALTER TABLE "things" DROP COLUMN "others"`,
		"a table":                  `DROP TABLE "things"`,
		"a table, and its sides":   `DROP TABLE "things"; DROP TABLE "things$tags$items"`,
		"everything at once":       `DROP TABLE "things"; DROP TABLE "makers"`,
		"a table made differently": `DROP TABLE "things"; CREATE TABLE "things" ("id" TEXT PRIMARY KEY NOT NULL, "created" INTEGER, "updated" INTEGER, "rev" INTEGER)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := Open(filepath.Join(t.TempDir(), "drift.db"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			apply := func() *data.Migration {
				t.Helper()
				m, err := data.Plan(t.Context(), app, e, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Apply(t.Context(), e, data.ApplyOptions{}); err != nil {
					t.Fatalf("%v\n%+v", err, m.Steps)
				}
				return m
			}
			apply()
			want := inspected(t, e)
			if err := e.writer.do(t.Context(), func(c *conn) error { return c.script(outside) }); err != nil {
				t.Fatal(err)
			}
			if m := apply(); len(m.Steps) == 0 || len(m.Drift) == 0 {
				t.Errorf("steps %+v, drift %q", m.Steps, m.Drift)
			}
			if m := apply(); len(m.Steps)+len(m.Drift) > 0 {
				t.Errorf("left to do: %+v, drift %q", m.Steps, m.Drift)
			}
			if diff := cmp.Diff(want, inspected(t, e), unordered); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A reference that is added to a table has the index that the plan makes, and no other.
func TestOneIndexForAReference(t *testing.T) {
	t.Parallel()
	e := empty(t)
	editor := driver.Column{Name: "editor", Kind: expr.Text, Ref: "users"}
	for _, s := range []driver.Step{
		{Kind: driver.AddColumn, Table: "posts", Column: editor},
		{Kind: driver.CreateIndex, Table: "posts", Index: driver.TableIndex{Name: "editor$ref", Columns: []string{"editor", "id"}}},
	} {
		if err := e.Apply(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, e, `SELECT count(*) FROM sqlite_schema WHERE "type" = 'index' AND "sql" LIKE '%"editor"%'`); n != 1 {
		t.Errorf("%d indexes", n)
	}
}

// What SQLite says is the cause of an error, for the log; people are told in our words.
func TestAStepThatIsRefused(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, full(1), full(2))
	err := e.Apply(t.Context(), driver.Step{Kind: driver.CreateIndex, Table: "posts", Index: driver.TableIndex{Name: "one", Columns: []string{"status"}, Unique: true}}, nil)
	f, ok := err.(*fault.Error)
	if !ok || f.Kind != fault.Unique || f.Msg == "" || strings.Contains(f.Msg, "UNIQUE") || strings.Contains(f.Msg, "_") {
		t.Errorf("%#v", err)
	}
}

// unordered leaves the order of columns and indexes out: it tells only how they came there.
var unordered = cmp.Options{
	cmpopts.SortSlices(func(a, b driver.Column) bool { return a.Name < b.Name }),
	cmpopts.SortSlices(func(a, b driver.TableIndex) bool { return a.Name < b.Name }),
}
