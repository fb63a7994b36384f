package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// door passes messages of MongoDB's wire protocol on (MongoDB's manual, "MongoDB Wire Protocol"), commands that change
// documents one at a time in each collection.
type door struct {
	inside string

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by the name of a collection, in whichever database
}

func (d *door) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go d.pass(c)
	}
}

// pass serves one client. Each of its messages has one answer, which it waits for.
func (d *door) pass(out net.Conn) {
	defer out.Close()
	in, err := net.Dial("tcp", d.inside)
	if err != nil {
		return
	}
	defer in.Close()
	asks, answers := bufio.NewReader(out), bufio.NewReader(in)
	for {
		m, err := message(asks)
		if err != nil {
			return
		}
		ask := func(m []byte) ([]byte, error) {
			if _, err := in.Write(m); err != nil {
				return nil, err
			}
			return message(answers)
		}
		var lock *sync.Mutex
		if name := changes(m); name != "" {
			lock = d.lock(name)
			lock.Lock()
			m, err = narrowed(m, ask)
		}
		if err == nil {
			m, err = ask(m)
		}
		if lock != nil {
			lock.Unlock()
		}
		if err == nil {
			_, err = out.Write(m)
		}
		if err != nil {
			return
		}
	}
}

func (d *door) lock(name string) *sync.Mutex {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks == nil {
		d.locks = map[string]*sync.Mutex{}
	}
	if d.locks[name] == nil {
		d.locks[name] = &sync.Mutex{}
	}
	return d.locks[name]
}

// longest is more than any message may be.
const longest = 64 << 20

func message(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < 16 || n > longest {
		return nil, errors.New("this is no message")
	}
	m := make([]byte, n)
	_, err = io.ReadFull(r, m)
	return m, err
}

// changes is the collection of a command that changes documents; "" when it is another. A command is the first element of
// the first section of an OP_MSG, and its value is the name of the collection.
func changes(m []byte) string {
	const opMsg, begin = 2013, 16 + 4 + 1 + 4 + 1
	if binary.LittleEndian.Uint32(m[12:]) != opMsg || len(m) < begin {
		return ""
	}
	command, rest, ok := bytes.Cut(m[begin:], []byte{0})
	if !ok || len(rest) < 5 {
		return ""
	}
	switch string(command) {
	case "update", "delete", "findAndModify":
		name, _, _ := bytes.Cut(rest[4:], []byte{0})
		return string(name)
	}
	return ""
}
