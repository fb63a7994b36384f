package serve

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	now = &http.Request{ProtoMajor: 1, ProtoMinor: 1}
	old = &http.Request{ProtoMajor: 1, ProtoMinor: 0}
)

// TestHeads: what is ambiguous is found wherever its bytes are cut, and nothing else is.
func TestHeads(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, text string
		now, old   bool
	}{
		{"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, false},
		{"long lines", "GET /" + long + " HTTP/1.1\r\nCookie: " + long + "\r\n\r\nGET / HTTP/1.1\r\n\r\n", false, false},
		{"LF alone", "GET / HTTP/1.1\r\nHost: x\n\r\n", true, true},
		{"LF alone behind a long line", "GET / HTTP/1.1\r\nCookie: " + long + "\n\r\n", true, true},
		{"LF alone behind CR elsewhere", "GET / HTTP/1.1\r\nCookie: " + strings.Repeat("\r", 300) + "x\n\r\n", true, true},
		{"LF alone behind the first line", "GET / HTTP/1.1\nHost: x\r\n\r\n", true, true},
		{"LF alone at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n", true, true},
		{"folded", "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", true, true},
		{"folded by a tab", "GET / HTTP/1.1\r\nHost: x\r\n\ty\r\n\r\n", true, true},
		{"one length", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\n ", false, false},
		{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-LENGTH:3\r\n\r\nabc", true, true},
		{"a length for each", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nContent-Length:\t 3 \r\n\r\n\n\n GET / HTTP/1.1\r\n\r\n", false, false},
		{"a body that looks like a head", "POST / HTTP/1.1\r\nContent-Length: 63\r\n\r\nContent-Length: 1\nContent-Length: 2\nTransfer-Encoding: chunked\n", false, false},
		{"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n a\r\n0\r\n\r\n", false, true},
		{"a length and chunks", "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true, true},
		{"chunks and a length", "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nContent-Length: 3\r\n\r\n", true, true},
		{"behind another", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true, true},
		{"names that begin so", "POST / HTTP/1.1\r\nContent-Length-X: 3\r\nContent-Length: 1\r\nTransfer-Encodings: a\r\n\r\nx", false, false},
		{"digits without need", "POST / HTTP/1.1\r\nContent-Length: " + strings.Repeat("0", 70) + "3\r\n\r\nabc", true, true},
		{"spaces without need", "POST / HTTP/1.1\r\nContent-Length:" + strings.Repeat(" ", 70) + "3\r\n\r\nabc", true, true},
		{"nobody knows the length", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n\n \n", false, false}, // net/http refuses it
	} {
		for size := 1; size <= len(c.text); size++ {
			h := &heads{}
			for from := 0; from < len(c.text); from += size {
				h.read([]byte(c.text[from:min(from+size, len(c.text))]))
			}
			if h.doubtful(now) != c.now || h.doubtful(old) != c.old {
				t.Errorf("%s, %d bytes at a time: %t, in HTTP/1.0 %t", c.name, size, h.doubtful(now), h.doubtful(old))
				break
			}
		}
	}
}

// TestHeadsOfManyRequests: of proper requests with bodies of any bytes, cut anywhere, none is doubtful; the last, which is, is found.
func TestHeadsOfManyRequests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "requests") {
			fmt.Fprintf(&all, "POST /%s HTTP/1.1\r\n", rapid.StringMatching(`[a-z]{0,90}`).Draw(t, "path"))
			for range rapid.IntRange(0, 3).Draw(t, "fields") {
				fmt.Fprintf(&all, "X-%s: %s\r\n", rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "name"), rapid.StringMatching(`[ -~]{0,90}`).Draw(t, "value"))
			}
			body := string(rapid.SliceOfN(rapid.SampledFrom([]byte("\r\n :ctabContent-Length")), 0, 200).Draw(t, "body"))
			fmt.Fprintf(&all, "Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		h := &heads{}
		feed := func(text string) {
			for text != "" {
				n := rapid.IntRange(1, len(text)).Draw(t, "cut")
				h.read([]byte(text[:n]))
				text = text[n:]
			}
		}
		feed(all.String())
		if h.doubtful(now) || h.doubtful(old) {
			t.Fatalf("doubtful: %q", all.String())
		}
		feed("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
		if !h.doubtful(now) {
			t.Fatalf("not found behind %q", all.String())
		}
	})
}

func BenchmarkHeads(b *testing.B) {
	text := []byte("GET /api/posts/01a203fc-9ff0-7000-9695-628ac4fc9c53 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: a=b\r\nContent-Length: 0\r\n\r\n")
	h := &heads{}
	b.ReportAllocs()
	for b.Loop() {
		h.read(text)
	}
}
