//go:build unix

package postgres

import (
	"net"
	"testing"
	"time"
)

// TestQuiet: a connection is looked at without waiting for whoever reads from it.
func TestQuiet(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if !quiet(near) {
		t.Error("nothing was said")
	}
	read := make(chan error)
	go func() {
		_, err := near.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(10 * time.Millisecond)
	looked := make(chan bool)
	go func() { looked <- quiet(near) }()
	select {
	case still := <-looked:
		if !still {
			t.Error("nothing was said to the reader")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the reader")
	}
	far.Write([]byte("x"))
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	far.Write([]byte("x"))
	becomes := func(why string) {
		for end := time.Now().Add(10 * time.Second); quiet(near); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(why)
			}
		}
	}
	becomes("something was said")
	near.Read(make([]byte, 1))
	if !quiet(near) {
		t.Error("it was read")
	}
	far.Close()
	becomes("it is closed")
}
