package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// isoCodes is where Debian's package iso-codes puts its data.
const isoCodes = "/usr/share/iso-codes/json"

// iso is the data as the files have it.
type iso struct {
	Countries    []struct{ Alpha_2, Alpha_3, Name, Official_name, Common_name, Flag string }
	Subdivisions []subdivision
	Languages    []struct{ Alpha_2, Alpha_3, Name, Scope, Type string }
	Currencies   []struct{ Alpha_3, Numeric, Name string }

	byCode map[string]subdivision
}

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
	onEach(t, func(t *testing.T, db string) { d.answers(t, db) })
}

// answers seeds the example into a database and holds its answers to the files.
func (d *iso) answers(t *testing.T, db string) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/iso")); err != nil {
		t.Fatal(err)
	}
	total := len(d.Countries) + len(d.Subdivisions) + len(d.Languages) + len(d.Currencies)
	for i, want := range []string{fmt.Sprintf(`"created":%d,"updated":0,"same":0`, total), fmt.Sprintf(`"created":0,"updated":0,"same":%d`, total)} {
		if got := runOn(t, db, "seed", "--json", dir); !strings.Contains(got, want) {
			t.Fatalf("seeding, time %d: %s, want %s", i+1, got, want)
		}
	}
	a := asker{t, servingOn(t, db, dir).url, described(t)}

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
		if diff := gocmp.Diff(none, a.all("countries", `size(subdivisions) == 0`, "alpha2", "alpha2")); diff != "" {
			t.Errorf("countries without subdivisions (-files +server):\n%s", diff)
		}
		if diff := gocmp.Diff(named, a.all("countries", `subdivisions.exists(s, s.name == name)`, "alpha2", "alpha2")); diff != "" {
			t.Errorf("countries with a subdivision of their name (-files +server):\n%s", diff)
		}
	})

	t.Run("order", func(t *testing.T) {
		want := slices.Clone(d.Countries)
		slices.SortFunc(want, func(x, y struct{ Alpha_2, Alpha_3, Name, Official_name, Common_name, Flag string }) int {
			return -cmp.Compare(x.Name, y.Name)
		})
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
		a.get("/api/subdivisions?sort=code&limit=500&fields=code&expand=country,parent(expand=country)&filter="+url.QueryEscape(`country.alpha2 in ["AZ", "GB", "FR"]`), &got)
		if len(got.Items) < 300 {
			t.Fatalf("only %d subdivisions of three large countries", len(got.Items))
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

// asker asks a server whose collections are open.
type asker struct {
	t      *testing.T
	url    string
	client *http.Client
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
