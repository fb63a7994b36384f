package seed_test

import (
	"os"
	"path/filepath"
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
	return seed.Load(f.t.Context(), f.db, f.dir, nil)
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
		"seed/notes.json: record 2: txet there is no such field; stars must be a whole number\nseed/notes.json: record 4: stars must be a whole number")
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
