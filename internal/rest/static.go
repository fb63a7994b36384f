package rest

import (
	"bytes"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// front serves the app's static frontend from a folder, as it is at each moment.
type front struct {
	dir    string
	spa    bool
	ready  func(path string) web.Act // pages where the folder has no file; may be nil
	packed packed
}

var staticPolicy = []string{"frame-ancestors 'self'; object-src 'none'; base-uri 'self'"}

// page answers GET of everything that is not /api: a file, the index.html of a folder, a ready page or, in an app
// that routes in the browser (spa), index.html for every address that is none of these.
func (f *front) page(w http.ResponseWriter, r *http.Request) error {
	name, ok := localName(r.URL.Path)
	if !ok || f.dir == "" {
		return f.absent(w, r)
	}
	root, err := os.OpenRoot(f.dir) // a path or link that leads out of it is refused by the system
	if err != nil {
		return f.absent(w, r)
	}
	defer root.Close()
	file, info, err := open(root, name)
	if err == nil && info.IsDir() {
		file.Close()
		if !strings.HasSuffix(r.URL.Path, "/") {
			if index, _, err := open(root, path.Join(name, "index.html")); err == nil {
				index.Close()
				w.Header().Set("Cache-Control", "no-cache")
				http.Redirect(w, r, r.URL.EscapedPath()+"/"+query(r), http.StatusPermanentRedirect)
				return nil
			}
		}
		name = path.Join(name, "index.html")
		file, info, err = open(root, name)
	} else if err == nil && strings.HasSuffix(r.URL.Path, "/") {
		file.Close()
		err = fs.ErrNotExist // a file is no folder
	}
	if err != nil && f.spa && !f.has(r) && (path.Ext(name) == "" || path.Base(name) == "index.html" || web.Names(r, "text/html")) {
		name = "index.html"
		file, info, err = open(root, name)
	}
	if err != nil || !info.Mode().IsRegular() {
		if err == nil {
			file.Close()
		}
		return f.absent(w, r)
	}
	defer file.Close()
	return f.serve(w, r, name, file, info)
}

// has says whether there is a ready page.
func (f *front) has(r *http.Request) bool { return f.ready != nil && f.ready(r.URL.Path) != nil }

// absent answers with a ready page or, where there is none either, says that there is nothing.
func (f *front) absent(w http.ResponseWriter, r *http.Request) error {
	if f.has(r) {
		return f.ready(r.URL.Path)(w, r)
	}
	return f.missing(w, r)
}

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

// localName is the path inside the folder. Names that begin with a dot do not exist, but for
// .well-known (RFC 8615).
func localName(p string) (string, bool) {
	if strings.ContainsAny(p, "\\\x00") {
		return "", false
	}
	p = strings.Trim(p, "/")
	if p == "" {
		return ".", true
	}
	for i, segment := range strings.Split(p, "/") {
		if segment == "" || segment[0] == '.' && (i > 0 || segment != ".well-known") {
			return "", false
		}
	}
	return p, fs.ValidPath(p)
}

// open opens a file or a folder. Of anything else, such as a pipe, there is nothing to serve, and to
// open it could wait for ever.
func open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, name string, file *os.File, info fs.FileInfo) error {
	h := w.Header()
	h["Content-Security-Policy"] = staticPolicy
	h["Referrer-Policy"] = []string{"strict-origin-when-cross-origin"}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // asked again each time, answered with 304 while it is the same
	kind := contentType(name)
	h.Set("Content-Type", kind)
	tag := strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
	if web.Compressible(kind) {
		h.Add("Vary", "Accept-Encoding")
		if coding := web.Coding(r); coding != "" && r.Header.Get("Range") == "" {
			small, err := f.packed.of(packedName{name, coding}, tag, file, info.Size())
			if err != nil {
				return fault.Wrap(fault.Internal, "read a static file", err)
			}
			if small != nil {
				h.Set("Content-Encoding", coding)
				h.Set("Content-Length", strconv.Itoa(len(small)))
				h.Set("ETag", web.TagOf(`"`+tag+`"`, coding))
				serveContent(w, r, info.ModTime(), bytes.NewReader(small))
				return nil
			}
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	serveContent(w, r, info.ModTime(), file)
	return nil
}

// types are those of the web, so that they do not depend on what the machine has installed.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".json": "application/json",
	".map": "application/json", ".webmanifest": "application/manifest+json", ".xml": "text/xml; charset=utf-8",
	".txt": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".webp": "image/webp", ".avif": "image/avif", ".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2",
	".ttf": "font/ttf", ".otf": "font/otf", ".wasm": "application/wasm", ".pdf": "application/pdf", ".zip": "application/zip",
	".mp4": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav",
}

func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := types[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// packed keeps compressed forms of files, each until the file changes.
type packed struct {
	mu    sync.Mutex
	files map[packedName]packedFile
	bytes int
}

type packedName struct{ file, coding string }

type packedFile struct {
	tag   string
	bytes []byte // nil: not worth it
}

const (
	leastPacked = 512     // bytes of a file that is worth the work
	mostPacked  = 8 << 20 // bytes of a file that is kept
	allPacked   = 64 << 20
)

// of is the compressed file; nil when it is better sent as it is.
func (p *packed) of(name packedName, tag string, file *os.File, size int64) ([]byte, error) {
	if size < leastPacked || size > mostPacked {
		return nil, nil
	}
	p.mu.Lock()
	known, ok := p.files[name]
	p.mu.Unlock()
	if ok && known.tag == tag {
		return known.bytes, nil
	}
	var out bytes.Buffer
	if err := web.Pack(&out, file, name.coding); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	made := packedFile{tag: tag}
	if int64(out.Len()) < size*9/10 {
		made.bytes = out.Bytes()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files == nil || p.bytes+len(made.bytes) > allPacked {
		p.files, p.bytes = map[packedName]packedFile{}, 0
	}
	p.bytes += len(made.bytes) - len(p.files[name].bytes)
	p.files[name] = made
	return made.bytes, nil
}

// missing says that there is nothing: to people with a page, to programs with a problem.
func (f *front) missing(w http.ResponseWriter, r *http.Request) error {
	if !web.Names(r, "text/html") {
		return noRoute
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	web.Write(w, r, http.StatusNotFound, []byte(notFoundPage))
	return nil
}

const notFoundPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Not found</title>
<h1>Not found</h1><p>There is nothing at this address.</p></html>
`
