package web

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
)

// Buffer is a byte slice that is used again: Borrow one, append to B, Return it when nothing
// refers to B any more.
type Buffer struct{ B []byte }

var buffers = sync.Pool{New: func() any { return &Buffer{B: make([]byte, 0, 4<<10)} }}

// Borrow takes an empty buffer.
func Borrow() *Buffer { return buffers.Get().(*Buffer) }

// Return gives the buffer back. A very large one is left to the garbage collector.
func (b *Buffer) Return() {
	if cap(b.B) <= 1<<20 {
		b.B = b.B[:0]
		buffers.Put(b)
	}
}

var jsonType = []string{"application/json"}

// JSON answers with a JSON body, as Write does.
func JSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	Write(w, r, status, body)
}

// Write answers with a body, in one write unless it is encoded (Coding). The headers are set already.
func Write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	if n := int64(len(body)); n >= largeAnswer {
		who := clientOf(r)
		defer held.give(who, n)
		if !held.take(who, n) {
			delete(w.Header(), "Etag")
			if rec := recorderOf(w); rec != nil {
				rec.shed = true
			}
			Problem(w, r, &fault.Error{Kind: fault.Unavailable, Msg: "too many large answers wait for their clients: ask for less, or later", After: 5 * time.Second})
			return
		}
	}
	if coding := encodes(w.Header(), r, w.Header()["Content-Type"], len(body)); coding != "" && writeEncoded(w, r, status, body, coding) {
		return
	}
	// net/http adds the length of a short body by itself, without an allocation, unless it is HEAD's.
	if len(body) >= 2048 || r.Method == http.MethodHead {
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		writeWhole(w, body)
	}
}

// writeWhole writes all of an answer.
func writeWhole(w http.ResponseWriter, body []byte) {
	if rec, ok := w.(*recorder); ok {
		rec.whole(body)
		return
	}
	_, _ = w.Write(body) // a client that has gone is nobody's error
}

// RequestID is the id of the request that w answers: 26 characters that sort by time. It is made
// when it is first asked for, never taken from the client.
func RequestID(w http.ResponseWriter) string {
	rec := recorderOf(w)
	if rec == nil {
		return newID()
	}
	if rec.id == "" {
		rec.id = newID()
	}
	return rec.id
}

// logOf is where the guard before w logs.
func logOf(w http.ResponseWriter) *slog.Logger {
	if rec := recorderOf(w); rec != nil {
		return rec.log
	}
	return slog.Default()
}

// recorderOf finds the guard's recorder behind w; nil when no guard stands before the door.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		switch v := w.(type) {
		case *recorder:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newID is a ULID: 48 bits of milliseconds and 80 random ones. It is a name, not a secret.
func newID() string {
	var b [26]byte
	ms := uint64(time.Now().UnixMilli())
	for i := 9; i >= 0; i-- {
		b[i] = crockford[ms&31]
		ms >>= 5
	}
	high, low := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		b[10+i] = crockford[high>>(5*i)&31]
		b[18+i] = crockford[low>>(5*i)&31]
	}
	return string(b[:])
}
