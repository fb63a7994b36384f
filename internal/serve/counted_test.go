package serve

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// pair is a connection of a server's and its client's end.
func pair(t *testing.T) (*counted, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{TCPConn: conn.(*net.TCPConn), free: func() {}}
	t.Cleanup(func() { _, _ = client.Close(), c.Close() })
	return c, client
}

// What an answer writes arrives in its order, be it little that is gathered or much that is not.
func TestGathered(t *testing.T) {
	for _, sizes := range [][]int{{}, {1}, {4096, 10_000}, {4096, 100_000, 7}, {20 << 10, 1}, {30_000}, {5, 30_000, 5}} {
		c, client := pair(t)
		var want []byte
		c.Gather()
		for i, n := range sizes {
			piece := bytes.Repeat([]byte{byte('a' + i)}, n)
			want = append(want, piece...)
			if wrote, err := c.Write(piece); wrote != n || err != nil {
				t.Fatalf("%v: %d %v", sizes, wrote, err)
			}
			if len(want) <= 20<<10 && (c.gathered == nil || len(*c.gathered) != len(want)) {
				t.Errorf("%v: piece %d is not kept", sizes, i)
			}
		}
		c.Send()
		if c.gathered != nil {
			t.Errorf("%v: something is kept for no answer", sizes)
		}
		last := []byte("the next answer")
		if _, err := c.Write(last); err != nil {
			t.Fatal(err)
		}
		want = append(want, last...)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes are others than what was written: %v", sizes, len(got), err)
		}
	}
}

// Behind an answer of which a part may be written no other may follow: a client would take it for the rest.
func TestGatheredIsBroken(t *testing.T) {
	c, _ := pair(t)
	c.Gather()
	if _, err := c.Write([]byte("the first answer")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	c.Send()
	_ = c.SetWriteDeadline(time.Time{})
	for range 2 {
		if n, err := c.Write([]byte("the next")); n != 0 || err == nil {
			t.Errorf("%d bytes of the next answer are written", n)
		}
	}
}
