package live

import (
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// place is where a client is in the log: behind a position, and behind some of the events of the next.
type place struct {
	data.Position
	events int
}

func (p place) append(dst []byte) []byte {
	dst = append(append(dst, p.Epoch...), '.')
	dst = strconv.AppendInt(dst, p.Number, 10)
	if p.events > 0 {
		dst = strconv.AppendInt(append(dst, '.'), int64(p.events), 10)
	}
	return dst
}

// readPlace is the reverse of append.
func readPlace(text string) (place, error) {
	position, events := text, ""
	if strings.Count(text, ".") == 2 {
		at := strings.LastIndexByte(text, '.')
		position, events = text[:at], text[at+1:]
	}
	p, err := data.ParsePosition(position)
	if err != nil || events == "" {
		return place{Position: p}, err
	}
	n, err := strconv.Atoi(events)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return place{p, n}, err
}

// The form of an event is that of WHATWG's HTML standard, "Server-sent events". JSON has no line ends.

// eventOf begins an event that has an id.
func eventOf(dst []byte, kind string, id place) []byte {
	dst = append(append(dst, "event: "...), kind...)
	dst = append(id.append(append(dst, "\nid: "...)), "\ndata: "...)
	return dst
}

// plainEvent begins an event without an id.
func plainEvent(dst []byte, kind string) []byte {
	return append(append(append(dst, "event: "...), kind...), "\ndata: "...)
}

// subscription is which of several lists of a stream an event is of; alone: there is one list only.
type subscription int

const alone subscription = -1

func (s subscription) open(dst []byte) []byte {
	if s == alone {
		return dst
	}
	dst = strconv.AppendInt(append(dst, `{"subscription":`...), int64(s), 10)
	return append(dst, `,"record":`...)
}

func (s subscription) close(dst []byte) []byte {
	if s != alone {
		dst = append(dst, '}')
	}
	return append(dst, "\n\n"...)
}

func appendID(dst []byte, id string) []byte {
	return append(doc.AppendString(append(dst, `{"id":`...), id), '}')
}

// heartbeat is a comment.
var heartbeat = []byte(":\n\n")

var rightsChanged = resync("your rights have changed")

// resync tells a client to begin anew. Its id is empty: what comes back by itself does not name an old one.
func resync(reason string) []byte {
	dst := append([]byte("event: resync\nid\ndata: "), `{"reason":`...)
	return append(doc.AppendString(dst, reason), "}\n\n"...)
}
