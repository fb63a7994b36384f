package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// site is a running server with its data.
type site struct {
	peer
	name   string // of the peer, or of the peer and its size
	dir    string
	addr   string
	tls    *tls.Config // of an address of https; else nil
	cmd    *exec.Cmd
	ended  chan error
	client *client // for loading and checking

	authors []string
	posts   int
	postID  func(n int) string
	deep    []string // paths of pages deep in the list, for -growth
}

// openSite prepares a data folder, starts the server on it and waits for its first answer.
func openSite(ctx context.Context, p peer, dir string) (*site, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if p.prepare != nil {
		if err := p.prepare(dir); err != nil {
			return nil, err
		}
	}
	s := &site{peer: p, name: p.name, dir: dir}
	err := s.start(ctx)
	if err == nil && p.model != nil {
		err = p.model(ctx, s)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *site) start(ctx context.Context) error {
	_, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.client, err = dial(s.addr)
	return err
}

// patience is how long a server may take to start; Directus makes its own tables then.
const patience = 2 * time.Minute

// launch starts the process and returns the time from there to its first good answer.
func (s *site) launch(ctx context.Context) (time.Duration, error) {
	addr, err := freeAddress()
	if err != nil {
		return 0, err
	}
	logs, err := os.OpenFile(filepath.Join(s.dir, "bench.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer logs.Close()
	s.addr = addr
	s.cmd = s.command(s.dir, addr)
	s.cmd.Stdout, s.cmd.Stderr = logs, logs

	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.cmd.Wait() }()
	for {
		if s.answers() {
			return time.Since(began), nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return 0, fmt.Errorf("%s ended at its start: %w\n%s", s.name, err, s.lastLog())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Microsecond):
		}
		if time.Since(began) > patience {
			return 0, fmt.Errorf("%s does not answer\n%s", s.name, s.lastLog())
		}
	}
}

func (s *site) answers() bool {
	c, err := dial(s.addr)
	if err != nil {
		return false
	}
	defer c.close()
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	status, _, err := c.ask(appendGet(nil, s.api.ready, ""), false)
	return err == nil && status/100 == 2
}

func (s *site) stop() {
	if s.client != nil {
		s.client.close()
		s.client = nil
	}
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

func stopAll(sites []*site) {
	for _, s := range sites {
		s.stop()
	}
}

func (s *site) lastLog() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "bench.log"))
	return string(b[max(0, len(b)-2000):])
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// post is the post number n with the author's id on this server.
func (s *site) post(n int) post { return seedPost(n, s.authors[authorOf(n)]) }

// load creates the authors and posts over HTTP, so that every server fills its own tables.
func (s *site) load(posts int) error {
	if err := s.loadAuthors(); err != nil {
		return err
	}
	ids, err := s.createAll("posts", posts, func(n int) []byte { return s.post(n).json() })
	s.posts = posts
	s.postID = func(n int) string { return ids[n] }
	return err
}

func (s *site) loadAuthors() (err error) {
	s.authors, err = s.createAll("authors", authorCount, func(n int) []byte {
		b, _ := json.Marshal(seedAuthor(n))
		return b
	})
	return err
}

func (s *site) createAll(collection string, count int, body func(n int) []byte) ([]string, error) {
	var ids []string
	for len(ids) < count {
		var bodies [][]byte
		for len(bodies) < 500 && len(ids)+len(bodies) < count {
			bodies = append(bodies, body(len(ids)+len(bodies)))
		}
		answer, err := s.send(http.MethodPost, s.api.batched(collection), s.api.batch(collection, bodies), http.StatusOK)
		if err != nil {
			return nil, err
		}
		records, err := s.api.results(answer)
		if err == nil && len(records) != len(bodies) {
			err = errors.New("a batch answered with too few results")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		for _, r := range records {
			var record struct{ ID string }
			if err := json.Unmarshal(r, &record); err != nil || record.ID == "" {
				return nil, fmt.Errorf("%s: a created record has no id: %.200s", s.name, r)
			}
			ids = append(ids, record.ID)
		}
	}
	return ids, nil
}

func (s *site) get(path string) ([]byte, error) {
	return s.answer(appendGet(nil, path, ""), http.StatusOK)
}

func (s *site) send(method, path string, body []byte, want int) ([]byte, error) {
	return s.answer(appendSend(nil, method, path, body), want)
}

func (s *site) answer(request []byte, want int) ([]byte, error) {
	status, body, err := s.client.ask(request, true)
	if err == nil && status != want {
		first, _, _ := bytes.Cut(request, []byte("\r\n"))
		err = fmt.Errorf("%s: status %d instead of %d: %.500s", first, status, want, body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return body, nil
}
