package rest_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
)

var png = "\x89PNG\r\n\x1a\n" + strings.Repeat("p", 100)

// part is one part of a multipart body.
type part struct{ name, file, kind, content string }

func (s *site) send(line, headers string, parts ...part) answer {
	s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		params := map[string]string{"name": p.name}
		if p.file != "" {
			params["filename"] = p.file
		}
		h.Set("Content-Disposition", mime.FormatMediaType("form-data", params))
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		pw, err := w.CreatePart(h)
		if err != nil {
			s.t.Fatal(err)
		}
		_, _ = io.WriteString(pw, p.content)
	}
	w.Close()
	return s.ask(line, "Content-Type: "+w.FormDataContentType()+"\n"+headers, body.String())
}

// stored counts the files on disk.
func (s *site) stored() int {
	s.t.Helper()
	n := 0
	if err := s.blobs.Older(context.Background(), time.Now().Add(time.Hour), func(string) error { n++; return nil }); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestUpload(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	record := part{"record", "", "application/json", `{"title":"With files"}`}
	a := s.send("POST /api/posts", "", record, part{"cover", `C:\fakepath\ü "x".png`, "image/png", png},
		part{"papers", "a.txt", "text/plain", "hello"}, part{"papers", "a.txt", "text/plain", "world"}).want(201)
	cover := a.json()["cover"].(map[string]any)
	if cover["name"] != "ü _x_.png" || cover["type"] != "image/png" || cover["size"] != float64(len(png)) {
		t.Errorf("%v", cover)
	}
	papers := a.json()["papers"].([]any)
	if len(papers) != 2 || papers[1].(map[string]any)["name"] != "a (2).txt" || s.stored() != 3 {
		t.Errorf("%v, %d stored", papers, s.stored())
	}
	id := a.json()["id"].(string)
	if want := "/api/files/posts/" + id + "/cover/" + url.PathEscape("ü _x_.png"); cover["url"] != want {
		t.Errorf("url %v, want %s", cover["url"], want)
	}

	file := s.ask("GET "+cover["url"].(string), "", "").want(200)
	if file.body != png || file.header.Get("Content-Type") != "image/png" ||
		file.header.Get("Content-Disposition") != `attachment; filename="_ _x_.png"; filename*=UTF-8''%C3%BC%20_x_.png` ||
		!strings.Contains(file.header.Get("Content-Security-Policy"), "sandbox") || file.header.Get("X-Content-Type-Options") != "nosniff" ||
		file.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("%v", file.header)
	}
	if b := s.ask("GET "+papers[1].(map[string]any)["url"].(string), "", "").want(200); b.body != "world" || b.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q %v", b.body, b.header)
	}
	target := "GET " + cover["url"].(string)
	if b := s.ask(target, "Range: bytes=0-3", "").want(206); b.body != png[:4] || b.header.Get("Content-Range") == "" {
		t.Errorf("%q %v", b.body, b.header)
	}
	if b := s.ask(target, "Range: bytes=5000-", "").want(416); b.header.Get("Content-Range") == "" {
		t.Errorf("%v", b.header)
	}
	for asked, want := range map[string]int{
		"items=0-1": 200, "bytes=a": 200, "bytes=3-2": 200, "bytes=0-99999999999999999999": 206, "BYTES=0-3": 206, "bytes=99999999999999999999-": 416, "bytes=-0": 416,
	} {
		if b := s.ask(target, "Range: "+asked, "").want(want); want == 200 && b.body != png || want == 206 && !strings.HasPrefix(png, b.body) {
			t.Errorf("%s: %q", asked, b.body)
		}
	}
	s.ask(target, "Range: bytes="+strings.Repeat("0-,", 300)+"0-", "").want(200)
	s.ask(target, "If-None-Match: "+file.header.Get("ETag"), "").want(304)
	s.ask(target, `If-Match: "x"`, "").want(412)
	if b := s.ask("HEAD "+cover["url"].(string), "", "").want(200); b.body != "" {
		t.Error("HEAD has a body")
	}
	s.ask(target+"x", "", "").want(404)
	s.ask(target+"?x=1", "", "").want(400)
	s.ask("GET /api/files/posts/"+id+"/title/x", "", "").want(404)

	for _, name := range []string{"r.json", "blob", "record"} { // curl -F 'record=@r.json;type=application/json'
		s.send("POST /api/posts", "", part{"record", name, "application/json", `{"title":"With files"}`}, part{"cover", "a.png", "image/png", png}).want(201)
	}
	if a := s.send("PATCH /api/posts/"+id, "", part{"record", "", "", `{}`}, part{"cover", "new.gif", "image/gif", "GIF89a;"}).want(200); a.json()["cover"].(map[string]any)["name"] != "new.gif" {
		t.Error(a.body)
	}
}

