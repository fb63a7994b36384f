package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Each line is one of RFC 9110, 12.5.3.
func TestCoding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked   []string
		coding  string
		refuses bool
	}{
		{nil, "", false},
		{[]string{""}, "", false},
		{[]string{"gzip"}, Gzip, false},
		{[]string{"GZIP, Deflate"}, Gzip, false},
		{[]string{"x-gzip"}, Gzip, false},
		{[]string{"gzip, deflate, br, zstd"}, Zstd, false},
		{[]string{"gzip", "zstd"}, Zstd, false},
		{[]string{"zstd;q=0.5, gzip;q=0.8"}, Gzip, false},
		{[]string{"zstd;q=0.801, gzip; q=0.8"}, Zstd, false},
		{[]string{"gzip;q=0"}, "", false},
		{[]string{"gzip;q=0.000, zstd;q=0"}, "", false},
		{[]string{"gzip;q=0, *"}, "", false},
		{[]string{"*"}, Gzip, false},
		{[]string{"*;q=0"}, "", true},
		{[]string{"identity"}, "", false},
		{[]string{"identity;q=1, gzip;q=0.5"}, "", false},
		{[]string{"identity;q=0.5, gzip"}, Gzip, false},
		{[]string{"identity;q=0.5, gzip;q=0.5"}, Gzip, false},
		{[]string{"identity;q=0, gzip"}, Gzip, true},
		{[]string{"identity;q=0"}, "", true},
		{[]string{"zstd, *;q=0"}, Zstd, true},
		{[]string{"identity, zstd;q=0.1, *;q=0"}, "", false},
		{[]string{"br, deflate, compress"}, "", false},
		{[]string{"gzip;q=1.001"}, "", false},
		{[]string{"gzip;q=2"}, "", false},
		{[]string{"gzip;q=x"}, "", false},
		{[]string{"gzip;q=-1"}, "", false},
		{[]string{"gzip;q=0.0001"}, "", false},
		{[]string{", ,gzip ,"}, Gzip, false},
	} {
		coding, refuses := negotiate(c.asked)
		if coding != c.coding || refuses != c.refuses {
			t.Errorf("%q: %q, none is refused: %t", c.asked, coding, refuses)
		}
	}
}

func plain(t *testing.T, coding string, r io.Reader) []byte {
	t.Helper()
	var err error
	switch coding {
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		r, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func long(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":"%08x","title":"Record %d"},`, uint32(i)*2654435761, i)
	}
	return b.Bytes()[:n]
}

// TestEncoded: over a real connection every size comes as it is, with its length where it is short, HEAD tells the same headers, and
// what asks for nothing gets nothing.
func TestEncoded(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"/short": leastTagged - 1, "/least": leastTagged, "/list": 40 << 10, "/pieces": 3 << 20}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Personal(w.Header())
		w.Header()["Etag"] = []string{`"3"`}
		JSON(w, r, http.StatusOK, long(sizes[r.URL.Path]))
	}))
	defer srv.Close()
	for path, size := range sizes {
		for _, asked := range []string{"", "gzip", "zstd", "identity", "identity;q=0, gzip"} {
			want := asked
			if asked == "identity" || path == "/short" {
				want = ""
			}
			if asked == "identity;q=0, gzip" {
				want = Gzip
			}
			heads := map[string]http.Header{}
			for _, method := range []string{"GET", "HEAD"} {
				r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Accept-Encoding", asked) // so that the client leaves it as it is
				if asked == "" {
					r.Header.Set("Accept-Encoding", "identity")
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				h := resp.Header
				heads[method] = h
				tag := TagOf(`"3"`, want)
				if h.Get("Content-Encoding") != want || h.Get("Etag") != tag || h.Get("Vary") != "Authorization, Cookie" {
					t.Errorf("%s %s %q: %v", method, path, asked, h)
				}
				varies := len(h["Vary"]) == 2 && h["Vary"][1] == "Accept-Encoding"
				if varies != (path != "/short" || want != "") {
					t.Errorf("%s %s %q: Vary %q", method, path, asked, h["Vary"])
				}
				if method == "HEAD" {
					continue
				}
				if got := plain(t, want, bytes.NewReader(b)); !bytes.Equal(got, long(size)) {
					t.Errorf("%s %q: %d bytes come out, not %d", path, asked, len(got), size)
				}
				if want != "" && size >= leastTagged && len(b) > size/2 {
					t.Errorf("%s %q: %d bytes of %d", path, asked, len(b), size)
				}
				if path != "/pieces" && resp.ContentLength != int64(len(b)) || path == "/pieces" && want != "" && resp.ContentLength >= 0 {
					t.Errorf("%s %q: length %d of %d", path, asked, resp.ContentLength, len(b))
				}
			}
			for _, name := range []string{"Content-Encoding", "Etag", "Content-Type", "Vary"} {
				if fmt.Sprint(heads["GET"][name]) != fmt.Sprint(heads["HEAD"][name]) {
					t.Errorf("%s %q: HEAD says %q of %s, GET %q", path, asked, heads["HEAD"][name], name, heads["GET"][name])
				}
			}
		}
	}
}

