package web

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Content codings that answers may have (RFC 9110, 8.4.1; RFC 8878). No coding is "".
const (
	Gzip = "gzip"
	Zstd = "zstd"
)

// Codings are all of them, the better one first.
var Codings = []string{Zstd, Gzip}

const (
	leastEncoded = 1 << 10  // bytes of an answer that is worth the work
	leastTagged  = 16 << 10 // of one with a tag, which is another in a coding: a record's is its revision, as far as that goes
	encodedPiece = 32 << 10 // of an answer that is longer this much is kept at a time
	mostEncoders = 64       // at work at once; each has less than 1 MB
	zstdWindow   = 128 << 10
	authRoot     = "/api/auth/"
)

// Coding is the content coding that a client likes best of those there are (RFC 9110, 12.5.3); "": none. Of what it likes equally the
// better one is taken. * stands for gzip, which every client knows that knows any.
func Coding(r *http.Request) string {
	coding, _ := negotiate(r.Header["Accept-Encoding"])
	return coding
}

// negotiate says too whether the client refuses an answer without a coding.
func negotiate(lines []string) (coding string, refusesNone bool) {
	const unsaid = -1
	zstd, gzip, none, others := unsaid, unsaid, unsaid, unsaid
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			name = strings.TrimSpace(name)
			switch q := weight(params); {
			case strings.EqualFold(name, Zstd):
				zstd = q
			case strings.EqualFold(name, Gzip), strings.EqualFold(name, "x-gzip"):
				gzip = q
			case strings.EqualFold(name, "identity"):
				none = q
			case name == "*":
				others = q
			}
		}
	}
	if gzip == unsaid {
		gzip = others
	}
	refusesNone = none == 0 || none == unsaid && others == 0
	switch best := max(zstd, gzip); {
	case best <= 0 || none > best:
		return "", refusesNone
	case zstd == best:
		return Zstd, refusesNone
	}
	return Gzip, refusesNone
}

// weight reads q in thousandths (RFC 9110, 12.4.2). One that is none refuses.
func weight(params string) int {
	name, value, there := strings.Cut(params, "=")
	if !there || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return 1000
	}
	whole, part, _ := strings.Cut(strings.TrimSpace(value), ".")
	if len(whole) != 1 || len(part) > 3 || strings.Trim(part, "0123456789") != "" {
		return 0
	}
	n, err := strconv.Atoi(whole + part + "000"[len(part):])
	if err != nil || n > 1000 {
		return 0
	}
	return n
}

// Compressible says whether a content type is of what becomes shorter.
func Compressible(kind string) bool {
	return strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "text/event-stream") || strings.Contains(kind, "json") || strings.Contains(kind, "xml") ||
		strings.Contains(kind, "javascript") || strings.HasPrefix(kind, "application/wasm")
}

var (
	byCaller    = []string{"Authorization, Cookie"}
	byCoding    = []string{"Accept-Encoding"}
	byBoth      = []string{"Authorization, Cookie", "Accept-Encoding"}
	privately   = []string{"private, no-cache"}
	gzipped     = []string{Gzip}
	zstdEncoded = []string{Zstd}
)

// Personal marks an answer as the caller's own.
func Personal(h http.Header) {
	h["Cache-Control"] = privately
	if old := h["Vary"]; len(old) > 0 {
		h["Vary"] = append(old[:len(old):len(old)], byCaller[0])
		return
	}
	h["Vary"] = byCaller
}

// encodes says how an answer of so many bytes is encoded for a client, and marks what depends on that. Its headers are set already.
func encodes(h http.Header, r *http.Request, kind []string, size int) (coding string) {
	asked, least := r.Header["Accept-Encoding"], leastEncoded
	if len(h["Etag"]) > 0 {
		least = leastTagged
	}
	if size < least && !weighed(asked) {
		return ""
	}
	if len(kind) == 0 || !Compressible(kind[0]) || len(h["Content-Encoding"]) > 0 || guessable(h, r) ||
		len(h["Etag"]) > 0 && r.Method != http.MethodGet && r.Method != http.MethodHead { // a write tells the tag of the record, not of its answer
		return ""
	}
	coding, refusesNone := negotiate(asked)
	if size < least && !refusesNone {
		return ""
	}
	switch old := h["Vary"]; {
	case len(old) == 0:
		h["Vary"] = byCoding
	case len(old) == 1 && old[0] == byCaller[0]:
		h["Vary"] = byBoth
	default:
		h["Vary"] = append(old[:len(old):len(old)], byCoding[0])
	}
	return coding
}

// weighed says whether a client has more to say of codings than that it knows some.
func weighed(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.IndexByte(line, ';') >= 0 })
}

