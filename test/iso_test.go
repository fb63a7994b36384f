package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data/mongo/mongotest"
)

// isoCodes is where Debian's package iso-codes puts its data.
const isoCodes = "/usr/share/iso-codes/json"

// iso is the data as the files have it.
type iso struct {
	Countries    []country
	Subdivisions []subdivision
	Languages    []language
	Currencies   []struct{ Alpha_3, Numeric, Name string }

	byCode map[string]subdivision
}

type language struct{ Alpha_2, Alpha_3, Name, Inverted_name, Scope, Type string }

type country struct{ Alpha_2, Alpha_3, Numeric, Name, Official_name, Common_name, Flag string }

type subdivision struct{ Code, Name, Type, Parent string }

func (s subdivision) country() string { return s.Code[:2] }

func readISO(t *testing.T) *iso {
	t.Helper()
	d := &iso{byCode: map[string]subdivision{}}
	for name, into := range map[string]any{"3166-1": &d.Countries, "3166-2": &d.Subdivisions, "639-3": &d.Languages, "4217": &d.Currencies} {
		b, err := os.ReadFile(filepath.Join(isoCodes, "iso_"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]json.RawMessage
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(file[name], into); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range d.Subdivisions {
		d.byCode[s.Code] = s
	}
	return d
}

// parent is the subdivision that s is a part of.
func (d *iso) parent(s subdivision) (subdivision, bool) {
	if s.Parent == "" {
		return subdivision{}, false
	}
	if p, ok := d.byCode[s.Parent]; ok {
		return p, true
	}
	p, ok := d.byCode[s.country()+"-"+s.Parent]
	return p, ok
}

// The example over real data answers as the data says: lists, filters through references and inverses,
// expansions, counts, groups and pages, compared with what is computed from the files, on every engine.
func TestISO(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(isoCodes); err != nil {
		missing(t, "the package iso-codes is not installed")
		return
	}
	d := readISO(t)
	onEach(t, func(t *testing.T, db string) {
		dir := isoFolder(t)
		d.seed(t, db, dir)
		d.answers(t, asker{t, servingOn(t, db, dir).url, described(t), false})
	})
}

// The same on FerretDB 1: it has no transactions, which seeding needs, and no way along references. That is refused by
// name; the rest answers as the data says.
func TestISOOnFerretDB(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(isoCodes); err != nil {
		missing(t, "the package iso-codes is not installed")
		return
	}
	d, db, dir := readISO(t).some(), mongotest.Database(t), isoFolder(t)
	runOn(t, db, "apply", dir)
	refusedOn(t, db, "this database has no transactions, and this needs one", "seed", dir)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(runOn(t, db, "key", "add", dir, "--operator", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	s := servingOn(t, db, dir)
	d.create(t, s.url, made.Key)
	d.answers(t, asker{t, s.url, described(t), true})
}

// some is a part of the data, in which every case has something: a database that stores a few dozen records a second
// is not given all.
func (d *iso) some() *iso {
	d.Subdivisions = slices.DeleteFunc(d.Subdivisions, func(s subdivision) bool {
		return !slices.Contains([]string{"AD", "AZ", "GB", "MT", "SE", "SK"}, s.country())
	})
	n := 0
	d.Languages = slices.DeleteFunc(d.Languages, func(l language) bool { n++; return l.Alpha_2 == "" && n%40 != 0 })
	return d
}

func isoFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyExample(t, dir, "iso")
	return dir
}

// create makes the records one by one, some in a request, where they cannot be seeded: FerretDB looks through a whole
// collection for each unique value.
func (d *iso) create(t *testing.T, url, key string) {
	t.Helper()
	var ops []map[string]any
	ids := map[string]string{}
	add := func(collection, code string, body map[string]any) {
		id := fmt.Sprintf("01900000-0000-7000-8000-%012d", len(ops)+1)
		ids[code] = id
		for name, v := range body {
			if v == "" {
				delete(body, name)
			}
		}
		body["id"] = id
		ops = append(ops, map[string]any{"op": "create", "collection": collection, "body": body})
	}
	for _, c := range d.Countries {
		add("countries", c.Alpha_2, map[string]any{"alpha2": c.Alpha_2, "alpha3": c.Alpha_3, "numeric": c.Numeric, "name": c.Name,
			"official": c.Official_name, "common": c.Common_name, "flag": c.Flag})
	}
	for _, parents := range []bool{true, false} { // who is referred to comes first
		for _, s := range d.Subdivisions {
			if p, part := d.parent(s); part != parents {
				add("subdivisions", s.Code, map[string]any{"code": s.Code, "name": s.Name, "kind": s.Type, "country": ids[s.country()], "parent": ids[p.Code]})
			}
		}
	}
	for _, l := range d.Languages {
		add("languages", "", map[string]any{"alpha3": l.Alpha_3, "alpha2": l.Alpha_2, "name": l.Name, "inverted": l.Inverted_name, "scope": l.Scope, "status": l.Type})
	}
	for _, c := range d.Currencies {
		add("currencies", "", map[string]any{"alpha3": c.Alpha_3, "numeric": c.Numeric, "name": c.Name})
	}
	for part := range slices.Chunk(ops, 20) {
		b, err := json.Marshal(map[string]any{"atomic": false, "operations": part})
		if err != nil {
			t.Fatal(err)
		}
		status, answer, err := ask(described(t), http.MethodPost, url+"/api/batch", key, string(b))
		var got struct{ Results []struct{ Status int } }
		if err != nil || status != http.StatusOK || json.Unmarshal(answer, &got) != nil || len(got.Results) != len(part) {
			t.Fatalf("%d %.500s %v", status, answer, err)
		}
		for i, r := range got.Results {
			if r.Status != http.StatusCreated {
				t.Fatalf("%v: %d", part[i], r.Status)
			}
		}
	}
}

// seed seeds the example into a database, twice.
func (d *iso) seed(t *testing.T, db, dir string) {
	t.Helper()
	total := len(d.Countries) + len(d.Subdivisions) + len(d.Languages) + len(d.Currencies)
	for i, want := range []string{fmt.Sprintf(`"created":%d,"updated":0,"same":0`, total), fmt.Sprintf(`"created":0,"updated":0,"same":%d`, total)} {
		if got := runOn(t, db, "seed", "--json", dir); !strings.Contains(got, want) {
			t.Fatalf("seeding, time %d: %s, want %s", i+1, got, want)
		}
	}
}

// answers holds the answers of the example to the files.
func (d *iso) answers(t *testing.T, a asker) {
	t.Run("filters", func(t *testing.T) {
		for filter, holds := range map[string]func(subdivision) bool{
			`country.alpha2 == "FR"`: func(s subdivision) bool { return s.country() == "FR" },
			`parent != null && parent.name == "Scotland"`: func(s subdivision) bool {
				p, ok := d.parent(s)
				return ok && p.Name == "Scotland"
			},
			`parent == null && kind == "Parish"`: func(s subdivision) bool { return s.Parent == "" && s.Type == "Parish" },
			`parts.exists(p, p.kind == "Rayon")`: func(s subdivision) bool {
				return slices.ContainsFunc(d.Subdivisions, func(p subdivision) bool {
					q, ok := d.parent(p)
					return ok && q.Code == s.Code && p.Type == "Rayon"
				})
			},
			`name.startsWith("Ż")`:                     func(s subdivision) bool { return strings.HasPrefix(s.Name, "Ż") },
			`name >= "Ö" && name < "Š"`:                func(s subdivision) bool { return s.Name >= "Ö" && s.Name < "Š" },
			`name.contains("ə") || name.contains("ǝ")`: func(s subdivision) bool { return strings.ContainsAny(s.Name, "əǝ") },
			`!(kind in ["Province", "District", "Municipality"])`: func(s subdivision) bool {
				return !slices.Contains([]string{"Province", "District", "Municipality"}, s.Type)
			},
		} {
			if a.lacks && alongPath.MatchString(filter) {
				a.refused("subdivisions", filter)
				continue
			}
			var want []string
			for _, s := range d.Subdivisions {
				if holds(s) {
					want = append(want, s.Code)
				}
			}
			slices.Sort(want)
			if len(want) == 0 {
				t.Errorf("%s holds for nothing in the files: the case proves nothing", filter)
			}
			if diff := gocmp.Diff(want, a.all("subdivisions", filter, "code", "code")); diff != "" {
				t.Errorf("%s (-files +server):\n%s", filter, diff)
			}
			if n := a.total("subdivisions", filter); n != len(want) {
				t.Errorf("%s: total %d, want %d", filter, n, len(want))
			}
		}
	})

	t.Run("inverses", func(t *testing.T) {
		parts := map[string]int{}
		for _, s := range d.Subdivisions {
			parts[s.country()]++
		}
		var none, named []string
		for _, c := range d.Countries {
			if parts[c.Alpha_2] == 0 {
				none = append(none, c.Alpha_2)
			}
			if slices.ContainsFunc(d.Subdivisions, func(s subdivision) bool { return s.country() == c.Alpha_2 && s.Name == c.Name }) {
				named = append(named, c.Alpha_2)
			}
		}
		slices.Sort(none)
		slices.Sort(named)
		if a.lacks {
			a.refused("countries", `size(subdivisions) == 0`)
			a.refused("countries", `subdivisions.exists(s, s.name == name)`)
			return
		}
		if diff := gocmp.Diff(none, a.all("countries", `size(subdivisions) == 0`, "alpha2", "alpha2")); diff != "" {
			t.Errorf("countries without subdivisions (-files +server):\n%s", diff)
		}
		if diff := gocmp.Diff(named, a.all("countries", `subdivisions.exists(s, s.name == name)`, "alpha2", "alpha2")); diff != "" {
			t.Errorf("countries with a subdivision of their name (-files +server):\n%s", diff)
		}
	})

	t.Run("order", func(t *testing.T) {
		want := slices.Clone(d.Countries)
		slices.SortFunc(want, func(x, y country) int { return -cmp.Compare(x.Name, y.Name) })
		names := make([]string, len(want))
		for i, c := range want {
			names[i] = c.Name
		}
		if diff := gocmp.Diff(names, a.all("countries", "", "-name", "name")); diff != "" {
			t.Errorf("countries by name, downwards (-files +server):\n%s", diff)
		}
		// Nulls are smallest, and pages go through them.
		var codes []string
		nulls := 0
		for _, c := range a.pages("languages", "", "alpha2,alpha3", "alpha2,alpha3", 97) {
			if c["alpha2"] == nil {
				nulls++
				if len(codes) > 0 {
					t.Fatal("a null stands behind a value")
				}
				continue
			}
			codes = append(codes, c["alpha2"].(string))
		}
		var have []string
		for _, l := range d.Languages {
			if l.Alpha_2 != "" {
				have = append(have, l.Alpha_2)
			}
		}
		slices.Sort(have)
		if diff := gocmp.Diff(have, codes); diff != "" || nulls != len(d.Languages)-len(have) {
			t.Errorf("languages by alpha2, %d without (-files +server):\n%s", nulls, diff)
		}
	})

	t.Run("groups", func(t *testing.T) {
		count := map[string]int{}
		for _, l := range d.Languages {
			count[l.Scope+l.Type]++
		}
		var got struct {
			Groups []struct {
				Scope, Status string
				Count         int
			}
		}
		a.get("/api/languages?group=scope,status&aggregate=count", &got)
		seen := map[string]int{}
		for _, g := range got.Groups {
			seen[g.Scope+g.Status] = g.Count
		}
		if diff := gocmp.Diff(count, seen); diff != "" {
			t.Errorf("languages by scope and status (-files +server):\n%s", diff)
		}
	})

	t.Run("expansion", func(t *testing.T) {
		var got struct {
			Items []struct {
				Code   string
				Expand struct {
					Country struct{ Alpha2, Name string }
					Parent  *struct {
						Code   string
						Expand struct{ Country struct{ Alpha2 string } }
					}
				}
			}
			Total int
		}
		a.get("/api/subdivisions?sort=code&limit=500&fields=code&expand=country,parent(expand=country)&filter="+url.QueryEscape(`code.startsWith("AZ-") || code.startsWith("GB-") || code.startsWith("FR-")`), &got)
		if len(got.Items) < 250 {
			t.Fatalf("only %d subdivisions of large countries", len(got.Items))
		}
		for _, item := range got.Items {
			s := d.byCode[item.Code]
			if item.Expand.Country.Alpha2 != s.country() {
				t.Errorf("%s is said to be of %q", item.Code, item.Expand.Country.Alpha2)
			}
			p, ok := d.parent(s)
			switch {
			case ok != (item.Expand.Parent != nil):
				t.Errorf("%s: parent in the files: %t, in the answer: %t", item.Code, ok, !ok)
			case ok && (item.Expand.Parent.Code != p.Code || item.Expand.Parent.Expand.Country.Alpha2 != p.country()):
				t.Errorf("%s: parent %+v, want %s", item.Code, item.Expand.Parent, p.Code)
			}
		}
		var country struct {
			Expand struct{ Subdivisions []struct{ Code string } }
		}
		a.get("/api/countries/by/alpha2/SK?expand="+url.QueryEscape("subdivisions(limit=3,sort=-code)"), &country)
		var codes, want []string
		for _, s := range country.Expand.Subdivisions {
			codes = append(codes, s.Code)
		}
		for _, s := range d.Subdivisions {
			if s.country() == "SK" {
				want = append(want, s.Code)
			}
		}
		slices.Sort(want)
		slices.Reverse(want)
		if diff := gocmp.Diff(want[:3], codes); diff != "" {
			t.Errorf("the last three parts of Slovakia (-files +server):\n%s", diff)
		}
	})

	t.Run("whole", func(t *testing.T) {
		for _, c := range d.Countries {
			var got struct{ Alpha3, Name, Official, Common, Flag string }
			a.get("/api/countries/by/alpha2/"+c.Alpha_2, &got)
			if got.Alpha3 != c.Alpha_3 || got.Name != c.Name || got.Official != c.Official_name || got.Common != c.Common_name || got.Flag != c.Flag {
				t.Errorf("%s: %+v", c.Alpha_2, got)
			}
		}
	})
}

// alongPath is a filter that goes along a reference, or the other way.
var alongPath = regexp.MustCompile(`(country|parent)\.|parts`)

// asker asks a server whose collections are open.
type asker struct {
	t      *testing.T
	url    string
	client *http.Client
	lacks  bool // paths to other records
}

// refused asks what the server's database cannot answer.
func (a asker) refused(collection, filter string) {
	a.t.Helper()
	status, b, err := ask(a.client, http.MethodGet, a.url+"/api/"+collection+"?filter="+url.QueryEscape(filter), "", "")
	var problem struct{ Capability string }
	if err != nil || status != http.StatusNotImplemented || json.Unmarshal(b, &problem) != nil || problem.Capability != "paths to other records ($lookup)" {
		a.t.Errorf("%s: %d %s %v, want it refused", filter, status, b, err)
	}
}

func (a asker) get(path string, into any) {
	a.t.Helper()
	status, b, err := ask(a.client, http.MethodGet, a.url+path, "", "")
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("%s: %d %s %v", path, status, b, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
}

// pages reads a whole list by its pages.
func (a asker) pages(collection, filter, sort, fields string, limit int) (items []map[string]any) {
	a.t.Helper()
	q := url.Values{"sort": {sort}, "fields": {fields}, "limit": {fmt.Sprint(limit)}}
	if filter != "" {
		q.Set("filter", filter)
	}
	for {
		var page struct {
			Items []map[string]any
			Next  string
		}
		a.get("/api/"+collection+"?"+q.Encode(), &page)
		items = append(items, page.Items...)
		if page.Next == "" {
			return items
		}
		q.Set("cursor", page.Next)
	}
}

// all reads one field of a whole list.
func (a asker) all(collection, filter, sort, field string) (values []string) {
	a.t.Helper()
	for _, item := range a.pages(collection, filter, sort, field, 37) {
		values = append(values, item[field].(string))
	}
	return values
}

func (a asker) total(collection, filter string) int {
	a.t.Helper()
	var page struct{ Total int }
	a.get("/api/"+collection+"?"+url.Values{"filter": {filter}, "count": {"exact"}, "limit": {"1"}}.Encode(), &page)
	return page.Total
}
