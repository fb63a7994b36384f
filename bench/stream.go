package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// stream reads the answer that one subscriber gets, in whatever pieces it comes: its head, its chunks where it has
// them, and the events (WHATWG's HTML standard, "Server-sent events", as far as the servers use it).
type stream struct {
	fd      int
	part    part
	chunked bool
	left    int    // bytes of the chunk that are still to come
	frame   []byte // the beginning of a line of the head, or of one between chunks
	line    []byte // the beginning of a line of an event
	name    []byte
	data    []byte

	first []byte // the data of the first event
	count int    // events of writes that it was told
	sum   int    // of their numbers
}

// part of an answer.
type part uint8

const (
	statusLine part = iota
	headers
	chunkSize
	chunk
	plain
)

var errEnded = errors.New("the stream has ended")

// feed reads the next bytes and tells each event that they complete.
func (s *stream) feed(b []byte, tell func(name, data []byte) error) error {
	for len(b) > 0 {
		if s.part == plain {
			return s.events(b, tell)
		}
		if s.part == chunk {
			n := min(len(b), s.left)
			if err := s.events(b[:n], tell); err != nil {
				return err
			}
			if b, s.left = b[n:], s.left-n; s.left == 0 {
				s.part = chunkSize
			}
			continue
		}
		line, rest, whole := cutLine(&s.frame, b)
		if b = rest; !whole {
			return nil
		}
		switch {
		case s.part == statusLine:
			if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("a stream is refused: %s", line)
			}
			s.part = headers
		case s.part == headers && len(line) > 0:
			value, ok := headerValue(line, "transfer-encoding:")
			s.chunked = s.chunked || ok && string(value) == "chunked"
		case s.part == headers:
			s.part = plain
			if s.chunked {
				s.part = chunkSize
			}
		case len(line) > 0: // an empty one ends the chunk before
			n, err := strconv.ParseInt(string(line), 16, 32)
			if err != nil {
				return err
			}
			if n == 0 {
				return errEnded
			}
			s.left, s.part = int(n), chunk
		}
	}
	return nil
}

func (s *stream) events(b []byte, tell func(name, data []byte) error) error {
	for len(b) > 0 {
		line, rest, whole := cutLine(&s.line, b)
		if b = rest; !whole {
			return nil
		}
		if value, ok := bytes.CutPrefix(line, []byte("event:")); ok {
			s.name = append(s.name[:0], bytes.TrimPrefix(value, []byte(" "))...)
		} else if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			s.data = append(s.data[:0], bytes.TrimPrefix(value, []byte(" "))...)
		} else if len(line) == 0 && len(s.data) > 0 {
			if err := tell(s.name, s.data); err != nil {
				return err
			}
			s.name, s.data = s.name[:0], s.data[:0]
		}
	}
	return nil
}

// cutLine takes a line from b without its end. What has no end yet is kept; a line lasts until the next call.
func cutLine(kept *[]byte, b []byte) (line, rest []byte, whole bool) {
	line, rest, whole = bytes.Cut(b, []byte("\n"))
	if !whole || len(*kept) > 0 {
		*kept = append(*kept, line...)
		line = *kept
	}
	if whole {
		*kept = (*kept)[:0]
	}
	return bytes.TrimSuffix(line, []byte("\r")), rest, whole
}
