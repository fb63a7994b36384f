package rest

import (
	_ "embed"
	"net/http"

	"github.com/bluell/plinth/internal/web"
)

//go:embed docs/docs.html
var docsHTML []byte

//go:embed docs/docs.js
var docsJS []byte

//go:embed docs/docs.css
var docsCSS []byte

// docsPolicy lets the page load its own script and style and talk to this server, and nothing else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func docsPage(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Security-Policy", docsPolicy)
	return docsPart(w, r, "text/html; charset=utf-8", docsHTML)
}

func docsScript(w http.ResponseWriter, r *http.Request) error {
	return docsPart(w, r, "text/javascript; charset=utf-8", docsJS)
}

func docsStyle(w http.ResponseWriter, r *http.Request) error {
	return docsPart(w, r, "text/css; charset=utf-8", docsCSS)
}

func docsPart(w http.ResponseWriter, r *http.Request, kind string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	web.Write(w, r, http.StatusOK, body)
	return nil
}
