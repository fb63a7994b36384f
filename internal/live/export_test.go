package live

import (
	"bufio"
	"bytes"
)

// ReadFrame reads one message of what a client has sent, and says how long it is.
func ReadFrame(b *[]byte) (n int, ok bool) {
	r := bytes.NewReader(*b)
	in := &inbound{r: bufio.NewReaderSize(r, 16), frame: func() error { return nil }, control: func([]byte) {}}
	text, err := in.next()
	*b = (*b)[len(*b)-r.Len():]
	return len(text), err == nil
}