// What is wrong with the record and with each file is told together, and nothing is kept.
func TestUploadTellsAll(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"One"}`)
	text, img := part{"cover", "t.txt", "text/plain", "hello"}, part{"papers", "a.png", "image/png", png}
	for _, c := range []struct {
		line, headers string
		status        int
		want          string
		parts         []part
	}{
		{"POST /api/posts", "", 422, "/cover type, /title type, /nope unknown", []part{{"record", "", "", `{"title":1,"nope":2}`}, text, img}},
		{"POST /api/posts", "", 422, "/cover type, /title required", []part{{"record", "", "", `{}`}, img, text}},
		{"POST /api/posts", "", 422, "/cover type", []part{{"record", "", "", `{"title":"Good"}`}, text, img}},
		{"POST /api/posts", "", 422, "/title type, /nope unknown, /papers type, /cover max, /stars max",
			[]part{{"record", "", "", `{"stars":11}`}, {"title", "", "", "x"}, {"nope", "", "", "x"}, {"papers", "a.png", "image/png", "no"}, {"cover", "a.png", "image/png", png}, {"cover", "b.png", "image/png", png}, text}},
		{"POST /api/posts", "", 422, "/cover type, /stars type", []part{{"record", "", "", `{"title":"Good","cover":null,"stars":"x"}`}, text}},
		{"PATCH /api/posts/" + id, "", 422, "/cover type, /stars type", []part{{"record", "", "", `{"stars":"x"}`}, text, img}},
		{"PATCH /api/posts/" + id, "", 422, "/cover type", []part{{"record", "", "", `{}`}, text, img}},
		{"PATCH /api/posts/" + id, `If-Match: "7"`, 412, "", []part{{"record", "", "", `{"stars":"x"}`}, text}},
		{"PATCH /api/posts/01900000-0000-7000-8000-000000000000", "", 404, "", []part{{"record", "", "", `{"stars":"x"}`}, text}},
	} {
		a := s.send(c.line, c.headers, c.parts...)
		if got := a.fields(); a.status != c.status || got != c.want {
			t.Errorf("%s %v: %d %q, want %d %q", c.line, c.parts, a.status, got, c.status, c.want)
		}
	}
	if n := s.stored(); n != 0 {
		t.Errorf("%d files stay", n)
	}
	if a := s.ask("GET /api/posts?count=exact", "", "").want(200); !strings.Contains(a.body, `"total":1`) || !strings.Contains(a.body, `"rev":1`) {
		t.Error(a.body)
	}
	// the same key for a request that was taken, and for one that would not be
	record := part{"record", "", "", `{"title":"Good"}`}
	s.send("POST /api/posts", `Idempotency-Key: "k"`, record, part{"cover", "a.png", "image/png", png}).want(201)
	if a := s.send("POST /api/posts", `Idempotency-Key: "k"`, record, part{"cover", "a.png", "image/png", "no"}).want(422); a.fields() == "" && !strings.Contains(a.body, "idempotency-key-reused") {
		t.Error(a.body)
	}
	var many []part
	for i := range 200 {
		many = append(many, part{"n" + strings.Repeat("x", i), "", "", "x"})
	}
	s.send("POST /api/posts", "", append([]part{record}, many...)...).want(413)
}

// A body of another type is told all that could be there.
func TestTypesOfBodies(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"One"}`)
	for _, c := range []struct{ line, by, want string }{
		{"POST /api/posts", "member", "the body should be application/json or multipart/form-data"},
		{"PATCH /api/posts/" + id, "member", "the body should be application/merge-patch+json or application/json or multipart/form-data"},
		{"PUT /api/posts/" + id, "member", "the body should be application/json"},
		{"POST /api/people", "staff", "the body should be application/json"},
	} {
		a := s.ask(c.line, "Authorization: Bearer "+c.by+"\nContent-Type: text/plain", "x").want(415)
		if a.problem()["detail"] != c.want {
			t.Errorf("%s: %s", c.line, a.body)
		}
	}
	if a := s.ask("POST /api/batch", "", `[]`).want(400); a.problem()["detail"] != "the body must be an object" {
		t.Error(a.body)
	}
}

