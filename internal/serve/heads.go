package serve

import (
	"bytes"
	"net/http"
	"strconv"
	"sync/atomic"
)

// heads looks at what a client sends for what net/http takes but another server may read otherwise: lines that end with LF alone, folded
// fields, lengths that stand there twice, a length beside a coding, and a coding in HTTP/1.0 (RFC 9112, 2.2, 5.2, 6.1 and 6.3). A proxy that
// does so could be led to take the answer to one request for that to another. net/http has removed all trace of them when a handler is called.
//
// It changes nothing of what is read and refuses nothing itself: web.Guard asks (counted.Doubtful). It follows a connection as long as it knows
// where requests end, which it does until there are chunks: such a connection ends with its request (patient).
type heads struct {
	begun  bool  // the first line of a request has been read
	length bool  // a length has
	coding bool  // a coding has
	blind  bool  // it is not known any more where a request ends
	size   int64 // bytes of the body behind this head
	left   int64 // bytes of a body that are still to come

	line [64]byte // the beginning of a line that has not ended yet
	kept int      // bytes of it
	last byte     // the last byte of it, which may stand behind those

	found atomic.Uint32
}

const (
	doubt  = 1 << iota // a request is ambiguous
	coding             // a request has a coding, which HTTP/1.0 does not know
)

var (
	lengthField = []byte("content-length:")
	codingField = []byte("transfer-encoding:")
)

func (h *heads) read(b []byte) {
	for len(b) > 0 && !h.blind {
		if h.left > 0 {
			n := min(h.left, int64(len(b)))
			h.left, b = h.left-n, b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			h.keep(b)
			return
		}
		line, last := b[:end], byte(0)
		if end > 0 {
			last = b[end-1]
		}
		if h.kept > 0 {
			h.keep(line)
			line, last = h.line[:h.kept], h.last
			h.kept = 0
		}
		h.ended(line, last)
		b = b[end+1:]
	}
}

func (h *heads) keep(b []byte) {
	if len(b) > 0 {
		h.kept += copy(h.line[h.kept:], b)
		h.last = b[len(b)-1]
	}
}

// ended is told each line, without its LF: its beginning, or all of it, and its last byte.
func (h *heads) ended(line []byte, last byte) {
	long := len(line) >= len(h.line) // it may be cut off
	if last != '\r' {
		h.set(doubt)
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	switch {
	case !h.begun:
		h.begun = true
	case len(line) == 0:
		h.left, h.blind = h.size, h.coding
		h.begun, h.length, h.size = false, false, 0
	case line[0] == ' ' || line[0] == '\t':
		h.set(doubt)
	case named(line, lengthField):
		if h.length || h.coding || long { // nobody needs so many digits, or spaces before them
			h.set(doubt)
		}
		n, err := strconv.ParseUint(string(bytes.Trim(line[len(lengthField):], " \t")), 10, 63)
		h.length, h.size = true, int64(n)
		h.blind = h.blind || err != nil || long // net/http refuses the request, or Guard does
	case named(line, codingField):
		h.set(coding)
		if h.length {
			h.set(doubt)
		}
		h.coding = true
	}
}

func named(line, field []byte) bool {
	return len(line) >= len(field) && line[0]|0x20 == field[0] && bytes.EqualFold(line[:len(field)], field)
}

func (h *heads) set(what uint32) { h.found.Store(h.found.Load() | what) } // there is one who reads

// doubtful says whether a request is ambiguous, or one that its client has sent behind it already.
func (h *heads) doubtful(r *http.Request) bool {
	found := h.found.Load()
	return found&doubt != 0 || found&coding != 0 && !r.ProtoAtLeast(1, 1)
}