// guessable says whether an answer may hold a secret beside what somebody else has chosen, who could then guess the secret by the
// answer's length (BREACH, CVE-2013-3587): credentials, what nobody may keep, and what another site's page asks for with the user's cookie.
func guessable(h http.Header, r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, authRoot) || len(h["Set-Cookie"]) > 0 {
		return true
	}
	if kept := h["Cache-Control"]; len(kept) > 0 && strings.Contains(kept[0], noStore[0]) {
		return true
	}
	if len(r.Header["Cookie"]) == 0 || len(r.Header["Authorization"]) > 0 || len(h["Access-Control-Allow-Credentials"]) > 0 {
		return false
	}
	from := r.Header["Sec-Fetch-Site"]
	return len(from) != 1 || from[0] != "same-origin" && from[0] != "none"
}

// NotModified answers 304 in place of an answer in JSON of so many bytes, whose tag is set. Each coding has a tag of its own (RFC 9110,
// 8.8.3.3): the one that is told is one that the client has, or else the one that it would get.
func NotModified(w http.ResponseWriter, r *http.Request, size int) {
	h := w.Header()
	tag := h.Get("Etag")
	coding := encodes(h, r, jsonType, size)
	for _, c := range []string{coding, "", Zstd, Gzip} {
		if own := TagOf(tag, c); slices.ContainsFunc(r.Header["If-None-Match"], func(line string) bool { return strings.Contains(line, own) }) {
			coding = c
			break
		}
	}
	if coding != "" {
		h["Etag"] = []string{TagOf(tag, coding)}
	}
	w.WriteHeader(http.StatusNotModified)
}

// TagOf is the entity tag of what has this one, in a coding: "3" and "3-gzip".
func TagOf(tag, coding string) string {
	if coding == "" {
		return tag
	}
	return strings.TrimSuffix(tag, `"`) + "-" + coding + `"`
}

// untagged is an opaque tag without its coding.
func untagged(tag string) string {
	for _, c := range Codings {
		if plain, ok := strings.CutSuffix(tag, "-"+c); ok {
			return plain
		}
	}
	return tag
}

// encoder is what makes a coding, used again and again.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Encoders that have been used.
var (
	gzips, zstds sync.Pool
	encoding     atomic.Int64 // those at work
)

func poolOf(coding string) *sync.Pool {
	if coding == Zstd {
		return &zstds
	}
	return &gzips
}

func newEncoder(coding string) encoder {
	if coding == Zstd {
		z, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false)) // fails for options out of their bounds
		return z
	}
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for levels that there are not
	return z
}

// writeEncoded answers with a body in a coding; false: nothing was done, for too many are encoded already. A long one is on its way while it is encoded.
func writeEncoded(w http.ResponseWriter, r *http.Request, status int, body []byte, coding string) bool {
	if r.Method != http.MethodHead {
		defer encoding.Add(-1)
		if encoding.Add(1) > mostEncoders {
			return false
		}
	}
	h := w.Header()
	h["Content-Encoding"] = gzipped
	if coding == Zstd {
		h["Content-Encoding"] = zstdEncoded
	}
	if tag := h["Etag"]; len(tag) > 0 {
		h["Etag"] = []string{TagOf(tag[0], coding)}
	}
	if r.Method == http.MethodHead { // how long it would be is not known
		w.WriteHeader(status)
		return true
	}
	out := &pieces{w: w, status: status, buf: Borrow()}
	defer out.buf.Return()
	pool := poolOf(coding)
	z, used := pool.Get().(encoder)
	if !used {
		z = newEncoder(coding)
	}
	z.Reset(out)
	_, err := z.Write(body)
	if err == nil {
		err = z.Close()
	}
	z.Reset(nil)
	pool.Put(z)
	if err == nil { // else the client has gone
		out.end()
	}
	return true
}

// pieces sends what is written to it a piece at a time; what is no longer than one has its length in the header.
type pieces struct {
	w      http.ResponseWriter
	status int
	buf    *Buffer
	begun  bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if len(p.buf.B)+len(b) > encodedPiece {
		if err := p.send(); err != nil {
			return 0, err
		}
	}
	p.buf.B = append(p.buf.B, b...)
	return len(b), nil
}

// send sends what there is. It may wait for the client.
func (p *pieces) send() error {
	if !p.begun {
		p.begun = true
		p.w.WriteHeader(p.status)
	}
	_, err := p.w.Write(p.buf.B)
	p.buf.B = p.buf.B[:0]
	return err
}

func (p *pieces) end() {
	if p.begun {
		_ = p.send() // a client that has gone is nobody's error
		return
	}
	if len(p.buf.B) >= 2048 { // a shorter one has its length by net/http
		p.w.Header()["Content-Length"] = []string{strconv.Itoa(len(p.buf.B))}
	}
	p.w.WriteHeader(p.status)
	writeWhole(p.w, p.buf.B)
}

// Pack encodes what is kept and sent many times: as short as it gets in a reasonable time.
func Pack(to io.Writer, from io.Reader, coding string) error {
	var z encoder
	var err error
	if coding == Zstd {
		z, err = zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	} else {
		z, err = gzip.NewWriterLevel(to, gzip.DefaultCompression)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(z, from)
	return errors.Join(err, z.Close())
}