// TestNotEncoded: whose length could tell a secret, what is encoded already, what is no text, and what tells the tag of something else.
func TestNotEncoded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		method  string
		path    string
		request string // header fields, "Name: value"
		answer  string
		encoded bool
	}{
		{"a list", "GET", "/api/posts", "", "", true},
		{"a list by a question", "POST", "/api/posts/query", "", "", true},
		{"of the user's own pages", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: same-origin", "", true},
		{"by the address bar", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: none", "", true},
		{"another site's page with the user's cookie", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: cross-site", "", false},
		{"another host of the site", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: same-site", "", false},
		{"nobody says whose page", "GET", "/api/posts", "Cookie: s=1", "", false},
		{"two say whose page", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: none\nSec-Fetch-Site: cross-site", "", false},
		{"a page that may use the cookie", "GET", "/api/posts", "Cookie: s=1\nSec-Fetch-Site: cross-site", "Access-Control-Allow-Credentials: true", true},
		{"another site's page without a cookie", "GET", "/api/posts", "Sec-Fetch-Site: cross-site", "", true},
		{"a token, which no page sends by itself", "GET", "/api/posts", "Cookie: s=1\nAuthorization: Bearer x", "", true},
		{"sign-in", "GET", "/api/auth/me", "", "", false},
		{"a cookie is set", "GET", "/api/posts", "", "Set-Cookie: s=1", false},
		{"nobody may keep it", "GET", "/api/posts", "", "Cache-Control: no-store", false},
		{"nobody may keep it, among others", "GET", "/api/posts", "", "Cache-Control: private, no-store", false},
		{"encoded already", "GET", "/api/posts", "", "Content-Encoding: br", false},
		{"a picture", "GET", "/p", "", "Content-Type: image/png", false},
		{"a drawing", "GET", "/p", "", "Content-Type: image/svg+xml", true},
		{"a stream", "GET", "/p", "", "Content-Type: text/event-stream", false},
		{"a record that was read", "GET", "/api/posts/1", "", "Etag: \"3\"", true},
		{"a record that was changed", "PATCH", "/api/posts/1", "", "Etag: \"3\"", false},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		set := func(h http.Header, lines string) {
			for line := range strings.SplitSeq(lines, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					h.Add(name, value)
				}
			}
		}
		set(r.Header, c.request)
		w := httptest.NewRecorder()
		if !strings.Contains(c.answer, "Content-Type") {
			w.Header().Set("Content-Type", "application/json")
		}
		set(w.Header(), c.answer)
		Write(w, r, http.StatusOK, long(20000))
		got := w.Header().Get("Content-Encoding") == Gzip
		if got != c.encoded || got != (w.Header().Get("Vary") == "Accept-Encoding") {
			t.Errorf("%s: %v", c.name, w.Header())
		}
		if !got && !bytes.Equal(w.Body.Bytes(), long(20000)) {
			t.Errorf("%s: another body", c.name)
		}
	}
}

// TestProblemsAreNotEncoded: a problem repeats what was asked.
func TestProblemsAreNotEncoded(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/api/posts", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", Gzip)
	Problem(w, r, fault.New(fault.BadRequest, "%s", strings.Repeat("x", 5000)), Member{"more", []byte(`"` + strings.Repeat("y", 5000) + `"`)})
	if w.Header().Get("Content-Encoding") != "" || w.Body.Len() < 5000 {
		t.Errorf("%v", w.Header())
	}
}

func TestTagsOfCodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ifMatch string
		revs    string
		weak    bool
	}{
		{`"3"`, "[3]", false}, {`"3-gzip"`, "[3]", false}, {`"3-zstd"`, "[3]", false}, {`"3-zstd", "4-gzip"`, "[3 4]", false},
		{`"3-br"`, "[]", false}, {`"3-gzip-gzip"`, "[]", false}, {`"-gzip"`, "[]", false}, {`W/"3-gzip"`, "[]", true},
	} {
		r := httptest.NewRequest("PATCH", "/", nil)
		r.Header.Set("If-Match", c.ifMatch)
		m, err := IfMatch(r)
		if err != nil || fmt.Sprint(m.Revs) != c.revs || m.Weak != c.weak {
			t.Errorf("%s: %+v %v", c.ifMatch, m, err)
		}
	}
}

