package pages

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bluell/plinth/spec"
	"github.com/google/go-cmp/cmp"
)

const open = `name: Desk & Co
auth: {register: open, teams: true, pages: {logo: /img/logo.svg, accent: "#ffcc00", css: /css/own.css}}
collections:
  teams: {label: name, fields: {name: {type: text}}, access: {read: true}}
  users:
    fields:
      name:       {type: text, required: true, max: 80}
      about_me:   {type: text, required: true, max: 2000}
      born:       {type: date, required: true, label: Date of birth}
      agreed:     {type: bool, required: true}
      size:       {type: enum, values: {s: Small, m: Medium}, required: true}
      team:       {type: ref, to: teams, required: true}
      fee:        {type: decimal, precision: 8, scale: 2, required: true}
      tags:       {type: list, of: text, required: true}
      plan:       {type: text, required: true, default: free}
      joined:     {type: date, required: true, init: now}
      nickname:   {type: text}
      photo:      {type: file}
`

func room(t *testing.T, file string, o Options) *Room {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte(file)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(app, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ask(t *testing.T, r *Room, address, lang string) *httptest.ResponseRecorder {
	t.Helper()
	w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, address, nil)
	req.Header.Set("Accept-Language", lang)
	act := r.Page(req.URL.Path)
	if act == nil {
		t.Fatalf("there is no %s", address)
	}
	if err := act(w, req); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return w
}

// Every page is written in every language, says only what there are words for, and loads nothing that is not there.
func TestPages(t *testing.T) {
	t.Parallel()
	r := room(t, open, Options{Mail: true, Dev: true})
	for lang := range languages() {
		for _, name := range names {
			w := ask(t, r, Root+name, lang)
			text := w.Body.String()
			if !strings.Contains(text, `<html lang="`+lang+`">`) || strings.Contains(text, "ZgotmplZ") || !strings.Contains(text, "Desk &amp; Co") {
				t.Errorf("%s in %s:\n%s", name, lang, text)
			}
			h := w.Header()
			if h.Get("Cache-Control") != "no-store" || h.Get("Content-Language") != lang || !strings.Contains(h.Get("Content-Security-Policy"), "form-action 'none'") {
				t.Errorf("%s: headers %v", name, h)
			}
			for _, m := range regexp.MustCompile(`(?:src|href)="(/auth/assets/[^"]+)"`).FindAllStringSubmatch(text, -1) {
				if a := ask(t, r, m[1], ""); a.Code != 200 || a.Body.Len() == 0 || a.Header().Get("ETag") == "" {
					t.Errorf("%s loads %s: %d", name, m[1], a.Code)
				}
			}
			if regexp.MustCompile(`<script(?: type="module" src="[^"]+"| type="application/json" id="page")>`).FindAllString(text, -1) == nil || strings.Count(text, "<script") != 2 ||
				regexp.MustCompile(`\s(?:style|on[a-z]+)=`).MatchString(text) {
				t.Errorf("%s has what its policy forbids", name)
			}
		}
	}
	if got := ask(t, r, "/auth/sign-in", "fr-CA, de").Header().Get("Content-Language"); got != "en" {
		t.Errorf("in French: %s", got)
	}
	if got := ask(t, r, "/auth/sign-in", "de-AT,en;q=0.5").Header().Get("Content-Language"); got != "de" {
		t.Errorf("in Austrian: %s", got)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	keys := func(all text) map[string]bool {
		set := map[string]bool{}
		for name := range all {
			if !strings.HasPrefix(name, "error.") && !strings.HasPrefix(name, "said.") { // in English the server's own words are shown
				set[name] = true
			}
		}
		return set
	}
	blanks := regexp.MustCompile(`\{\w+\}`)
	en := languages()[fallback]
	for lang, w := range languages() {
		for _, pair := range [][2]text{{en.Page, w.Page}, {en.Script, w.Script}} {
			if d := cmp.Diff(keys(pair[0]), keys(pair[1])); d != "" {
				t.Errorf("%s: %s", lang, d)
			}
			for name, said := range pair[0] {
				if d := cmp.Diff(blanks.FindAllString(said, -1), blanks.FindAllString(pair[1][name], -1)); d != "" {
					t.Errorf("%s: %s: %s", lang, name, d)
				}
			}
		}
	}
	scripts, err := fs.Glob(site, "site/*.js")
	if err != nil || len(scripts) < len(names) {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	for _, script := range scripts {
		source, err := site.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`words\("([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			if _, ok := en.Script[m[1]]; !ok {
				t.Errorf("%s says %q, and there are no such words", script, m[1])
			}
		}
	}
}

// What the server says and a page repeats, other languages say in their own words, for as long as the server says it.
func TestSaid(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, dir := range []string{"../auth", "../../data"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	number, found := regexp.MustCompile(`\d+`), 0
	for name := range languages()["de"].Script {
		said, ok := strings.CutPrefix(name, "said.")
		if !ok {
			continue
		}
		found++
		if !strings.Contains(source.String(), `"`+number.ReplaceAllString(said, "%d")+`"`) {
			t.Errorf("the server does not say %q", said)
		}
	}
	if found < 10 {
		t.Errorf("%d", found)
	}
}

// What a browser would take for another host, or for a script, is no place to go to.
func TestReturn(t *testing.T) {
	t.Parallel()
	r := room(t, open, Options{Public: t.TempDir()})
	for _, to := range []string{"//evil.example", "https://evil.example", "javascript:alert(1)", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/%09/x y",
		"", "evil", "http:/evil.example", "/a\nb", "///evil.example", "/\u00a0/evil", "/" + strings.Repeat("a", longestReturn), "data:text/html,x", "/%zz"} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/auth/sign-in", nil)
		q := req.URL.Query()
		q.Set("return", to)
		req.URL.RawQuery = q.Encode()
		if v := r.view("sign-in", "en", languages()["en"], req); v.Return != "/auth/account" || v.Query != "" || v.Script.Return != v.Return {
			t.Errorf("%q leads to %q", to, v.Return)
		}
		if err := r.Page("/auth/sign-in")(w, req); err != nil || strings.Contains(w.Body.String(), "evil") {
			t.Errorf("%q stands in the page: %v", to, err)
		}
	}
	for _, to := range []string{"/", "/staff.html?a=1#b", "/a//b", "/%2F/evil", `/"><script>`} {
		if !inside(to) {
			t.Errorf("%q is not gone to", to)
		}
	}
	page := ask(t, r, "/auth/sign-in?return=%2F%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "en").Body.String()
	if strings.Contains(page, "<script>alert") {
		t.Error("what the address says is part of the page")
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := room(t, open, Options{Public: dir})
	if got := r.home(); got != "/auth/account" {
		t.Errorf("without a frontend: %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := r.home(); got != "/" {
		t.Errorf("with one: %s", got)
	}
}

// Nothing is offered that the app does not have.
func TestOffered(t *testing.T) {
	t.Parallel()
	for file, missing := range map[string][]string{
		"auth: {pages: false}":                          names,
		"auth: {pages: {}}":                             {"register"},
		"auth: {register: invite}":                      {"register"},
		"collections: {a: {fields: {b: {type: text}}}}": names,
		"auth: {register: open}":                        {"team", "members", "", "sign-in/", "assets", "assets/", "assets/words.en.json", "assets/layout.html", "nothing"},
	} {
		r := room(t, file, Options{})
		for _, name := range missing {
			if r.Page(Root+name) != nil {
				t.Errorf("%s: there is %s", file, name)
			}
		}
	}
	closed := ask(t, room(t, "auth: {}", Options{}), "/auth/sign-in", "en").Body.String()
	if strings.Contains(closed, "/auth/register") || strings.Contains(closed, "/auth/reset") || strings.Contains(closed, `id="code"`) {
		t.Error("it offers what there is not")
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	type short struct{ Name, Label, Input, Type, To, ToLabel string }
	var got []short
	r := room(t, open, Options{})
	for _, f := range r.fields {
		if f.Asked {
			got = append(got, short{f.Name, f.Label, f.Input, f.Type, f.To, f.ToLabel})
		}
	}
	want := []short{
		{"name", "Name", "text", "text", "", ""}, {"about_me", "About me", "textarea", "text", "", ""}, {"born", "Date of birth", "date", "date", "", ""},
		{"agreed", "Agreed", "checkbox", "bool", "", ""}, {"size", "Size", "select", "enum", "", ""}, {"team", "Team", "ref", "ref", "teams", "name"},
		{"fee", "Fee", "text", "decimal", "", ""}, {"tags", "Tags", "textarea", "list", "", ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := len(r.fields); n != 11 { // with what has a default or is optional, without the file
		t.Errorf("%d fields of an account", n)
	}
}

// A colour of an app's can be read, whatever it is.
func TestTheme(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^:root \{ --accent: (#\w{6}); --on-accent: (#\w{6}); --link: light-dark\((#\w{6}), (#\w{6})\); \}\n$`)
	for _, hex := range []string{"", "#ffffff", "#000000", "#ffcc00", "#777777", "#767676", "#00ff00", "#0000ff", "#ff0000", "#1b1d22", "#8a8a8a"} {
		m := pattern.FindStringSubmatch(string(theme(hex)))
		if m == nil {
			t.Fatalf("%s: %s", hex, theme(hex))
		}
		for _, pair := range [][2]rgb{{colour(m[1]), colour(m[2])}, {colour(m[3]), light}, {colour(m[4]), dark}} {
			if got := contrast(pair[0], pair[1]); got < 4.5 {
				t.Errorf("%s: %s on %s is %.2f", hex, pair[0], pair[1], got)
			}
		}
	}
	if got := contrast(rgb{}, rgb{255, 255, 255}); got < 20.99 || got > 21.01 {
		t.Errorf("black on white is %v", got)
	}
}

// An asset is sent once.
func TestAsset(t *testing.T) {
	t.Parallel()
	r := room(t, open, Options{})
	tag := ask(t, r, "/auth/assets/auth.js", "").Header().Get("ETag")
	req := httptest.NewRequest(http.MethodGet, "/auth/assets/auth.js", nil)
	req.Header.Set("If-None-Match", tag)
	req.Header.Set("Range", "bytes=0-3")
	w := httptest.NewRecorder()
	if err := r.Page(req.URL.Path)(w, req); err != nil || w.Code != http.StatusNotModified {
		t.Errorf("%d: %v", w.Code, err)
	}
}
