package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/DataDog/datadog-agent/pkg/template/html"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

//go:embed site
var site embed.FS

// Root is where the pages are; what they load is under Root + "assets/".
const Root = "/auth/"

// policy lets a page load its own scripts and styles, and the app's, and speak with this server; nothing in its HTML is run, no
// text of a script becomes HTML, and no form is sent by the browser itself: without its script a page would put a password into
// an address.
var policy = []string{"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"}

// Options of New.
type Options struct {
	Public string // folder of the app's frontend
	Mail   bool   // mails are sent: there are codes, and forgotten passwords
	Dev    bool   // passkeys are for localhost where server.url is missing
}

// Room has the pages of an app. It is safe for concurrent use.
type Room struct {
	app    *spec.App
	o      Options
	fields []field
	assets map[string]asset
}

// asset is a file that pages load.
type asset struct {
	kind string
	body []byte
	tag  string
}

// New makes the pages of an app.
func New(app *spec.App, o Options) (*Room, error) {
	r := &Room{app: app, o: o, assets: map[string]asset{}}
	if !r.on() {
		return r, nil
	}
	r.fields = fieldsOf(app)
	files, err := fs.ReadDir(site, "site")
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "read the files of pages", err)
	}
	for _, f := range files {
		kind := kinds[path.Ext(f.Name())]
		if kind == "" {
			continue
		}
		body, err := fs.ReadFile(site, "site/"+f.Name())
		if err != nil {
			return nil, fault.Wrap(fault.Internal, "read the files of pages", err)
		}
		r.add(f.Name(), kind, body)
	}
	r.add("theme.css", kinds[".css"], theme(app.Auth.Pages.Accent))
	return r, nil
}

var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

func (r *Room) add(name, kind string, body []byte) {
	sum := sha256.Sum256(body)
	r.assets[name] = asset{kind, body, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

func (r *Room) on() bool { return r.app.Auth.On && !r.app.Auth.Pages.Off }

// Page is what answers GET of an address; nil where no page is.
func (r *Room) Page(address string) web.Act {
	name, ok := strings.CutPrefix(address, Root)
	if !ok || !r.on() {
		return nil
	}
	if file, ok := strings.CutPrefix(name, "assets/"); ok {
		if a, ok := r.assets[file]; ok {
			return a.serve
		}
		return nil
	}
	if !r.has(name) {
		return nil
	}
	return func(w http.ResponseWriter, req *http.Request) error { return r.show(w, req, name) }
}

// has says whether there is a page: nobody is asked to do what the app does not let him.
func (r *Room) has(name string) bool {
	a := &r.app.Auth
	return slices.Contains(names, name) && (name != "register" || a.Register == "open") && (name != "team" && name != "members" || a.Teams.On())
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache") // asked again each time, answered with 304 while it is the same
	h.Set("ETag", a.tag)
	r = r.Clone(r.Context())
	r.Header.Del("Range") // they are small
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
	return nil
}

// show writes a page for who asks: in his language, and with the place where he goes in the end.
func (r *Room) show(w http.ResponseWriter, req *http.Request, name string) error {
	lang, words := wordsFor(web.Language(req))
	v := r.view(name, lang, words, req)
	var b bytes.Buffer
	if err := layout()[name].ExecuteTemplate(&b, "layout", v); err != nil {
		return fault.Wrap(fault.Internal, "write the page "+name, err)
	}
	h := w.Header()
	h["Content-Security-Policy"] = policy
	h["Cross-Origin-Opener-Policy"] = []string{"same-origin"}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Cache-Control", "no-store")
	web.Write(w, req, http.StatusOK, b.Bytes())
	return nil
}

// names are the pages; each is site/NAME.html, and what it does is site/NAME.js.
var names = []string{"sign-in", "register", "verify", "reset", "email", "invite", "team", "members", "account"}

// layout are the templates of pages, by name. They are read when the first page is asked for.
var layout = sync.OnceValue(func() map[string]*template.Template {
	all := map[string]*template.Template{}
	calls := template.FuncMap{"say": text.say, "secret": (*view).secret}
	for _, name := range names {
		all[name] = template.Must(template.New("").Funcs(calls).Option("missingkey=error").ParseFS(site, "site/layout.html", "site/"+name+".html"))
	}
	return all
})

// home is where a browser goes that was to go nowhere in particular: to the app, or to the account where the app has no page.
func (r *Room) home() string {
	if info, err := os.Stat(filepath.Join(r.o.Public, "index.html")); r.o.Public != "" && err == nil && info.Mode().IsRegular() {
		return "/"
	}
	return Root + "account"
}
