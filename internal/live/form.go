package live

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// form is how events are written down for a client: as server-sent events, or as frames of a WebSocket. What is written down
// is the same for all clients of a form.
type form interface {
	// open begins an event: what it tells is appended behind it, and close ends it. from is where it began.
	open(dst []byte, e head) []byte
	close(dst []byte, from int, e head) []byte
	// whole is how many of the first bytes are whole events: at most limit, or one event.
	whole(b []byte, limit int) int
	heartbeat() []byte
	greeting() []byte // before all events
	farewell() []byte // behind all events
	mark() byte       // tells forms apart
}

// head is an event without what it tells.
type head struct {
	kind  string
	id    place
	hasID bool
	sub   subscription
	name  string // what it tells is called, where it does not stand alone; "": it is members of an object, without braces
}

// sse is the form of WHATWG's HTML standard, "Server-sent events". JSON has no line ends.
type sse struct{}

func (sse) open(dst []byte, e head) []byte {
	dst = append(append(dst, "event: "...), e.kind...)
	switch {
	case e.hasID:
		dst = e.id.append(append(dst, "\nid: "...))
	case e.kind == "resync": // its id is empty: what comes back by itself does not name an old one
		dst = append(dst, "\nid"...)
	}
	dst = append(dst, "\ndata: "...)
	switch {
	case e.name == "":
		dst = append(dst, '{')
		if e.sub != alone {
			dst = append(strconv.AppendInt(append(dst, `"subscription":`...), int64(e.sub), 10), ',')
		}
	case e.sub != alone:
		dst = strconv.AppendInt(append(dst, `{"subscription":`...), int64(e.sub), 10)
		dst = append(append(append(dst, `,"`...), e.name...), `":`...)
	}
	return dst
}

func (sse) close(dst []byte, _ int, e head) []byte {
	if e.name == "" || e.sub != alone {
		dst = append(dst, '}')
	}
	return append(dst, "\n\n"...)
}

func (sse) whole(b []byte, limit int) int {
	if len(b) <= limit {
		return len(b)
	}
	if i := bytes.LastIndex(b[:limit], []byte("\n\n")); i >= 0 {
		return i + 2
	}
	if i := bytes.Index(b, []byte("\n\n")); i >= 0 {
		return i + 2
	}
	return len(b)
}

// Those who lost their connection together do not come back at the same moment.
func (sse) greeting() []byte { return fmt.Appendf(nil, "retry: %d\n\n", 1000+rand.IntN(2000)) }

func (sse) heartbeat() []byte { return comment }
func (sse) farewell() []byte  { return nil }
func (sse) mark() byte        { return 's' }

var comment = []byte(":\n\n")

// frames is the form of a WebSocket: an event is one text frame (frame.go) with a JSON object.
type frames struct{}

func (frames) open(dst []byte, e head) []byte {
	dst = append(dst, make([]byte, mostHeader)...)
	dst = append(append(append(dst, `{"event":"`...), e.kind...), '"')
	if e.hasID {
		dst = append(e.id.append(append(dst, `,"id":"`...)), '"')
	}
	if e.sub != alone {
		dst = strconv.AppendInt(append(dst, `,"subscription":`...), int64(e.sub), 10)
	}
	dst = append(dst, ',')
	if e.name != "" {
		dst = append(append(append(dst, '"'), e.name...), `":`...)
	}
	return dst
}

func (frames) close(dst []byte, from int, _ head) []byte {
	dst = append(dst, '}')
	payload := dst[from+mostHeader:]
	header := appendHeader(dst[from:from], opText, len(payload))
	return append(dst[:from+len(header)], payload...) // moves it forward
}

func (frames) whole(b []byte, limit int) int {
	n := 0
	for n < len(b) {
		size := 2
		switch b[n+1] {
		case 126:
			size = 4 + int(binary.BigEndian.Uint16(b[n+2:]))
		case 127:
			size = 10 + int(binary.BigEndian.Uint64(b[n+2:]))
		default:
			size += int(b[n+1])
		}
		if n > 0 && n+size > limit {
			break
		}
		n += size
	}
	return n
}

func (frames) heartbeat() []byte { return pingFrame }
func (frames) greeting() []byte  { return nil }
func (frames) farewell() []byte  { return goodbye }
func (frames) mark() byte        { return 'w' }

var (
	pingFrame = appendHeader(nil, opPing, 0)
	goodbye   = closeFrame(statusGoingAway, "")
)
