package data

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

var migrateKey = []byte("0123456789abcdef0123456789abcdef")

// appOf makes an app of its collections section.
func appOf(t testing.TB, collections string) *spec.App {
	t.Helper()
	text := "name: test\ncollections:\n" + collections
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(text)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return app
}

func migrate(t testing.TB, app *spec.App, eng driver.Engine, o ApplyOptions) {
	t.Helper()
	m, err := Plan(context.Background(), app, eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(context.Background(), eng, o); err != nil {
		t.Fatal(err)
	}
	if err := eng.Use(app); err != nil {
		t.Fatal(err)
	}
}

func texts(m *Migration) []string {
	out := []string{}
	for _, s := range m.Steps {
		text := s.Text
		if s.Lossy {
			text += " LOSSY"
		}
		out = append(out, text)
	}
	return out
}

// put stores records of plain values by the names of their fields, as create would.
func put(t testing.TB, app *spec.App, eng driver.Engine, collection string, rows ...map[string]Value) {
	t.Helper()
	keys, err := NewKeyring(migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := app.Collection(collection)
	err = eng.Write(context.Background(), func(tx driver.Tx) error {
		for i, row := range rows {
			rec := make(Record, len(c.Fields))
			rec[spec.OrdID] = expr.TextOf(recordID(i))
			rec[spec.OrdCreated], rec[spec.OrdUpdated], rec[spec.OrdRev] = expr.TimeOf(1), expr.TimeOf(1), expr.IntOf(1)
			for name, v := range row {
				f, ok := c.Field(name)
				if !ok {
					return fmt.Errorf("no field %q", name)
				}
				rec[f.Ord] = v
			}
			if err := keys.companions(c, rec); err != nil {
				return err
			}
			if err := keys.seal(c, rec); err != nil {
				return err
			}
			if err := tx.Insert(c, rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func recordID(i int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", i) }

// rows reads a collection as plain values, companions included, one line a record.
func rows(t testing.TB, app *spec.App, eng driver.Engine, collection string) []string {
	t.Helper()
	keys, err := NewKeyring(migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := app.Collection(collection)
	if !ok {
		t.Fatalf("no collection %s", collection)
	}
	s, err := eng.Prepare(&driver.Query{From: c, Cols: allColumns(c), Sort: byIDs, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = eng.Read(context.Background(), func(r driver.Reader) error {
		return r.Rows(context.Background(), s, nil, func(cols driver.Columns) error {
			rec := make(Record, len(c.Fields))
			for i := range rec {
				rec[i] = cols.Value(i)
			}
			if err := keys.open(c, rec); err != nil {
				return err
			}
			want := slices.Clone(rec)
			if err := keys.companions(c, want); err != nil {
				return err
			}
			line := []string{}
			for _, f := range c.Fields[spec.OrdFirst:] {
				if f.Companion == spec.Own {
					line = append(line, f.Name+"="+string(AppendJSON(nil, rec[f.Ord])))
				} else if !expr.Equal(rec[f.Ord], want[f.Ord]) {
					line = append(line, f.Name+" is not what create computes")
				}
			}
			out = append(out, strings.Join(line, " "))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const shopBefore = `
  contacts:
    fields:
      name: {type: text, required: true, max: 100}
      mail: {type: email, personal: true}
      age: {type: text}
      code: {type: text, encrypted: true, searchable: true}
      gone: {type: int}
    access: {read: true}
  posts:
    fields:
      title: {type: text, max: 100}
      who: {type: ref, to: contacts}
      state: {type: enum, values: [open, shut]}
      price: {type: int}
      tags: {type: list, of: text}
    access: {read: true}
  notes: {fields: {body: {type: text}}, access: {read: true}}
`

const shopAfter = `
  people:
    was: contacts
    fields:
      name: {type: text, required: true, max: 200, ci: true, unique: true}
      email: {type: email, personal: true, was: mail, encrypted: true, searchable: true}
      age: {type: int}
      secret: {type: text, encrypted: true, searchable: true, was: code}
      phone: {type: text, default: none}
    access: {read: true}
  posts:
    fields:
      title: {type: text, max: 100}
      who: {type: ref, to: people}
      state: {type: enum, values: [open, shut]}
      price: {type: decimal, precision: 10, scale: 2}
      tags: {type: list, of: text}
    indexes:
      - [state, title]
      - [tags]
      - {fields: [title], unique: true, where: 'state == "open"', name: one_open}
    access: {read: true}
  topics: {fields: {name: {type: text, max: 50, unique: true}}, access: {read: true}}
`

const shopPeople = 7

// shop is a database of shopBefore with rows.
func shop(t testing.TB, eng driver.Engine) driver.Engine {
	app := appOf(t, shopBefore)
	migrate(t, app, eng, ApplyOptions{})
	text := expr.TextOf
	var people, posts []map[string]Value
	for i := range shopPeople {
		people = append(people, map[string]Value{"name": text(fmt.Sprintf("Näme %d", i)), "age": text(fmt.Sprint(i)), "code": text(fmt.Sprintf("c%d", i)), "gone": expr.IntOf(1)})
	}
	people[0]["mail"] = text("A@example.com")
	people[1]["age"] = Value{}
	posts = append(posts,
		map[string]Value{"title": text("a"), "state": text("open"), "price": expr.IntOf(5), "who": text(recordID(0)), "tags": expr.ListOf(text("x"))},
		map[string]Value{"title": text("a"), "state": text("shut"), "price": expr.IntOf(-7)},
		map[string]Value{})
	put(t, app, eng, "contacts", people...)
	put(t, app, eng, "posts", posts...)
	put(t, app, eng, "notes", map[string]Value{"body": text("b")})
	return eng
}

func TestPlanSaysWhatItWillDo(t *testing.T) {
	t.Parallel()
	eng := shop(t, memory.Open())
	m, err := Plan(t.Context(), appOf(t, shopAfter), eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`rename collection contacts to people`,
		`add collection topics`,
		`rename field "mail" of people to "email"`,
		`rename field "code" of people to "secret"`,
		`rename the hidden column "code$key" of people to "secret$key"`,
		`convert field "email" of people from email to encrypted email: add the new column`,
		`convert field "email" of people from email to encrypted email: copy the values`,
		`convert field "age" of people from text to int: add the new column`,
		`convert field "age" of people from text to int: copy the values`,
		`add field "phone" (text) to people`,
		`set field "phone" to its default in the people that are there`,
		`drop the old column of field "email" of people`,
		`put the converted field "email" of people in its place`,
		`drop the old column of field "age" of people`,
		`put the converted field "age" of people in its place`,
		`drop field "gone" of people (7 values) LOSSY`,
		`drop collection notes (1 record) LOSSY`,
	}
	got := texts(m)
	for _, text := range want {
		if !slices.Contains(got, text) {
			t.Errorf("not planned: %s", text)
		}
	}
	if t.Failed() {
		t.Logf("planned:\n%s", strings.Join(got, "\n"))
	}
	if len(m.Drift) != 0 {
		t.Errorf("drift: %q", m.Drift)
	}
	for _, s := range m.Steps {
		if s.SQL == nil {
			t.Errorf("%s: sql is null, want an empty list", s.Text)
		}
	}
}

func TestApplyRefusesLossUnlessAllowed(t *testing.T) {
	t.Parallel()
	eng := shop(t, memory.Open())
	before, _ := eng.Inspect(t.Context())
	m, err := Plan(t.Context(), appOf(t, shopAfter), eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Apply(t.Context(), eng, ApplyOptions{})
	const want = `drop field "gone" of people (7 values); drop collection notes (1 record): these 2 steps lose data; allow it with --allow-loss`
	if !fault.Is(err, fault.Invalid) || err.Error() != want {
		t.Fatalf("%v\nwant %s", err, want)
	}
	after, _ := eng.Inspect(t.Context())
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

// migrated are the engines on which migrations are broken off, and at each how many places.
var migrated = []struct {
	name  string
	open  func(testing.TB) driver.Engine
	every int
}{
	{"memory", func(testing.TB) driver.Engine { return memory.Open() }, 1},
	{"sqlite", openSQLite, 9},
}

func openSQLite(t testing.TB) driver.Engine {
	eng, err := sqlite.Open(filepath.Join(t.TempDir(), "test.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return eng
}

// A required field that is added says how many records will have none, and every step says what the
// database is told, also behind the rename of its collection.
func TestPlanTellsOfRequiredFieldsAndSQL(t *testing.T) {
	t.Parallel()
	old := appOf(t, `
  people: {fields: {name: {type: text, max: 9}, age: {type: text, max: 9}}}
  empty: {fields: {name: {type: text, max: 9}}}
`)
	eng := openSQLite(t)
	migrate(t, old, eng, ApplyOptions{})
	put(t, old, eng, "people", map[string]Value{"name": expr.TextOf("a")}, map[string]Value{"name": expr.TextOf("b")})
	m, err := Plan(t.Context(), appOf(t, `
  persons:
    was: people
    fields:
      title: {type: text, max: 9, was: name}
      age: {type: text, max: 9}
      mail: {type: email, required: true}
      kind: {type: text, required: true, default: x}
      seen: {type: time, required: true, set: now}
      boss: {type: ref, to: persons}
    indexes: [[title]]
  empty: {fields: {name: {type: text, max: 9}, more: {type: text, required: true}}}
`), eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`rename collection people to persons`,
		`rename field "name" of persons to "title"`,
		`add field "mail" (email) to persons: 2 records have none: a change of one will be refused until it is given`,
		`add field "kind" (text) to persons`,
		`set field "kind" to its default in the persons that are there`,
		`add field "seen" (time) to persons`,
		`add field "boss" (ref) to persons`,
		`add index "title_index" to persons`,
		`add index "boss$ref" to persons`,
		`add field "more" (text) to empty`,
	}
	if diff := cmp.Diff(want, texts(m)); diff != "" {
		t.Error(diff)
	}
	for _, s := range m.Steps {
		if (s.do.Change != nil) != (len(s.SQL) > 0) {
			t.Errorf("%s: %q", s.Text, s.SQL)
		}
	}
}

// errPulled stands for a crash.
var errPulled = errors.New("the plug was pulled")

func TestApplyResumesAfterACrashAnywhere(t *testing.T) {
	t.Parallel()
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			crashAnywhere(t, e.open, sparser(t, e.every))
		})
	}
}

// sparser is every how many-th moment is tried: with -short, where the race detector looks and all is ten times as slow, few.
func sparser(t *testing.T, every int) int {
	if !testing.Short() {
		return every
	}
	t.Logf("LEFT OUT with -short: all but every %dth of the moments that are tried", 8)
	return 8 * every
}

func crashAnywhere(t *testing.T, open func(testing.TB) driver.Engine, every int) {
	after := appOf(t, shopAfter)
	straight := shop(t, open(t))
	var marks []string
	migrate(t, after, straight, ApplyOptions{AllowLoss: true, batch: 3, after: func(text string) error { marks = append(marks, text); return nil }})
	wantTables, _ := straight.Inspect(t.Context())
	wantPeople, wantPosts := rows(t, after, straight, "people"), rows(t, after, straight, "posts")
	if len(marks) < 50 || len(wantPeople) != shopPeople {
		t.Fatalf("%d marks, %d people: the case tests nothing", len(marks), len(wantPeople))
	}
	if got := wantPosts[0]; got != `title="a" who="`+recordID(0)+`" state="open" price="5.00" tags=["x"]` {
		t.Errorf("the first post is %s", got)
	}
	if got := wantPeople[0]; got != `name="Näme 0" email="A@example.com" age=0 secret="c0" phone="none"` {
		t.Errorf("the first person is %s", got)
	}
	// Back is what an app that never changed says after the crash: everything not lost is there again.
	for i := 0; i < len(marks); i += every {
		for _, then := range []string{"forward", "back and forward"} {
			t.Run(fmt.Sprintf("%d %s/%s", i, marks[i], then), func(t *testing.T) {
				t.Parallel()
				eng := shop(t, open(t))
				var late time.Duration
				clock := func() time.Time { return time.Now().Add(late) }
				n := 0
				m, err := Plan(t.Context(), after, eng, migrateKey)
				if err != nil {
					t.Fatal(err)
				}
				err = m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true, batch: 3, clock: clock, after: func(string) error {
					if n++; n > i {
						return errPulled
					}
					return nil
				}})
				if !errors.Is(err, errPulled) {
					t.Fatalf("%v, want the crash", err)
				}
				late = time.Hour
				if then != "forward" {
					back := renamedBack(t)
					migrate(t, back, eng, ApplyOptions{AllowLoss: true, batch: 3, clock: clock})
					if got := rows(t, back, eng, "contacts"); len(got) != shopPeople || !strings.Contains(got[0], `code="c0"`) || !strings.Contains(got[0], `age="0"`) {
						t.Fatalf("%d contacts, the first is %s", len(got), got[0])
					}
				}
				migrate(t, after, eng, ApplyOptions{AllowLoss: true, batch: 3, clock: clock})
				compareTables(t, eng, wantTables)
				if diff := cmp.Diff(wantPeople, rows(t, after, eng, "people")); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(wantPosts, rows(t, after, eng, "posts")); diff != "" {
					t.Error(diff)
				}
				left, err := Plan(t.Context(), after, eng, migrateKey)
				if err != nil || len(left.Steps) != 0 || len(left.Drift) != 0 {
					t.Errorf("left to do: %v %q (%v)", texts(left), left.Drift, err)
				}
			})
		}
	}

}

// renamedBack is shopBefore, knowing the names of shopAfter.
func renamedBack(t testing.TB) *spec.App {
	text := strings.Replace(shopBefore, "  contacts:\n", "  contacts:\n    was: people\n", 1)
	text = strings.Replace(text, "mail: {type: email,", "mail: {type: email, was: email,", 1)
	text = strings.Replace(text, "code: {type: text,", "code: {type: text, was: secret,", 1)
	return appOf(t, text)
}

// compareTables compares tables by what is in them: the order of columns tells how they came there.
func compareTables(t *testing.T, eng driver.Engine, want []driver.Table) {
	t.Helper()
	got, err := eng.Inspect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	order := func(tables []driver.Table) []driver.Table {
		for i := range tables {
			slices.SortFunc(tables[i].Columns, func(a, b driver.Column) int { return strings.Compare(a.Name, b.Name) })
			slices.SortFunc(tables[i].Indexes, func(a, b driver.TableIndex) int { return strings.Compare(a.Name, b.Name) })
			for j := range tables[i].Columns {
				tables[i].Columns[j].MaxLen = 0
			}
		}
		return tables
	}
	clone := make([]driver.Table, len(want))
	for i, w := range want {
		clone[i] = driver.Table{Name: w.Name, Columns: slices.Clone(w.Columns), Indexes: slices.Clone(w.Indexes)}
	}
	if diff := cmp.Diff(order(clone), order(got), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestTwoProcessesApplyAtOnce(t *testing.T) {
	t.Parallel()
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			applyAtOnce(t, shop(t, e.open(t)))
		})
	}
}

func applyAtOnce(t *testing.T, eng driver.Engine) {
	after := appOf(t, shopAfter)
	var steps atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		m, err := Plan(t.Context(), after, eng, migrateKey)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			err := m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true, batch: 3, after: func(text string) error {
				if strings.HasPrefix(text, "noted ") {
					steps.Add(1)
				}
				return nil
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	alone := shop(t, memory.Open())
	m, _ := Plan(t.Context(), after, alone, migrateKey)
	if want := int64(len(m.Steps)); steps.Load() != want {
		t.Errorf("%d steps were run, want each of the %d once", steps.Load(), want)
	}
	if got := rows(t, after, eng, "people"); len(got) != shopPeople {
		t.Errorf("%d people", len(got))
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	const head, tail = "  posts:\n    fields:\n", "    access: {read: true}\n"
	text := expr.TextOf
	tests := []struct {
		name          string
		before, after string // fields and indexes of posts
		rows          []map[string]Value
		want          []string // the plan
		err           string   // or its error
		then          []string // the rows afterwards
	}{
		{name: "a longer text is no change", before: "      a: {type: text, max: 10}\n", after: "      a: {type: text, max: 20, label: x}\n", want: []string{}},
		{name: "a field is added", before: "      a: {type: text}\n", after: "      a: {type: text}\n      phone: {type: text}\n",
			rows: []map[string]Value{{"a": text("x")}}, want: []string{`add field "phone" (text) to posts`}, then: []string{`a="x" phone=null`}},
		{name: "a field is renamed, with its index", before: "      a: {type: text, max: 9, ci: true}\n    indexes: [{fields: [a], name: x}]\n", after: "      b: {type: text, max: 9, ci: true, was: a}\n    indexes: [{fields: [b], name: x}]\n",
			rows: []map[string]Value{{"a": text("X")}},
			want: []string{`rename field "a" of posts to "b"`, `rename the hidden column "a$fold" of posts to "b$fold"`}, then: []string{`b="X"`}},
		{name: "values that do not convert are counted", before: "      a: {type: text}\n", after: "      a: {type: int}\n",
			rows: []map[string]Value{{"a": text("1")}, {"a": text("many")}, {}},
			want: []string{`convert field "a" of posts from text to int: add the new column`,
				`convert field "a" of posts from text to int: copy the values: 1 of 2 values would be lost, because they do not convert, such as "many" LOSSY`,
				`drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`},
			then: []string{`a=1`, `a=null`, `a=null`}},
		{name: "personal values are not shown", before: "      a: {type: text, personal: true}\n", after: "      a: {type: int, personal: true}\n",
			rows: []map[string]Value{{"a": text("many")}},
			want: []string{`convert field "a" of posts from text to int: add the new column`,
				`convert field "a" of posts from text to int: copy the values: 1 of 1 value would be lost, because they do not convert LOSSY`,
				`drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`}},
		{name: "a text becomes a reference", before: "      a: {type: text}\n", after: "      a: {type: ref, to: posts}\n",
			rows: []map[string]Value{{"a": text(recordID(1))}, {"a": text(recordID(9))}},
			want: []string{`convert field "a" of posts from text to ref: add the new column`,
				`convert field "a" of posts from text to ref: copy the values: 1 of 2 values would be lost, because they do not convert, such as "` + recordID(9) + `" LOSSY`,
				`drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`, `add index "a$ref" to posts`},
			then: []string{`a="` + recordID(1) + `"`, `a=null`}},
		{name: "a text becomes a reference to what is not there yet", before: "      a: {type: text}\n", after: "      a: {type: ref, to: others}\n    access: {read: true}\n  others:\n    fields: {n: {type: int}}\n",
			rows: []map[string]Value{{"a": text("x")}},
			want: []string{`add collection others`, `convert field "a" of posts from text to ref: add the new column`,
				`convert field "a" of posts from text to ref: copy the values: 1 of 1 value would be lost, because they do not convert, such as "x" LOSSY`,
				`drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`, `add index "a$ref" to posts`},
			then: []string{`a=null`}},
		{name: "one becomes a list", before: "      a: {type: ref, to: posts}\n", after: "      a: {type: list, of: ref, to: posts}\n",
			rows: []map[string]Value{{"a": text(recordID(0))}, {}},
			want: []string{`convert field "a" of posts from ref to list of ref: add the new column`, `convert field "a" of posts from ref to list of ref: copy the values`,
				`drop index "a$ref" of posts`, `drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`},
			then: []string{`a=["` + recordID(0) + `"]`, `a=null`}},
		{name: "duplicates under a new unique field", before: "      a: {type: text, max: 9}\n", after: "      a: {type: text, max: 9, unique: true}\n",
			rows: []map[string]Value{{"a": text("x")}, {"a": text("x")}, {"a": text("x")}, {}, {}},
			err:  `posts cannot be unique by a (index "a_unique"): 2 records are not the only one, such as the second with "x"; change the records first`},
		{name: "duplicates by case", before: "      a: {type: text, max: 9, personal: true}\n", after: "      a: {type: text, max: 9, unique: true, ci: true, personal: true}\n",
			rows: []map[string]Value{{"a": text("É")}, {"a": text("é")}},
			err:  `posts cannot be unique by a (index "a_unique"): 1 record is not the only one; change the records first`},
		{name: "duplicates where a condition holds", before: "      a: {type: text, max: 9}\n      b: {type: bool}\n",
			after: "      a: {type: text, max: 9}\n      b: {type: bool}\n    indexes: [{fields: [a], unique: true, where: b, name: one}]\n",
			rows:  []map[string]Value{{"a": text("x"), "b": expr.BoolOf(true)}, {"a": text("x")}, {"a": text("y"), "b": expr.BoolOf(true)}, {"a": text("y"), "b": expr.BoolOf(true)}},
			err:   `posts cannot be unique by a (index "one"): 1 record is not the only one, such as the second with "y"; change the records first`},
		{name: "a conversion makes duplicates", before: "      a: {type: text, max: 9, unique: true}\n", after: "      a: {type: int, unique: true}\n",
			rows: []map[string]Value{{"a": text("1")}, {"a": text("01")}, {"a": text("+1")}, {"a": text("x")}, {"a": text("y")}},
			err:  `posts cannot be unique by a (index "a_unique") after the conversion of a: 2 records are not the only one, such as the second with 1; change the records first`},
		{name: "a conversion under another name makes duplicates", before: "      a: {type: text, max: 9, unique: true}\n      b: {type: int}\n", after: "      c: {type: int, was: a, unique: true}\n      b: {type: int}\n",
			rows: []map[string]Value{{"a": text("1"), "b": expr.IntOf(1)}, {"a": text("01"), "b": expr.IntOf(2)}},
			err:  `posts cannot be unique by c (index "c_unique") after the conversion of c: 1 record is not the only one, such as the second with 1; change the records first`},
		{name: "a conversion makes duplicates where a condition holds", before: "      a: {type: int}\n      b: {type: text}\n",
			after: "      a: {type: int}\n      b: {type: bool}\n    indexes: [{fields: [a], unique: true, where: b, name: one}]\n",
			rows:  []map[string]Value{{"a": expr.IntOf(1), "b": text("true")}, {"a": expr.IntOf(1), "b": text("no")}, {"a": expr.IntOf(2), "b": text("true")}, {"a": expr.IntOf(2), "b": text("true")}},
			err:   `posts cannot be unique by a (index "one") after the conversion of b: 1 record is not the only one, such as the second with 2; change the records first`},
		{name: "sealed values that a conversion makes equal", before: "      a: {type: text, max: 9}\n", after: "      a: {type: text, max: 9, ci: true, encrypted: true, unique: true}\n",
			rows: []map[string]Value{{"a": text("x")}, {"a": text("X")}},
			err:  `posts cannot be unique by a (index "a_unique") after the conversion of a: 1 record is not the only one; change the records first`},
		{name: "a default makes duplicates", before: "      a: {type: text}\n", after: "      a: {type: text}\n      b: {type: int, default: 7, unique: true}\n",
			rows: []map[string]Value{{}, {}},
			err:  `posts cannot be unique by b (index "b_unique"): 1 record is not the only one, such as the second with 7; change the records first`},
		{name: "values that are lost are no duplicates", before: "      a: {type: text, max: 9, unique: true}\n      b: {type: text, max: 40}\n", after: "      a: {type: int, unique: true}\n      b: {type: ref, to: posts, unique: true}\n",
			rows: []map[string]Value{{"a": text("x"), "b": text("x")}, {"a": text("y"), "b": text("x")}, {"a": text("1"), "b": text(recordID(0))}},
			want: []string{`convert field "a" of posts from text to int: add the new column`,
				`convert field "a" of posts from text to int: copy the values: 2 of 3 values would be lost, because they do not convert, such as "x" LOSSY`,
				`convert field "b" of posts from text to ref: add the new column`,
				`convert field "b" of posts from text to ref: copy the values: 2 of 3 values would be lost, because they do not convert, such as "x" LOSSY`,
				`drop index "a_unique" of posts while its columns change`, `drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`,
				`drop the old column of field "b" of posts`, `put the converted field "b" of posts in its place`, `add unique index "a_unique" to posts`, `add unique index "b_unique" to posts`},
			then: []string{`a=null b=null`, `a=null b=null`, `a=1 b="` + recordID(0) + `"`}},
		{name: "ci is added and unique", before: "      a: {type: text, max: 9}\n", after: "      a: {type: text, max: 9, ci: true, unique: true}\n",
			rows: []map[string]Value{{"a": text("X")}, {"a": text("y")}, {}, {}},
			want: []string{`add the hidden column "a$fold" (text) to posts`, `compute the hidden column "a$fold" of posts`, `add unique index "a_unique" to posts`},
			then: []string{`a="X"`, `a="y"`, `a=null`, `a=null`}},
		{name: "ci is removed", before: "      a: {type: text, max: 9, ci: true, unique: true}\n", after: "      a: {type: text, max: 9, unique: true}\n",
			rows: []map[string]Value{{"a": text("X")}},
			want: []string{`drop index "a_unique" of posts`, `drop the hidden column "a$fold" of posts`, `add unique index "a_unique" to posts`},
			then: []string{`a="X"`}},
		{name: "encrypted is removed", before: "      a: {type: text, max: 9, encrypted: true, searchable: true}\n", after: "      a: {type: text, max: 9}\n",
			rows: []map[string]Value{{"a": text("X")}},
			want: []string{`convert field "a" of posts from encrypted text to text: add the new column`, `convert field "a" of posts from encrypted text to text: copy the values`,
				`drop the old column of field "a" of posts`, `put the converted field "a" of posts in its place`, `drop the hidden column "a$key" of posts`},
			then: []string{`a="X"`}},
		{name: "a condition changes", before: "      a: {type: text, max: 9}\n      b: {type: bool}\n    indexes: [{fields: [a], unique: true, where: b, name: one}]\n",
			after: "      a: {type: text, max: 9}\n      b: {type: bool}\n    indexes: [{fields: [a], unique: true, where: '!b', name: one}]\n",
			rows:  []map[string]Value{{"a": text("x"), "b": expr.BoolOf(true)}, {"a": text("x")}},
			want:  []string{`drop index "one" of posts while its columns change`, `compute the hidden column "one$index" of posts`, `add unique index "one" to posts`},
			then:  []string{`a="x" b=true`, `a="x" b=null`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eng := memory.Open()
			before, after := appOf(t, head+tt.before+tail), appOf(t, head+tt.after+tail)
			migrate(t, before, eng, ApplyOptions{})
			put(t, before, eng, "posts", tt.rows...)
			m, err := Plan(t.Context(), after, eng, migrateKey)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err || !fault.Is(err, fault.Conflict) {
					t.Fatalf("%v\nwant %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, texts(m)); diff != "" {
				t.Error(diff)
			}
			if err := m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true, batch: 3}); err != nil {
				t.Fatal(err)
			}
			if got := rows(t, after, eng, "posts"); tt.then != nil && !slices.Equal(got, tt.then) {
				t.Errorf("rows are %q, want %q", got, tt.then)
			}
			fresh := memory.Open()
			migrate(t, after, fresh, ApplyOptions{})
			want, _ := fresh.Inspect(t.Context())
			compareTables(t, eng, want)
		})
	}
}

// Duplicates that come when nobody looks any more are found at the last step: then it is said what is done.
func TestAStepThatFailsSaysWhatIsDone(t *testing.T) {
	t.Parallel()
	before := appOf(t, "  posts: {fields: {a: {type: text, max: 9, unique: true}}}\n")
	after := appOf(t, "  posts: {fields: {a: {type: int, unique: true}}}\n")
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			eng := e.open(t)
			migrate(t, before, eng, ApplyOptions{})
			put(t, before, eng, "posts", map[string]Value{"a": expr.TextOf("1")})
			m, err := Plan(t.Context(), after, eng, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Apply(t.Context(), eng, ApplyOptions{after: func(text string) error {
				if strings.Contains(text, "in its place") {
					put(t, after, eng, "posts", map[string]Value{"id": expr.TextOf(recordID(1)), "a": expr.IntOf(1)})
				}
				return nil
			}})
			const want = `step 6 of 6 failed: those before it are done, and the next apply begins with it: add unique index "a_unique" to posts: ` +
				`posts cannot be unique by a (index "a_unique"): 1 record is not the only one, such as the second with 1; change the records, or take the index out of the app file`
			if !fault.Is(err, fault.Conflict) || err.Error() != want {
				t.Errorf("%v\nwant %s", err, want)
			}
			if got := rows(t, after, eng, "posts"); !slices.Equal(got, []string{"a=1", "a=1"}) {
				t.Errorf("rows are %q", got)
			}
		})
	}
}

// Apply looks again: duplicates that came after the plan was made are refused before its first step.
func TestApplyLooksForDuplicatesAgain(t *testing.T) {
	t.Parallel()
	before := appOf(t, "  posts: {fields: {a: {type: text, max: 9, unique: true}}}\n")
	after := appOf(t, "  posts: {fields: {a: {type: int, unique: true}}}\n")
	eng := memory.Open()
	migrate(t, before, eng, ApplyOptions{})
	m, err := Plan(t.Context(), after, eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, before, eng, "posts", map[string]Value{"a": expr.TextOf("1")}, map[string]Value{"a": expr.TextOf("01")})
	tables, _ := eng.Inspect(t.Context())
	if err := m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true}); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v, want a conflict", err)
	}
	compareTables(t, eng, tables)
}

func TestDriftIsNamedAndMended(t *testing.T) {
	t.Parallel()
	eng, app := memory.Open(), appOf(t, shopAfter)
	migrate(t, app, eng, ApplyOptions{})
	for _, s := range []driver.Step{
		{Kind: driver.CreateTable, New: driver.Table{Name: "theirs", Columns: []driver.Column{{Name: "id", Kind: expr.Text}}}},
		{Kind: driver.AddColumn, Table: "posts", Column: driver.Column{Name: "x", Kind: expr.Text}},
		{Kind: driver.DropColumn, Table: "posts", Column: driver.Column{Name: "price", Kind: expr.Decimal}},
		{Kind: driver.DropIndex, Table: "posts", Index: driver.TableIndex{Name: "one_open"}},
		{Kind: driver.DropTable, Table: "topics"},
	} {
		if err := eng.Apply(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Plan(t.Context(), app, eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`collection topics was dropped outside Plinth`,
		`column "price" of posts was dropped outside Plinth`,
		`column "x" of posts was added outside Plinth`,
		`index "one_open" of posts was dropped outside Plinth`,
		`table "theirs" was made outside Plinth`,
	}
	slices.Sort(m.Drift)
	if diff := cmp.Diff(want, m.Drift); diff != "" {
		t.Error(diff)
	}
	wantSteps := []string{`add collection topics`, `add field "price" (decimal) to posts`, `add unique index "one_open" to posts`}
	if diff := cmp.Diff(wantSteps, texts(m)); diff != "" {
		t.Error(diff)
	}
	if err := m.Apply(t.Context(), eng, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if rows(t, app, eng, "topics") != nil {
		t.Error("topics has rows")
	}
}

// TestWhatOthersMadeIsNotAdopted: a table or a column that the app comes to need, and that others have made meanwhile.
func TestWhatOthersMadeIsNotAdopted(t *testing.T) {
	t.Parallel()
	eng := memory.Open()
	migrate(t, appOf(t, "  posts: {fields: {title: {type: text}}}\n"), eng, ApplyOptions{})
	for _, s := range []driver.Step{
		{Kind: driver.CreateTable, New: driver.Table{Name: "notes", Columns: []driver.Column{{Name: "id", Kind: expr.Text}}}},
		{Kind: driver.AddColumn, Table: "posts", Column: driver.Column{Name: "views", Kind: expr.Text}},
	} {
		if err := eng.Apply(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	for app, want := range map[string]string{
		"  posts: {fields: {title: {type: text}}}\n  notes: {fields: {a: {type: text}}}\n": `a table "notes" that Plinth did not make`,
		"  posts: {fields: {title: {type: text}, views: {type: int}}}\n":                   `a column "views" that Plinth did not make`,
		"  items: {was: posts, fields: {title: {type: text}, views: {type: int}}}\n":       `a column "views" that Plinth did not make`,
	} {
		_, err := Plan(t.Context(), appOf(t, app), eng, migrateKey)
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", app, err)
		}
	}
	if m, err := Plan(t.Context(), appOf(t, "  posts: {fields: {title: {type: text}, other: {type: int}}}\n"), eng, migrateKey); err != nil || len(m.Steps) != 1 {
		t.Errorf("%v %v", m, err)
	}
}

func TestADatabaseOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	eng, app := memory.Open(), appOf(t, shopAfter)
	s := driver.Step{Kind: driver.CreateTable, New: driver.Table{Name: "posts", Columns: []driver.Column{{Name: "id", Kind: expr.Text}}}}
	if err := eng.Apply(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(t.Context(), app, eng, nil); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), `"posts"`) {
		t.Errorf("%v, want a conflict that names posts", err)
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	col := func(k expr.Kind) driver.Column { return driver.Column{Kind: k} }
	decimal := driver.Column{Kind: expr.Decimal, Scale: 2}
	texts := driver.Column{Kind: expr.List, Elem: expr.Text}
	text := expr.TextOf
	tests := []struct {
		from Value
		to   driver.Column
		want string // JSON; "" when it does not convert
	}{
		{text("12"), col(expr.Int), "12"}, {text(" 12"), col(expr.Int), ""}, {text("9007199254740992"), col(expr.Int), ""},
		{text("9007199254740992"), col(expr.Bigint), `"9007199254740992"`}, {text("1.50"), decimal, `"1.50"`}, {text("1.500"), decimal, `"1.50"`},
		{text("1.505"), decimal, ""}, {text("0x10"), col(expr.Float), ""}, {text("1e3"), col(expr.Float), "1000"}, {text("NaN"), col(expr.Float), ""},
		{text("true"), col(expr.Bool), "true"}, {text("1"), col(expr.Bool), ""}, {expr.IntOf(1), col(expr.Bool), "true"}, {expr.IntOf(2), col(expr.Bool), ""},
		{expr.IntOf(7), col(expr.Text), `"7"`}, {expr.IntOf(7), decimal, `"7.00"`}, {expr.DecimalOf(700, 2), col(expr.Int), "7"}, {expr.DecimalOf(701, 2), col(expr.Int), ""},
		{expr.FloatOf(0.5), col(expr.Int), ""}, {expr.FloatOf(2), col(expr.Int), "2"}, {expr.BigintOf(1<<53 + 1), col(expr.Float), ""}, {expr.BigintOf(1 << 60), col(expr.Float), "1152921504606847000"},
		{expr.DateOf("2024-02-29"), col(expr.Time), `"2024-02-29T00:00:00.000Z"`}, {expr.TimeOf(0), col(expr.Date), `"1970-01-01"`}, {expr.TimeOf(1), col(expr.Date), ""}, {expr.TimeOf(-86400000), col(expr.Date), `"1969-12-31"`},
		{text("2024-01-02T03:04:05Z"), col(expr.Time), `"2024-01-02T03:04:05.000Z"`}, {text("soon"), col(expr.Time), ""},
		{text("a"), texts, `["a"]`}, {expr.IntOf(1), texts, `["1"]`}, {expr.ListOf(text("a")), col(expr.Text), `"a"`},
		{expr.ListOf(text("a"), text("b")), col(expr.Text), ""}, {expr.ListOf(), col(expr.Text), ""}, {expr.ListOf(text("a")), col(expr.JSON), `["a"]`},
		{expr.JSONOf(`"x"`), col(expr.Text), `"x"`}, {expr.JSONOf(`{"a":1}`), col(expr.Text), `"{\"a\":1}"`}, {expr.JSONOf("5"), col(expr.Int), "5"},
		{expr.JSONOf("[5]"), col(expr.Int), ""}, {Value{}, col(expr.Int), "null"}, {expr.BoolOf(true), col(expr.Text), `"true"`}, {expr.BoolOf(true), col(expr.Int), "1"},
	}
	for _, tt := range tests {
		v, ok := convert(tt.from, tt.to)
		got := ""
		if ok {
			got = string(AppendJSON(nil, v))
			if !v.IsNull() && v.Kind() != tt.to.Kind {
				t.Errorf("%s to %s became a %s", AppendJSON(nil, tt.from), tt.to.Kind, v.Kind())
			}
		}
		if got != tt.want {
			t.Errorf("%s %s to %s is %s, want %s", tt.from.Kind(), AppendJSON(nil, tt.from), tt.to.Kind, got, tt.want)
		}
	}
}

// Beside a server that runs, what it does not know to keep is computed once it had time to notice: what it
// writes until then is not missed.
func TestWhatAnOlderServerWritesIsNotMissed(t *testing.T) {
	t.Parallel()
	old := appOf(t, `  people: {fields: {name: {type: text, max: 9}}}`)
	next := appOf(t, `  people: {fields: {name: {type: text, max: 9, ci: true, unique: true}, kind: {type: text, default: x}}}`)
	eng := openSQLite(t)
	migrate(t, old, eng, ApplyOptions{})
	put(t, old, eng, "people", map[string]Value{"name": expr.TextOf("A")})
	m, err := Plan(t.Context(), next, eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	waited := 0
	err = m.Apply(t.Context(), eng, ApplyOptions{Settle: time.Millisecond, Progress: func(_, _ int, text string) {
		if strings.Contains(text, "given time") {
			waited++
			put(t, old, eng, "people", map[string]Value{"id": expr.TextOf(recordID(7)), "name": expr.TextOf("B")})
		}
	}})
	if err != nil || waited != 1 {
		t.Fatalf("%v, waited %d times", err, waited)
	}
	c, _ := next.Collection("people")
	name, _ := c.Field("name")
	rows := 0
	stmt, err := eng.Prepare(&driver.Query{From: c, Limit: -1, Sort: byIDs, Cols: []driver.Col{{Ord: name.FoldOrd}}})
	if err != nil {
		t.Fatal(err)
	}
	err = eng.Rows(t.Context(), stmt, nil, func(cols driver.Columns) error {
		if rows++; cols.Null(0) {
			t.Error("a record was missed")
		}
		return nil
	})
	if err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
