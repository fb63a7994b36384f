package web

import (
	"io"
	"net/http"
	"time"
)

// A client must take each piece of a long answer in this time, so that one who reads slowly, or not
// at all, cannot hold a connection for ever.
const (
	piece     = 128 << 10
	pieceTime = time.Minute
)

// Paced is w with a write deadline that moves on as the client takes the answer, in place of the one
// for the whole of it: a file may take as long as it needs, at no less than about 2 KB a second.
func Paced(w http.ResponseWriter) http.ResponseWriter {
	return &paced{ResponseWriter: w, piece: piece, time: pieceTime}
}

type paced struct {
	http.ResponseWriter
	piece int64
	time  time.Duration
}

func (w *paced) move() {
	// A writer without deadlines, as in a test, has no connection that could be held.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.time))
}

func (w *paced) WriteHeader(status int) {
	w.move()
	w.ResponseWriter.WriteHeader(status)
}

func (w *paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		w.move()
		var m int
		m, err = w.ResponseWriter.Write(b[:min(int64(len(b)), w.piece)])
		n, b = n+m, b[m:]
	}
	return n, err
}

// ReadFrom lets a file go from disk to network without a copy, a piece at a time.
func (w *paced) ReadFrom(r io.Reader) (n int64, err error) {
	whole, limited := r.(*io.LimitedReader)
	if limited {
		r = whole.R // the system sends from a file through one limit, not through two
	}
	for {
		part := &io.LimitedReader{R: r, N: w.piece}
		if limited {
			part.N = min(part.N, whole.N)
		}
		size := part.N
		if size == 0 {
			return n, nil
		}
		w.move()
		m, err := io.Copy(w.ResponseWriter, part)
		n += m
		if limited {
			whole.N -= m
		}
		if err != nil || m < size {
			return n, err
		}
	}
}

func (w *paced) Unwrap() http.ResponseWriter { return w.ResponseWriter }
