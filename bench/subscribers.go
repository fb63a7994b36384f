package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// subscribers are the streams of one list, and the posts that are written for them to be told of. Each post says its
// number in its title; every subscriber must be told of each of them once.
type subscribers struct {
	site    *site
	streams []*stream
	polls   []*poll
	reading sync.WaitGroup
	failed  chan error // the first error of a stream

	told    []told // by number
	numbers atomic.Int64
	took    [][]float64 // by poll, the milliseconds from each write to each of its events
}

// told is what is known of one write.
type told struct {
	sent atomic.Int64 // ns since 1970
	left atomic.Int32 // subscribers that were not told yet
	all  chan struct{}
}

const (
	mostWrites = 1 << 17
	toBeTold   = 20 * time.Second // until the last subscriber must have been told of a write
)

func newSubscribers(s *site) (*subscribers, error) {
	subs := &subscribers{site: s, failed: make(chan error, 1), told: make([]told, mostWrites)}
	for range runtime.GOMAXPROCS(0) {
		p, err := newPoll()
		if err != nil {
			subs.close()
			return nil, err
		}
		subs.polls = append(subs.polls, p)
	}
	subs.took = make([][]float64, len(subs.polls))
	return subs, nil
}

// open connects subscribers until there are count of them. Nobody writes meanwhile.
func (subs *subscribers) open(ctx context.Context, count int) error {
	for len(subs.streams) < count && ctx.Err() == nil {
		st, err := subs.site.subscribe()
		if err != nil {
			return fmt.Errorf("%s: subscriber %d: %w", subs.site.name, len(subs.streams)+1, err)
		}
		st.sum = subs.sum() // of writes before it came
		st.count = int(subs.numbers.Load())
		subs.streams = append(subs.streams, st)
	}
	return ctx.Err()
}

// subscribe opens one stream and reads its first event.
func (s *site) subscribe() (*stream, error) {
	fd, err := dialRaw(s.addr)
	if err != nil {
		return nil, err
	}
	st := &stream{fd: fd}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n", s.api.live)
	if _, err = writeRaw(fd, []byte(request)); err == nil {
		err = st.begin()
	}
	if err == nil && s.api.subscribe != nil {
		_, err = s.send(http.MethodPost, s.api.live, s.api.subscribe(st.first), http.StatusNoContent)
	}
	if err == nil {
		err = setNonblock(fd)
	}
	if err != nil {
		closeRaw(fd)
		return nil, err
	}
	return st, nil
}

func (s *stream) begin() error {
	b := make([]byte, 4<<10)
	for s.first == nil {
		n, err := readRaw(s.fd, b)
		if err == nil && n == 0 {
			err = errEnded
		}
		if err == nil {
			err = s.feed(b[:n], func(_, data []byte) error {
				s.first = bytes.Clone(data)
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("no first event: %w", err)
		}
	}
	return nil
}

// read begins to read what the streams tell, each poll some of them.
func (subs *subscribers) read() error {
	for i, st := range subs.streams {
		if err := subs.polls[i%len(subs.polls)].add(st.fd, i); err != nil {
			return err
		}
	}
	for i, p := range subs.polls {
		subs.reading.Go(func() {
			err := p.read(func(n int) int { return subs.streams[n].fd }, func(n int, b []byte) error {
				st, now := subs.streams[n], time.Now().UnixNano()
				err := st.feed(b, func(name, data []byte) error { return subs.tell(st, i, now, name, data) })
				if err != nil {
					err = fmt.Errorf("%s: subscriber %d: %w", subs.site.name, n+1, err)
				}
				return err
			})
			if err != nil {
				subs.fail(err)
			}
		})
	}
	return nil
}

func (subs *subscribers) fail(err error) {
	select {
	case subs.failed <- err:
	default:
	}
}

// tell notes an event that a stream of poll i has got.
func (subs *subscribers) tell(st *stream, i int, now int64, name, data []byte) error {
	n, ok := liveNumber(data)
	if !ok {
		if string(name) == "resync" {
			return fmt.Errorf("is told to begin anew: %s", data)
		}
		return nil
	}
	if n >= subs.numbers.Load() {
		return fmt.Errorf("is told of write %d, which was not sent", n)
	}
	st.count++
	st.sum += int(n)
	t := &subs.told[n]
	subs.took[i] = append(subs.took[i], float64(now-t.sent.Load())/1e6)
	if t.left.Add(-1) == 0 {
		close(t.all)
	}
	return nil
}

var liveTitle = []byte(`"title":"Live `)

// liveNumber is the number of the write that an event tells of.
func liveNumber(data []byte) (int64, bool) {
	_, rest, found := bytes.Cut(data, liveTitle)
	if !found {
		return 0, false
	}
	digits, _, found := bytes.Cut(rest, []byte(`"`))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, found && err == nil
}

// write creates the next post, as at a time (zero: now), and gives what comes of it.
func (subs *subscribers) write(c *client, at time.Time) (*told, error) {
	n := int(subs.numbers.Add(1) - 1)
	if n >= mostWrites {
		return nil, errors.New("too many writes for one run: make -seconds shorter")
	}
	s, t := subs.site, &subs.told[n]
	p := s.post(s.posts + n)
	p.Title = fmt.Sprintf("Live %d", n)
	request := appendSend(nil, http.MethodPost, s.api.posts, p.json())
	if at.IsZero() {
		at = time.Now()
	}
	t.all = make(chan struct{})
	t.left.Store(int32(len(subs.streams)))
	t.sent.Store(at.UnixNano())
	status, _, err := c.ask(request, false)
	if err == nil && status != s.api.created {
		err = fmt.Errorf("status %d instead of %d for a post", status, s.api.created)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return t, nil
}

// await waits until everybody was told of a write.
func (subs *subscribers) await(ctx context.Context, t *told) error {
	late := time.NewTimer(toBeTold)
	defer late.Stop()
	select {
	case <-t.all:
		return nil
	case err := <-subs.failed:
		subs.fail(err)
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("%s: after %v %d of %d subscribers were not told of a write", subs.site.name, toBeTold, t.left.Load(), len(subs.streams))
	}
}

func (subs *subscribers) sum() int {
	n := int(subs.numbers.Load())
	return n * (n - 1) / 2
}

// check makes sure that each subscriber was told of each write, and of none twice. Everybody was told of the last.
func (subs *subscribers) check() error {
	count, sum := int(subs.numbers.Load()), subs.sum()
	for i, st := range subs.streams {
		if st.count != count || st.sum != sum {
			return fmt.Errorf("%s: subscriber %d was told %d times of %d writes (their numbers sum up to %d, not %d)", subs.site.name, i+1, st.count, count, st.sum, sum)
		}
	}
	return nil
}

func (subs *subscribers) close() {
	for _, p := range subs.polls {
		p.close()
	}
	subs.reading.Wait()
	for _, st := range subs.streams {
		closeRaw(st.fd)
	}
}
