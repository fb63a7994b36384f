package rest

import (
	"mime"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"report.pdf": "report.pdf", "../../etc/passwd": "passwd", `C:\a\b.txt`: "b.txt", "..": "file", "": "file", "/": "file",
		".htaccess": "htaccess", "a\x00b\nc.txt": "ab c.txt", "a\u202egnp.exe": "agnp.exe", "  x  y .txt ": "x y .txt",
		"u\u0308.txt": "ü.txt", "a<b>:c|d?e*f%20.txt": "a_b__c_d_e_f_20.txt", "\xff.txt": "_.txt",
		strings.Repeat("é", 300) + ".jpeg": strings.Repeat("é", 115) + ".jpeg",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMediaType(t *testing.T) {
	t.Parallel()
	const gif, jpg, pdf, zip, html, svg = "GIF89a", "\xff\xd8\xff\xe0", "%PDF-1.7", "PK\x03\x04", "<!DOCTYPE html>", `<?xml version="1.0"?><svg/>`
	for _, c := range []struct{ declared, head, want string }{
		{"image/gif", gif, "image/gif"}, {"image/jpg", jpg, "image/jpeg"}, {"", pdf, "application/pdf"}, {"application/octet-stream", html, "text/html"},
		{"nonsense", gif, "image/gif"}, {"image/png", gif, ""}, {"image/png", html, ""}, {"text/plain", gif, ""}, {"text/plain; charset=utf-8", html, "text/plain"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", zip, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"application/pdf", zip, ""}, {"image/svg+xml", svg, "image/svg+xml"}, {"application/json", `{"a":1}`, "application/json"},
		{"text/csv", "\x00\x01\x02", ""}, {"image/heic", "\x00\x00\x00\x18ftypheic", "image/heic"}, {"video/quicktime", html, ""},
	} {
		got, ok := mediaType(c.declared, []byte(c.head))
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s with %q: %q %v, want %q", c.declared, c.head, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		accept, media string
		want          bool
	}{{"image/*", "image/png", true}, {"image/*", "text/html", false}, {"image/jpg", "image/jpeg", true}, {"application/pdf", "application/pdf", true}, {"*/*", "a/b", true}} {
		if got := accepted([]string{c.accept}, c.media); got != c.want {
			t.Errorf("%s takes %s: %v", c.accept, c.media, got)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "\u202e", "é\r\n: x", `"';`, strings.Repeat("a.", 200), "CON", "%2e%2e%2f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name := fileName(raw)
		if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\\x00\r\n\"") || !utf8.ValidString(name) ||
			utf8.RuneCountInString(name) > maxFileName || !norm.NFC.IsNormalString(name) {
			t.Fatalf("%q became %q", raw, name)
		}
		if again := fileName(name); again != name {
			t.Fatalf("%q became %q and then %q", raw, name, again)
		}
		header := disposition(name)
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" || strings.ContainsAny(header, "\r\n") || params["filename"] != name {
			t.Fatalf("%q: %q reads as %q (%v)", name, header, params["filename"], err)
		}
		if back, err := url.PathUnescape(url.PathEscape(name)); err != nil || back != name {
			t.Fatalf("%q does not survive an address", name)
		}
	})
}
