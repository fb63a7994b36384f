package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// client is one keep-alive connection that speaks just enough HTTP/1.1 to be cheap: it
// shares the cores with the server that it measures.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// dial connects to the server: by TLS where it is a site of https.
func (s *site) dial() (*client, error) {
	c, err := dial(s.addr)
	if err != nil || s.tls == nil {
		return c, err
	}
	over := tls.Client(c.conn, s.tls)
	if err := over.Handshake(); err != nil {
		c.close()
		return nil, err
	}
	return &client{conn: over, in: bufio.NewReaderSize(over, 64<<10)}, nil
}

func (c *client) close() { c.conn.Close() }

// ask sends a whole request and reads the whole answer; the body is kept only if wanted.
func (c *client) ask(request []byte, keep bool) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	first, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(first) < 12 || !bytes.HasPrefix(first, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("not an answer: %q", first)
	}
	status = int(first[9]-'0')*100 + int(first[10]-'0')*10 + int(first[11]-'0')

	length, chunked := -1, false
	for {
		header, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		header = bytes.TrimRight(header, "\r\n")
		if len(header) == 0 {
			break
		}
		if value, ok := headerValue(header, "content-length:"); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, err
			}
		} else if value, ok := headerValue(header, "transfer-encoding:"); ok {
			chunked = string(value) == "chunked"
		}
	}
	switch {
	case chunked:
		body, err = c.readChunks(keep)
	case length > 0:
		body, err = c.readBytes(nil, length, keep)
	case length < 0 && status != http.StatusNoContent && status != http.StatusNotModified:
		err = errors.New("the answer does not say how long it is")
	}
	return status, body, err
}

func (c *client) readBytes(body []byte, n int, keep bool) ([]byte, error) {
	if !keep {
		_, err := c.in.Discard(n)
		return nil, err
	}
	at := len(body)
	body = append(body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, body[at:])
	return body, err
}

func (c *client) readChunks(keep bool) (body []byte, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return nil, err
		}
		if body, err = c.readBytes(body, int(n), keep); err != nil {
			return nil, err
		}
		if _, err = c.in.Discard(len("\r\n")); err != nil || n == 0 {
			return body, err
		}
	}
}

// headerValue compares the name without regard to case; name is in lower case.
func headerValue(header []byte, name string) ([]byte, bool) {
	if len(header) < len(name) || header[0]|0x20 != name[0] {
		return nil, false
	}
	if !bytes.EqualFold(header[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(header[len(name):]), true
}

func appendGet(b []byte, path, rest string) []byte {
	b = append(b, "GET "...)
	b = append(b, path...)
	b = append(b, rest...)
	return append(b, " HTTP/1.1\r\nHost: bench\r\n\r\n"...)
}

func appendSend(b []byte, method, path string, body []byte) []byte {
	b = fmt.Appendf(b, "%s %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		method, path, len(body))
	return append(b, body...)
}
