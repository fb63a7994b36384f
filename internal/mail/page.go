package mail

import (
	_ "embed" // page.html
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/DataDog/datadog-agent/pkg/template/html"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Page is where mails are shown that were kept; Page.json is all of them for programs.
const Page = "/_dev/mail"

//go:embed page.html
var pageSource string

// shown makes the pages of kept mails: the list, and one of them.
var shown = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"linked": linked, "date": time.Time.Format}).Parse(pageSource))
})

const (
	pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	// A mail's own HTML runs no script and is of no origin. Its links open another tab.
	bodyPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)

// Show shows the mails that are kept, with Dev and no SMTP server, to who asks from this machine; it passes all other
// requests on.
func (r *Room) Show(next http.Handler) http.Handler {
	if !r.keeps() {
		return next
	}
	pages := http.NewServeMux()
	for pattern, do := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET " + Page:                  r.list,
		"GET " + Page + ".json":        r.all,
		"GET " + Page + "/{id}":        r.one,
		"GET " + Page + "/{id}/html":   r.body,
		"GET " + Page + "/{id}/source": r.source,
	} {
		pages.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			err := do(w, req)
			if errors.Is(err, fs.ErrNotExist) {
				err = fault.New(fault.NotFound, "this mail is not kept any more: the last %d are", mostKept)
			}
			if err != nil {
				web.Problem(w, req, err)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch path := req.URL.Path; {
		case path != Page && path != Page+".json" && !strings.HasPrefix(path, Page+"/"):
			next.ServeHTTP(w, req)
		case !nearby(req):
			web.Problem(w, req, fault.New(fault.NotFound, "there is nothing here"))
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			web.Problem(w, req, fault.New(fault.Method, "mails are only looked at"))
		default:
			pages.ServeHTTP(w, req)
		}
	})
}

// nearby says whether a request is from this machine and meant for it: not through a proxy, not by a name that another's
// DNS leads here, not from another site's page.
func nearby(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if !(err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")) { // RFC 6761
		return false
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host || origin == "https://"+r.Host
}

// keptMails are all of them, the newest first. One that goes while they are read is left out.
func (r *Room) keptMails() ([]*kept, error) {
	ids, err := r.ids()
	if err != nil {
		return nil, err
	}
	mails := make([]*kept, 0, len(ids))
	for _, id := range ids {
		k, _, err := r.open(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		mails = append(mails, k)
	}
	return mails, nil
}

func (r *Room) list(w http.ResponseWriter, req *http.Request) error {
	mails, err := r.keptMails()
	if err != nil {
		return err
	}
	return show(w, req, "list", map[string]any{"App": r.app.Name, "Page": Page, "Mails": mails, "Most": mostKept})
}

func (r *Room) all(w http.ResponseWriter, req *http.Request) error {
	mails, err := r.keptMails()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"mails": mails})
	if err != nil {
		return err
	}
	web.JSON(w, req, http.StatusOK, body)
	return nil
}

func (r *Room) one(w http.ResponseWriter, req *http.Request) error {
	k, _, err := r.open(req.PathValue("id"))
	if err != nil {
		return err
	}
	return show(w, req, "one", map[string]any{"App": r.app.Name, "Page": Page, "Mail": k})
}

func (r *Room) body(w http.ResponseWriter, req *http.Request) error {
	k, _, err := r.open(req.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", bodyPolicy)
	answer(w, req, "text/html; charset=utf-8", []byte(aside(k.HTML)))
	return nil
}

// aside has the links of a page open another tab.
func aside(page string) string {
	const base = `<base target="_blank">`
	if at := head().FindStringIndex(page); at != nil {
		return page[:at[1]] + base + page[at[1]:]
	}
	return base + page
}

var head = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)<head(\s[^>]*)?>`) })

func (r *Room) source(w http.ResponseWriter, req *http.Request) error {
	_, raw, err := r.open(req.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, req, "text/plain; charset=utf-8", raw)
	return nil
}

func show(w http.ResponseWriter, req *http.Request, name string, v any) error {
	var b strings.Builder
	if err := shown().ExecuteTemplate(&b, name, v); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	answer(w, req, "text/html; charset=utf-8", []byte(b.String()))
	return nil
}

func answer(w http.ResponseWriter, req *http.Request, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	web.Write(w, req, http.StatusOK, body)
}

// piece is a piece of a text: a link, if Link is not "".
type piece struct{ Text, Link string }

var link = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`https?://[^\s<>"']+`) })

// linked cuts a text at its links.
func linked(text string) []piece {
	var all []piece
	for text != "" {
		at := link().FindStringIndex(text)
		if at == nil {
			return append(all, piece{Text: text})
		}
		if at[0] > 0 {
			all = append(all, piece{Text: text[:at[0]]})
		}
		all = append(all, piece{text[at[0]:at[1]], text[at[0]:at[1]]})
		text = text[at[1]:]
	}
	return all
}
