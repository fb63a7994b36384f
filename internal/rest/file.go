package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// file answers GET /api/files/{collection}/{id}/{field}/{name}: saved, never shown. What users have
// sent is not rendered under the app's origin.
func (d *door) file(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(r); err != nil {
		return err
	}
	by, err := d.who(w, r)
	if err != nil {
		return err
	}
	info, err := d.store.File(r.Context(), by, r.PathValue("collection"), r.PathValue("id"), r.PathValue("field"), r.PathValue("name"))
	if err != nil {
		return err
	}
	if d.blobs == nil {
		return &fault.Error{Kind: fault.Lacking, Op: "files", Msg: "this server stores no files"}
	}
	content, err := d.blobs.Open(r.Context(), info.Blob)
	if err != nil {
		return err
	}
	defer content.Close()
	personal(w)
	h := w.Header()
	h.Set("Content-Type", withCharset(info.Type))
	h.Set("Content-Disposition", disposition(info.Name))
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h["X-Content-Type-Options"] = []string{"nosniff"}
	sum := sha256.Sum256([]byte(info.Blob)) // the key itself is told to nobody
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	serveContent(w, r, time.Time{}, content)
	return nil
}

// withCharset names UTF-8 for types that are text by definition.
func withCharset(t string) string {
	if strings.HasPrefix(t, "text/") && !strings.Contains(t, ";") {
		return t + "; charset=utf-8"
	}
	return t
}

// serveContent is http.ServeContent with problems for its refusals, for as long as the client takes
// what is sent.
func serveContent(w http.ResponseWriter, r *http.Request, modified time.Time, content io.ReadSeeker) {
	http.ServeContent(&refusals{ResponseWriter: web.Paced(w), r: r}, understood(r), "", modified, content)
}

// refusals turns the plain-text errors of http.ServeContent into problems.
type refusals struct {
	http.ResponseWriter
	r       *http.Request
	refused bool
}

func (w *refusals) WriteHeader(status int) {
	if status < 400 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	size := w.Header().Get("Content-Range")
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		web.Problem(rangeWriter{w.ResponseWriter, size}, w.r, fault.New(fault.Range, "no part of the range lies inside the file"))
	case http.StatusPreconditionFailed:
		web.Problem(w.ResponseWriter, w.r, fault.New(fault.Precondition, "the file is another one than the condition names"))
	default:
		web.Problem(w.ResponseWriter, w.r, fault.New(fault.Internal, "serve content: status %d", status))
	}
}

func (w *refusals) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets a file go from disk to network without a copy.
func (w *refusals) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

func (w *refusals) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// rangeWriter keeps the Content-Range that a 416 must tell: the size of the whole.
type rangeWriter struct {
	http.ResponseWriter
	size string
}

func (w rangeWriter) WriteHeader(status int) {
	if w.size != "" {
		w.Header().Set("Content-Range", w.size)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w rangeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
