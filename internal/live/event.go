package live

import (
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// place is where a client is in the log: behind a position, which is that of the last change of a transaction, and behind some of
// the events of the next transaction.
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

// subscription is which of several lists of a stream an event is of; alone: there is one list only.
type subscription int

const alone subscription = -1

func appendID(dst []byte, id string) []byte {
	return append(doc.AppendString(append(dst, `{"id":`...), id), '}')
}

// ready says that what follows has happened behind a place.
func ready(f form, at place, sub subscription) []byte {
	e := head{kind: "ready", id: at, hasID: true, sub: sub}
	dst := append(f.open(nil, e), `"position":"`...)
	return f.close(append(at.append(dst), '"'), 0, e)
}

// Why a client begins anew.
const (
	rightsChanged = "your rights have changed"
	tooMuch       = "one transaction has changed too much of it"
)

// resync tells a client to begin anew.
func resync(f form, sub subscription, reason string) []byte {
	e := head{kind: "resync", sub: sub}
	return f.close(doc.AppendString(append(f.open(nil, e), `"reason":`...), reason), 0, e)
}