// TestNotModified: the tag of a 304 is that of what the client has.
func TestNotModified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ has, accepts, tag string }{
		{`"3"`, "", `"3"`},
		{`"3-gzip"`, "gzip", `"3-gzip"`},
		{`"3"`, "gzip", `"3"`},
		{`"3-gzip"`, "gzip, zstd", `"3-gzip"`},
		{`"3", "3-gzip"`, "gzip", `"3-gzip"`},
		{`W/"3-zstd"`, "zstd", `"3-zstd"`},
		{`*`, "gzip", `"3-gzip"`},
		{`*`, "", `"3"`},
	} {
		r := httptest.NewRequest("GET", "/api/posts/1", nil)
		r.Header.Set("If-None-Match", c.has)
		r.Header.Set("Accept-Encoding", c.accepts)
		w := httptest.NewRecorder()
		Personal(w.Header())
		w.Header()["Etag"] = []string{`"3"`}
		NotModified(w, r, 20000)
		if w.Code != 304 || w.Header().Get("Etag") != c.tag || len(w.Header()["Vary"]) != 2 || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s, %q: %d %v", c.has, c.accepts, w.Code, w.Header())
		}
	}
}

// waiting is a client that takes nothing until it is let.
type waiting struct {
	http.ResponseWriter
	waits chan<- struct{}
	let   <-chan struct{}
}

func (s waiting) Write(b []byte) (int, error) {
	s.waits <- struct{}{}
	<-s.let
	return s.ResponseWriter.Write(b)
}

// TestEncodersAreBounded: with as many at work as there may be, an answer goes as it is. It runs alone: it counts what all share.
func TestEncodersAreBounded(t *testing.T) {
	waits, let, ended := make(chan struct{}), make(chan struct{}), make(chan *httptest.ResponseRecorder)
	ask := func() *http.Request {
		r := httptest.NewRequest("GET", "/api/posts", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		return r
	}
	body := long(1 << 20)
	for range mostEncoders {
		go func() {
			w := httptest.NewRecorder()
			Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { JSON(w, r, http.StatusOK, body) }), spec.Server{}, nil).ServeHTTP(waiting{w, waits, let}, ask())
			ended <- w
		}()
	}
	for range mostEncoders {
		<-waits
	}
	w := httptest.NewRecorder()
	JSON(w, ask(), http.StatusOK, long(5000))
	if w.Header().Get("Content-Encoding") != "" || w.Header().Get("Vary") != "Accept-Encoding" || !bytes.Equal(w.Body.Bytes(), long(5000)) {
		t.Errorf("%v", w.Header())
	}
	go func() {
		for range waits {
		}
	}()
	close(let)
	for range mostEncoders {
		if w := <-ended; w.Header().Get("Content-Encoding") != Gzip || !bytes.Equal(plain(t, Gzip, w.Body), body) {
			t.Error("one who waited was not answered")
		}
	}
	close(waits)
	if n := encoding.Load(); n != 0 {
		t.Errorf("%d encoders are at work", n)
	}
}

// BenchmarkWrite is what an answer costs: without a wish, and in each coding.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{300, 15_000, 300_000} {
		body := long(size)
		for _, asked := range []string{"", "gzip", "zstd"} {
			b.Run(fmt.Sprintf("%d/%s", size, asked), func(b *testing.B) {
				r := httptest.NewRequest("GET", "/api/posts", nil)
				if asked != "" {
					r.Header.Set("Accept-Encoding", asked)
				}
				w := &discard{http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.h)
					Personal(w.h)
					JSON(w, r, http.StatusOK, body)
				}
			})
		}
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
