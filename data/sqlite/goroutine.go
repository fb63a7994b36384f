package sqlite

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine is the number of the running goroutine, as a traceback prints it. The runtime tells it
// in no other way. It only serves to refuse what would wait for itself for ever.
func goroutine() int64 {
	var buf [64]byte
	head := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(head, []byte(" "))
	n, _ := strconv.ParseInt(string(number), 10, 64)
	return n
}