func TestUploadRefused(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	record := part{"record", "", "application/json", `{"title":"With files"}`}
	big := strings.Repeat("x", 2000)
	for _, c := range []struct {
		name   string
		status int
		fields string
		parts  []part
	}{
		{"no record", 400, "", []part{{"cover", "a.png", "image/png", png}}},
		{"record second", 400, "", []part{{"cover", "a.png", "image/png", png}, record}},
		{"record not JSON", 400, " syntax", []part{{"record", "", "application/json", `{`}}},
		{"record a file", 415, "", []part{{"record", "", "image/png", `{}`}}},
		{"record a file of no type", 415, "", []part{{"record", "r.json", "", `{}`}}},
		{"record a file of bytes", 415, "", []part{{"record", "r.json", "application/octet-stream", `{}`}}},
		{"no field", 422, "/nope unknown", []part{record, {"nope", "a.png", "image/png", png}}},
		{"not a file field", 422, "/title type", []part{record, {"title", "", "", "x"}}},
		{"declared wrongly", 422, "/cover type", []part{record, {"cover", "a.png", "image/png", "<html><script>"}}},
		{"not accepted", 422, "/cover type", []part{record, {"cover", "a.txt", "text/plain", "text"}}},
		{"a picture that is said to be text", 422, "/papers type", []part{record, {"papers", "a.txt", "text/plain", png}}},
		{"too large", 413, "/papers max", []part{record, {"papers", "a.txt", "text/plain", big}}},
		{"too many", 422, "/cover max", []part{record, {"cover", "a.png", "image/png", png}, {"cover", "b.png", "image/png", png}}},
		{"invalid record", 422, "/title min", []part{{"record", "", "", `{"title":"x"}`}, {"papers", "a.txt", "text/plain", "x"}}},
		{"in the record too", 422, "/cover type", []part{{"record", "", "", `{"title":"xx","cover":null}`}, {"cover", "a.png", "image/png", png}}},
	} {
		a := s.send("POST /api/posts", "", c.parts...)
		if a.status != c.status || a.fields() != c.fields {
			t.Errorf("%s: %d %q, want %d %q: %s", c.name, a.status, a.fields(), c.status, c.fields, a.body)
		}
		if n := s.stored(); n != 0 {
			t.Fatalf("%s: %d files are left", c.name, n)
		}
	}
	s.send("POST /api/people", "", record).want(401)
	s.ask("POST /api/posts", "Content-Type: multipart/form-data", "x").want(415)
	s.ask("POST /api/posts", "Content-Type: multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=record\r\n\r\n{").want(400)
	r := httptest.NewRequest("POST", "/api/posts", strings.NewReader(""))
	r.ContentLength = 1 << 40
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("%d", w.Code)
	}
}

// cut is a body whose connection breaks off.
type cut struct {
	io.Reader
	err error
}

func (c *cut) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if err == io.EOF {
		err = c.err
	}
	return n, err
}

// TestUploadBrokenOff: what goes wrong between the client and us is not the server's failure.
func TestUploadBrokenOff(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	const head = "--b\r\nContent-Disposition: form-data; name=record\r\n\r\n{\"title\":\"Hello\"}\r\n--b\r\nContent-Disposition: form-data; name=papers; filename=a\r\n\r\n"
	for _, err := range []error{&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF} {
		for _, content := range []string{"", strings.Repeat("x", 600)} {
			r := httptest.NewRequest("POST", "/api/posts", &cut{strings.NewReader(head + content), err})
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			w := httptest.NewRecorder()
			s.http.ServeHTTP(w, r)
			if w.Code != 400 || s.stored() != 0 {
				t.Errorf("%v after %d bytes: %d %s, %d files are left", err, len(content), w.Code, w.Body, s.stored())
			}
		}
	}
	s.ask("POST /api/posts", "Content-Type: multipart/form-data; boundary=b\nContent-Encoding: gzip", head+"x\r\n--b--\r\n").want(415)
}

// unsure is a store that has written and does not know it.
type unsure struct{ rest.Store }

func (s unsure) Create(ctx context.Context, by data.Caller, collection string, body *doc.Node, o data.WriteOptions) (data.Reply, error) {
	if _, err := s.Store.Create(ctx, by, collection, body, o); err != nil {
		return data.Reply{}, err
	}
	return data.Reply{}, fault.New(fault.Unavailable, "the disk did not answer")
}

// TestUploadOfUnknownOutcome: a file is not taken from a record that may be there.
func TestUploadOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	sure := s.http
	s.http = web.Guard(rest.New(unsure{s.db}, caller, rest.Options{Blobs: s.blobs}), s.db.App().Server, slog.New(slog.DiscardHandler))
	s.send("POST /api/posts", "", part{"record", "", "", `{"title":"Hello"}`}, part{"papers", "a.txt", "text/plain", "hello"}).want(503)
	s.send("POST /api/posts", "", part{"record", "", "", `{"title":""}`}, part{"papers", "a.txt", "text/plain", "hello"}).want(422)
	s.http = sure
	page := s.ask("GET /api/posts?fields=papers", "", "").want(200).json()
	papers := page["items"].([]any)[0].(map[string]any)["papers"].([]any)
	if file := s.ask("GET "+papers[0].(map[string]any)["url"].(string), "", "").want(200); file.body != "hello" || s.stored() != 1 {
		t.Errorf("%q, %d stored", file.body, s.stored())
	}
}

// The same upload with the same key is done once, though a client makes up a new boundary.
func TestUploadOnce(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	send := func(content string) answer {
		return s.send("POST /api/posts", `Idempotency-Key: "u"`, part{"record", "", "", `{"title":"Once"}`}, part{"papers", "a.txt", "text/plain", content})
	}
	first, again := send("one").want(201), send("one").want(201)
	if first.body != again.body || s.stored() != 1 {
		t.Errorf("%d stored\n%s\n%s", s.stored(), first.body, again.body)
	}
	send("two").want(422)
	if s.stored() != 1 {
		t.Errorf("%d stored", s.stored())
	}
}
