package web

import (
	"io"
	"net/http"
	"time"
)

// A refusal does not wait for the whole body. What is left of it is read and thrown away behind the answer, within
// these bounds: a client that sends everything before it reads would find its connection reset, and never see
// the answer. (net/http reads on too, but at most 256 KB, and not where the connection is to be closed.)
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// sent is the body of a request, of which it is known how far it was read.
type sent struct {
	io.ReadCloser
	by           *recorder
	begun, ended bool
	bytes        int64
}

func (s *sent) Read(p []byte) (int, error) {
	s.by.pause()
	n, err := s.ReadCloser.Read(p)
	s.by.resume()
	s.bytes += int64(n)
	s.begun, s.ended = true, s.ended || err != nil
	return n, err
}

// linger reads what is left of the body of a request that was refused. A client that waits to be asked for
// its body (Expect) has sent none.
func (w *recorder) linger(r *http.Request) {
	if w.status < 400 || w.body.ReadCloser == nil || r.ProtoMajor != 1 || // HTTP/2 has a stream for each
		w.body.ended || !w.body.begun && r.Header.Get("Expect") != "" {
		return
	}
	c := http.NewResponseController(w.ResponseWriter)
	if c.SetReadDeadline(time.Now().Add(lingerTime)) != nil || c.Flush() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, &w.body, lingerBytes) // how it ends does not matter: the answer is given
}
