package test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// door is a way to a database server that counts the statements which go through it. When one is the last it is
// closed: that statement and whatever comes after it does not reach the server.
type door struct {
	last   int64 // no statement has this number when nothing is cut
	closed func()
	seen   atomic.Int64
	once   sync.Once
	next   func(*bufio.Reader) (message []byte, statement bool, err error) // reads what a client says
	hello  func(*bufio.Reader) ([]byte, error)                             // reads what it says first
}

// cut opens a door to the server of a database, and gives the database's address through it.
func cut(t *testing.T, db string, last int64, closed func()) (*door, string) {
	t.Helper()
	d := &door{last: last, closed: closed}
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cut-") // a path to a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	q := u.Query()
	var there, here string
	switch u.Scheme {
	case "postgres":
		const name = ".s.PGSQL.5432"
		there, here = filepath.Join(q.Get("host"), name), filepath.Join(dir, name)
		q.Set("host", dir)
		d.hello, d.next = postgresHello, postgresMessage
	case "mysql":
		there, here = q.Get("socket"), filepath.Join(dir, "socket")
		q.Set("socket", here)
		d.hello, d.next = func(*bufio.Reader) ([]byte, error) { return nil, nil }, mysqlPacket
	}
	u.RawQuery = q.Encode()
	listener, err := net.Listen("unix", here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go d.pass(client, there)
		}
	}()
	return d, u.String()
}

// pass is one connection.
func (d *door) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("unix", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	in := bufio.NewReader(client)
	message, err := d.hello(in)
	for err == nil {
		if _, err = server.Write(message); err != nil {
			return
		}
		var statement bool
		if message, statement, err = d.next(in); statement && d.seen.Add(1) >= d.last {
			d.once.Do(d.closed)
			return
		}
	}
}

// postgresHello reads the message that has no type (PostgreSQL's manual, "Message Formats").
func postgresHello(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(4)
	if err != nil {
		return nil, err
	}
	return whole(in, int(binary.BigEndian.Uint32(head)))
}

// postgresMessage: a statement is a Query or an Execute.
func postgresMessage(in *bufio.Reader) ([]byte, bool, error) {
	head, err := in.Peek(5)
	if err != nil {
		return nil, false, err
	}
	statement := head[0] == 'Q' || head[0] == 'E'
	message, err := whole(in, 1+int(binary.BigEndian.Uint32(head[1:])))
	return message, statement, err
}

// mysqlPacket: a statement is a COM_QUERY or a COM_STMT_EXECUTE, which begin an exchange (MariaDB's manual, "0 - Packet").
func mysqlPacket(in *bufio.Reader) ([]byte, bool, error) {
	head, err := in.Peek(4)
	if err != nil {
		return nil, false, err
	}
	packet, err := whole(in, 4+(int(head[0])|int(head[1])<<8|int(head[2])<<16))
	statement := err == nil && packet[3] == 0 && len(packet) > 4 && (packet[4] == 0x03 || packet[4] == 0x17)
	return packet, statement, err
}

var errShort = errors.New("a message is shorter than its head")

func whole(in *bufio.Reader, size int) ([]byte, error) {
	if size < 4 {
		return nil, errShort
	}
	message := make([]byte, size)
	_, err := io.ReadFull(in, message)
	return message, err
}
