package main

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// crowd are connections that ask at a rate of their own, whether the server keeps up or not; each waits for its answer
// before it asks again. One goroutine works for all: thousands, each woken for itself, would take a tenth of the
// cores from the server that is measured.
type crowd struct {
	poll    *poll
	pause   time.Duration // between looks; 0: whoever is due, or answered, is seen to at once
	clients []crowdClient
}

// crowdClient is one of them.
type crowdClient struct {
	fd     int
	dice   *rand.Rand
	answer answer
	due    time.Time // when it asks next
	sent   time.Time // zero: it waits for no answer
}

// crowdPatience is for the answers that are on their way when a crowd stops to ask.
const crowdPatience = 20 * time.Second

func newCrowd(addr string, n int) (*crowd, error) {
	p, err := newPoll()
	if err != nil {
		return nil, err
	}
	c := &crowd{poll: p}
	for i := range n {
		fd, err := dialRaw(addr)
		if err == nil {
			c.clients = append(c.clients, crowdClient{fd: fd, dice: rand.New(rand.NewPCG(uint64(i), 11))})
			err = errors.Join(setNonblock(fd), p.add(fd, i))
		}
		if err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *crowd) close() {
	c.poll.close()
	for i := range c.clients {
		closeRaw(c.clients[i].fd)
	}
}

// asked is what a crowd has seen.
type asked struct {
	asked, refused int
	took           []float64 // ms, of the answers that were as they should be
	time           time.Duration
}

func (a asked) rate(n int) float64 { return float64(n) / a.time.Seconds() }

func (a asked) at(share float64) float64 {
	if len(a.took) == 0 {
		return 0
	}
	slices.Sort(a.took)
	return a.took[int(share*float64(len(a.took)-1))]
}

// ask asks for a time, perSecond in all, and waits for the last answers.
func (c *crowd) ask(ctx context.Context, perSecond float64, d time.Duration, next requests) (all asked, err error) {
	each := time.Duration(float64(len(c.clients)) / perSecond * float64(time.Second))
	began := time.Now()
	over := began.Add(d)
	all.time = d
	var waiting dueClients
	for i := range c.clients {
		cl := &c.clients[i]
		cl.due = began.Add(time.Duration(cl.dice.Int64N(int64(each)))) // each keeps the moment that is his: else all would ask at once
		if cl.due.Before(over) {
			waiting = append(waiting, cl)
		}
	}
	heap.Init(&waiting)
	request, open := make([]byte, 0, 256), 0
	told := func(number int, b []byte) error {
		cl := &c.clients[number]
		ended, err := cl.answer.feed(b)
		if err != nil || !ended {
			return err
		}
		if cl.sent.IsZero() {
			return errors.New("an answer to no request")
		}
		now := time.Now()
		switch cl.answer.status {
		case http.StatusOK:
			all.took = append(all.took, float64(now.Sub(cl.sent))/1e6)
		case http.StatusServiceUnavailable:
			all.refused++
		default:
			return fmt.Errorf("status %d", cl.answer.status)
		}
		cl.answer, cl.sent = answer{line: cl.answer.line}, time.Time{}
		open--
		if cl.due = cl.due.Add(each); now.Sub(cl.due) > each { // what could not be asked in time is not asked at once
			cl.due = now
		}
		if cl.due.Before(over) {
			heap.Push(&waiting, cl)
		}
		return nil
	}
	fds := func(number int) int { return c.clients[number].fd }
	for len(waiting) > 0 || open > 0 {
		now := time.Now()
		if now.After(over) {
			if waiting = nil; open == 0 {
				break
			}
		}
		for len(waiting) > 0 && !waiting[0].due.After(now) {
			cl := heap.Pop(&waiting).(*crowdClient)
			request = next(request[:0], cl.dice)
			cl.sent = time.Now()
			if n, err := writeRaw(cl.fd, request); err != nil || n < len(request) {
				return all, fmt.Errorf("a crowd: %d of %d bytes of a request: %w", n, len(request), err)
			}
			all.asked++
			open++
		}
		until := over.Add(crowdPatience)
		if len(waiting) > 0 {
			until = waiting[0].due
		} else if now.After(until) {
			return all, fmt.Errorf("a crowd: %d requests have no answer after %v", open, crowdPatience)
		}
		time.Sleep(c.pause)
		if err := errors.Join(c.poll.next(until, fds, told), ctx.Err()); err != nil {
			return all, fmt.Errorf("a crowd: %w", err)
		}
	}
	return all, nil
}

// dueClients is a heap: who asks next is first.
type dueClients []*crowdClient

func (d dueClients) Len() int           { return len(d) }
func (d dueClients) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dueClients) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueClients) Push(x any)        { *d = append(*d, x.(*crowdClient)) }
func (d *dueClients) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

// answer reads an answer whose length is told, in whatever pieces it comes, and keeps its status.
type answer struct {
	line   []byte // the beginning of a line of its head
	part   part
	status int
	left   int // bytes of the body that are still to come
}

// feed reads the next bytes and says whether the answer has ended. Nothing may come behind it.
func (a *answer) feed(b []byte) (ended bool, err error) {
	for len(b) > 0 {
		if a.part == plain {
			if len(b) > a.left {
				return false, fmt.Errorf("%d bytes behind an answer", len(b)-a.left)
			}
			a.left -= len(b)
			return a.left == 0, nil
		}
		line, rest, whole := cutLine(&a.line, b)
		if b = rest; !whole {
			return false, nil
		}
		switch {
		case a.part == statusLine:
			if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
				return false, fmt.Errorf("not an answer: %q", line)
			}
			if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return false, err
			}
			a.part, a.left = headers, -1
		case len(line) > 0:
			if value, ok := headerValue(line, "content-length:"); ok {
				if a.left, err = strconv.Atoi(string(value)); err != nil {
					return false, err
				}
			}
		case a.left < 0:
			return false, errors.New("the answer does not say how long it is")
		default:
			if a.part = plain; a.left == 0 && len(b) == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}
