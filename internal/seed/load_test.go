package seed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/internal/seed"
	"github.com/bluell/plinth/spec"
)

const shop = `collections:
  goods:
    fields:
      code: {type: text, required: true, unique: true, ci: true, max: 40}
      name: {type: text, max: 40}
      stock: {type: int}
  notes:
    fields:
      text: {type: text, max: 40}
      stars: {type: int}
      mark: {type: text, unique: true, max: 40}
      about: {type: ref, to: goods}
      until: {type: time}
    validate:
      - {rule: until == null || until > now, field: until}
  people:
    fields:
      name: {type: text, required: true, unique: true, max: 40}
      age: {type: int}
      boss: {type: ref, to: people}
      friends: {type: list, of: ref, to: people}
      top: {type: bool}
      deputy: {type: ref, to: people, required: true}
      senior: {type: ref, to: people}
    validate:
      - {rule: top == true || boss != null, field: boss, message: who is not at the top has a boss}
      - {rule: senior == null || senior != id || name == "P0", field: senior, message: is another one}
`

// folder is a database and the folder of its seed.
type folder struct {
	t   *testing.T
	db  *data.DB
	dir string
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(shop)}}, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Extend("data", []byte(data.Collections)); err != nil {
		t.Fatal(err)
	}
	eng, key := memory.Open(), []byte(strings.Repeat("k", 32))
	plan, err := data.Plan(t.Context(), app, eng, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(t.Context(), app, eng, data.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := &folder{t, db, t.TempDir()}
	if err := os.Mkdir(filepath.Join(f.dir, "seed"), 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

// load loads one file alone.
func (f *folder) load(name, text string) (seed.Result, error) {
	f.t.Helper()
	file := filepath.Join(f.dir, "seed", name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	defer os.Remove(file)
	return seed.Load(f.t.Context(), f.db, nil, f.dir, nil)
}

// refused loads a file and wants to be told exactly this.
func (f *folder) refused(name, text, want string) {
	f.t.Helper()
	if r, err := f.load(name, text); err == nil || err.Error() != want {
		f.t.Errorf("%s: %+v %v, want\n%s", name, r, err, want)
	}
}

// taken loads a file without an error.
func (f *folder) taken(name, text string) seed.Result {
	f.t.Helper()
	r, err := f.load(name, text)
	if err != nil {
		f.t.Errorf("%s: %v", name, err)
	}
	return r
}

// A file in another encoding is refused at its first foreign byte, and a byte order mark is none.
func TestEncoding(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	const remedy = ": this is not UTF-8: save the file as UTF-8"
	f.refused("goods.csv", "code,name\na,Tea\nb,Caf\xe9\n", "seed/goods.csv: line 3, column 6"+remedy)
	f.refused("goods.csv", "code,name\nä,Caf\xe9\n", "seed/goods.csv: line 2, column 6"+remedy)
	f.refused("goods.csv", "\xff\xfec\x00o\x00", "seed/goods.csv: line 1, column 1"+remedy)
	f.refused("goods.ndjson", "{\"code\":\"a\"}\n{\"code\":\"\xe9\"}\n", "seed/goods.ndjson: line 2, column 10"+remedy)
	f.refused("goods.json", "[{\"code\":\"\xe9\"}]", "seed/goods.json: line 1, column 11"+remedy)
	f.refused("goods.yaml", "collection: goods\nrecords: [{code: \xe9}]\n", "seed/goods.yaml: line 2, column 18"+remedy)
	for name, text := range map[string]string{
		"goods.csv": "code\na\n", "goods.ndjson": "{\"code\":\"b\"}\n", "goods.json": `[{"code":"c"}]`,
		"goods.yaml": "collection: goods\nrecords: [{code: d}]\n",
	} {
		if r := f.taken(name, "\xef\xbb\xbf"+text); r.Created != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Two records that are found by the same value are told with both places, before and after they are there.
func TestSameKey(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	const twice = "code,name\na,One\nb,Two\nA,Three\n"
	const want = `seed/goods.csv: line 4: code "A" is that of line 2 too, and records are found by it`
	f.refused("goods.csv", twice, want)
	f.taken("goods.csv", "code,name\na,One\nb,Two\n")
	f.refused("goods.csv", twice, want)
	f.refused("goods.yaml", "collection: goods\nby: code\nrecords: [{code: a}, {code: a}]\n",
		`seed/goods.yaml: record 2: code "a" is that of record 1 too, and records are found by it`)
}

// A file is not skipped for a record without the key that all of them need, nor with what is wrong in it.
func TestSkippedInSilence(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.taken("goods.csv", "code,name\na,One\n")
	f.refused("goods.csv", "code,name\na,One\n,Two\nc,Three\n", "seed/goods.csv: line 3: code is missing, by which it would be found")
	f.taken("notes.json", `[{"text":"a"},{"mark":"x"}]`)
	f.refused("notes.json", `[{"text":"a"},{"txet":"b","stars":"many"},{"mark":"x"},{"stars":true}]`,
		"seed/notes.json: record 2: txet: there is no such field; stars must be a whole number\nseed/notes.json: record 4: stars must be a whole number")
	// what was good once: a value that is taken, a time that has passed, a record that is gone
	if r := f.taken("notes.json", `[{"mark":"x"},{"mark":"y"},{"mark":"y"},{"until":"2020-01-01T00:00:00Z"},{"about":{"by":"code","value":"gone"}},{"about":"01900000-0000-7000-8000-000000000000"}]`); r.Skipped != 6 || r.Created+r.Updated > 0 {
		t.Errorf("%+v", r)
	}
	list, _, err := f.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "notes"})
	if err != nil || len(list) != 2 {
		t.Errorf("%d notes, %v", len(list), err)
	}
}

// A line that is no JSON is told once, in the columns of its own.
func TestLinePlace(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.refused("goods.ndjson", "{\"code\":\"a\"}\n{\"code\":\"b\"\r\n\n{\"cöde\":x}\n",
		"seed/goods.ndjson: line 2: column 12: a comma or } should be here, not the end of the document\n"+
			"seed/goods.ndjson: line 4: column 9: a value cannot begin with 'x'")
}

// person is the id of the nth of people.
func person(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }

// staff are n people, each with the boss that a function tells; their ages are a text where it is bad.
func staff(n int, boss func(i int) int, bad ...int) string {
	var b strings.Builder
	for i := range n {
		age := strconv.Itoa(i % 90)
		if slices.Contains(bad, i) {
			age = `"old"`
		}
		fmt.Fprintf(&b, `{"id":%q,"deputy":%[1]q,"name":"P%d","age":%s,`, person(i), i, age)
		if at := boss(i); at < 0 {
			b.WriteString(`"top":true`)
		} else {
			fmt.Fprintf(&b, `"boss":%q`, person(at))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// Records of a file refer to each other by id, whatever their order, and whatever transaction they are in.
func TestReferByID(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 499, 1200} {
		for name, boss := range map[string]func(i int) int{
			"before": func(i int) int { return i - 1 },
			"after": func(i int) int {
				if i == n-1 {
					return -1
				}
				return i + 1
			},
			"self": func(i int) int { return i },
			"last": func(i int) int { return n - 1 },
		} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				t.Parallel()
				f := newFolder(t)
				text := staff(n, boss)
				if r := f.taken("people.ndjson", text); r.Created != n {
					t.Errorf("%+v", r)
				}
				if r := f.taken("people.ndjson", text); r.Same != n {
					t.Errorf("again: %+v", r)
				}
			})
		}
	}
}

// A circle is closed when all of it is there: a ring of references, and lists of both kinds.
func TestReferInCircle(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 1200} {
		f := newFolder(t)
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"id":%q,"name":"P%d","top":true,"boss":%q,"deputy":%q,"friends":[%q,%q]}`+"\n", person(i), i, person((i+1)%n), person((i+2)%n), person((i+n-1)%n), person(i))
		}
		if r := f.taken("people.ndjson", b.String()); r.Created != n {
			t.Errorf("%+v", r)
		}
		if r := f.taken("people.ndjson", b.String()); r.Same != n {
			t.Errorf("again: %+v", r)
		}
		list, _, err := f.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "people", Filter: "boss == null || deputy == null || deputy == id || friends.size() != 2", Limit: 5})
		if err != nil || len(list) != 0 {
			t.Errorf("%d records lack what they refer to, %v", len(list), err)
		}
	}
}

// Of a file with a bad record nothing is loaded, in whatever transaction it is and whatever refers to it; what
// refers to it is not bad for that.
func TestReferToBad(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	boss := func(i int) int { return i - 1 }
	const line = "seed/people.ndjson: line %d: age must be a whole number"
	for _, n := range []int{100, 1200} {
		f.refused("people.ndjson", staff(n, boss, 1, n-98, n-1), fmt.Sprintf(line+"\n"+line+"\n"+line, 2, n-97, n))
		list, _, err := f.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "people"})
		if err != nil || len(list) != 0 {
			t.Errorf("%d people, %v", len(list), err)
		}
	}
	f.refused("people.ndjson", staff(3, func(int) int { return 7 }),
		"seed/people.ndjson: line 1: boss: there is no such record in people\nseed/people.ndjson: line 2: boss: there is no such record in people\nseed/people.ndjson: line 3: boss: there is no such record in people")
}

// Where a rule lets no record of a trial pass without the reference that another transaction brings, the trial
// leaves such records out, and the file is loaded.
func TestTriedInVain(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var b strings.Builder
	for i := range 600 {
		fmt.Fprintf(&b, `{"id":%q,"deputy":%[1]q,"name":"P%d","top":true,"senior":%q}`+"\n", person(i), i, person(max(0, i-550)))
	}
	if r := f.taken("people.ndjson", b.String()); r.Created != 600 {
		t.Errorf("%+v", r)
	}
}

// A file of several transactions whose records refer by a unique field is tried whole too.
func TestTriedByField(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var b strings.Builder
	for i := range 1200 {
		age := strconv.Itoa(i % 90)
		if i == 1100 {
			age = "1.5"
		}
		fmt.Fprintf(&b, `{"name":"P%d","age":%s,"top":true,"deputy":%q,"boss":{"by":"name","value":"P%d"}}`+"\n", i, age, person(0), i%10)
	}
	f.taken("people.ndjson", fmt.Sprintf(`{"id":%q,"name":"root","top":true,"deputy":%[1]q}`, person(0)))
	f.refused("people.ndjson", b.String(), "seed/people.ndjson: line 1101: age must be a whole number between −(2^53−1) and 2^53−1")
	list, _, err := f.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "people"})
	if err != nil || len(list) != 1 {
		t.Errorf("%d people, %v", len(list), err)
	}
}
