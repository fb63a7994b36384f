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
	begun, ended bool
	bytes        int64
}

func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.bytes += int64(n)
	s.begun, s.ended = true, s.ended || err != nil
	return n, err
}

// hasBody says whether a body follows the head on the same connection; HTTP/2 has streams of their own.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ProtoMajor == 1
}

// linger reads what is left of the body of a request that was refused. A client that waits to be asked for
// its body (Expect) has sent none.
func (w *recorder) linger(r *http.Request) {
	if w.status < 400 || w.body.ReadCloser == nil || w.body.ended || !w.body.begun && r.Header.Get("Expect") != "" {
		return
	}
	c := http.NewResponseController(w.ResponseWriter)
	if c.SetReadDeadline(time.Now().Add(lingerTime)) != nil || c.Flush() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, &w.body, lingerBytes) // how it ends does not matter: the answer is given
}
