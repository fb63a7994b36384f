package live

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Store is what the door needs of the database. *data.DB satisfies it.
type Store interface {
	Watch(by data.Caller, q *data.WatchQuery) (*data.Watch, error)
	Present(ctx context.Context, by data.Caller, q *data.WatchQuery, cursor string) (records [][]byte, next string, at data.Position, err error)
	Head(ctx context.Context) (data.Position, error)
	Changes(ctx context.Context, after data.Position) (all []*data.Change, next data.Position, err error)
	Follow(ctx context.Context, after data.Position, yield func(all []*data.Change, to data.Position) error) error
	Oldest(ctx context.Context) (data.Position, error)
	AppendChange(dst []byte, epoch string, c *data.Change) ([]byte, error)
	WithHistory(ctx context.Context, after data.Position, walks bool, fn func(*data.History) error) error
	Channel(by data.Caller, name, key string) (*data.Channel, error)
	Process() (*data.Process, error)
}

// Options of New.
type Options struct {
	Log    *slog.Logger
	Caller func(*http.Request) (data.Caller, error) // who asks, again
	Anew   func(user string)                        // Caller remembers nothing of a user any more, whose rights have changed; may be nil
	Server spec.Server                              // origins and limits
}

const (
	beat    = 15 * time.Second // a client to which nothing was sent for so long gets a comment
	look    = time.Second      // how often clients are looked at
	recheck = 2 * time.Second  // how often it is asked whether they are still who they were
	idle    = time.Minute      // how long the log is followed for nobody
)

// Hub follows the log of changes for all clients of this process.
type Hub struct {
	db      Store
	log     *slog.Logger
	caller  func(*http.Request) (data.Caller, error)
	anew    func(user string)
	ctx     context.Context
	stop    context.CancelFunc
	back    chan struct{} // a place for each that looks back
	running sync.WaitGroup

	server   spec.Server
	limits   *limits
	channels *channels // locked after mu

	mu      sync.Mutex
	groups  map[string]*group
	users   map[string]map[*client]struct{} // by their ids
	count   int
	opening int              // streams that are not among the groups yet
	apart   map[*client]bool // clients in no group: true, they are told what there is already; false, they follow the log for themselves
	at      data.Position
	recent  recent             // up to at
	recalls chan struct{}      // a place for who reads what is not remembered
	moved   chan struct{}      // closed when at has changed
	follow  context.CancelFunc // nil: nobody follows
	closed  bool
}

// New makes a hub, which does nothing until there is a client.
func New(db Store, o Options) *Hub {
	h := &Hub{db: db, log: o.Log, caller: o.Caller, anew: o.Anew, groups: map[string]*group{}, users: map[string]map[*client]struct{}{}, apart: map[*client]bool{}, moved: make(chan struct{}), recent: recent{most: mostRecent}, recalls: make(chan struct{}, 1),
		back: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	if h.log == nil {
		h.log = slog.Default()
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.server, h.limits, h.channels = o.Server, newLimits(o.Server.Limits.Streams), newChannels(h)
	return h
}

// Close ends all streams and takes no more: clients come back to another server, or to this one when it is there again.
func (h *Hub) Close() {
	h.stop() // first: who has the lock may wait for the database
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.Cut()
	h.running.Wait()
}

// Cut ends all streams. Their clients come back to where they were.
func (h *Hub) Cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.apart {
		c.cut()
	}
	for _, g := range h.groups {
		for c := range g.clients {
			c.cut()
			h.leave(c)
		}
	}
}

// Count is how many clients there are.
func (h *Hub) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// At is the position up to which the clients were told of changes; zero: there are none.
func (h *Hub) At() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.follow == nil {
		return 0
	}
	return h.at.Number
}

// start follows the log, if nobody does.
func (h *Hub) start(ctx context.Context) error {
	for at := (data.Position{}); ; {
		done, err := h.startAt(at)
		if done || err != nil {
			return err
		}
		if at, err = h.db.Head(ctx); err != nil { // without the lock: the database may be away
			return err
		}
	}
}

// startAt is start where the log is known to go to a position; else it is not done, unless somebody follows.
func (h *Hub) startAt(at data.Position) (done bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return false, errClosing
	case h.follow == nil && at.Epoch == "":
		return false, nil
	case h.follow == nil:
		h.at = at
		h.recent.begin(at.Number)
		following, end := context.WithCancel(h.ctx)
		h.follow = end
		h.running.Add(3)
		go h.run(following)
		go h.attend(following)
		go h.channels.attend(following, h.channels.life.Add(1))
	}
	h.opening++
	return true, nil
}

// opened says that a client which start was called for is with the others, or gone.
func (h *Hub) opened() {
	h.mu.Lock()
	h.opening--
	h.mu.Unlock()
}

// hold takes in a client that is in no group, for whom something is done until release. attended says that the hub looks
// after it.
func (h *Hub) hold(c *client, attended bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosing
	}
	h.running.Add(1)
	h.apart[c] = attended
	return nil
}

func (h *Hub) release(c *client) {
	h.mu.Lock()
	delete(h.apart, c)
	h.mu.Unlock()
	h.running.Done()
}

var errClosing = &fault.Error{Kind: fault.Unavailable, Msg: "the server is stopping: try again", After: time.Second}

// run follows the log until ctx ends.
func (h *Hub) run(ctx context.Context) {
	defer h.running.Done()
	pause := 50 * time.Millisecond
	for {
		from := h.position()
		err := h.db.Follow(ctx, from, func(all []*data.Change, to data.Position) error { return h.deliver(ctx, all, to) })
		if ctx.Err() != nil {
			return
		}
		if h.position() != from {
			pause = 50 * time.Millisecond
		}
		var old *data.TooOld
		if errors.As(err, &old) {
			h.restart(ctx)
		} else {
			h.log.Error("the log of changes cannot be followed: trying again", "error", err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		case <-ctx.Done():
			return
		}
	}
}

// restart tells everybody to begin anew: the log does not go on from where they are.
func (h *Hub) restart(ctx context.Context) {
	at, err := h.db.Head(ctx)
	if err != nil {
		return // it is tried again
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	h.recent.begin(at.Number)
	h.move(at)
	for _, g := range h.groups {
		for c := range g.clients {
			c.resync("the log of changes does not go on from here")
			h.leave(c)
		}
	}
}

func (h *Hub) position() data.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *Hub) move(to data.Position) {
	h.at = to
	close(h.moved)
	h.moved = make(chan struct{})
}

// mostRecalled is how many changes are read at once to be remembered.
const mostRecalled = 5000

// changes gives what has changed behind a position, or the first part of it: up to next. What the hub does not remember is read
// from the log; where that is not far back, once for all: after a restart it remembers nothing, and everybody comes back.
func (h *Hub) changes(ctx context.Context, after data.Position) (all []*data.Change, next data.Position, err error) {
	all, next, lacks := h.remembered(after)
	switch {
	case lacks == 0:
		return all, next, nil
	case lacks > mostRecalled:
		return h.db.Changes(ctx, after)
	}
	select {
	case h.recalls <- struct{}{}:
		defer func() { <-h.recalls }()
	case <-ctx.Done():
		return nil, after, ctx.Err()
	}
	if all, next, lacks = h.remembered(after); lacks == 0 {
		return all, next, nil
	}
	first, next, err := h.db.Changes(ctx, after)
	if err != nil || lacks > mostRecalled {
		return first, next, err
	}
	h.mu.Lock()
	room := h.recent.most - h.recent.size
	h.mu.Unlock()
	if int64(sizeOf(first))*lacks > int64(room)*(next.Number-after.Number) { // all of them would be too much
		return first, next, nil
	}
	since := after.Number + lacks
	all = first
	for to := next; to.Number < since; {
		more, then, err := h.db.Changes(ctx, to)
		if err != nil {
			return nil, after, err
		}
		if all = append(all, more...); sizeOf(all) > room || then == to {
			return first, next, nil
		}
		to = then
	}
	n := sort.Search(len(all), func(i int) bool { return all[i].Position > since })
	h.mu.Lock()
	if h.at.Epoch == after.Epoch && h.recent.since == since {
		h.recent.recall(after.Number, all[:n])
	}
	h.mu.Unlock()
	return first, next, nil
}

// remembered gives the changes behind a position, or says how many the hub lacks before those that it remembers: very many,
// where it is not behind the position itself.
func (h *Hub) remembered(after data.Position) (all []*data.Change, next data.Position, lacks int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Epoch != after.Epoch || after.Number >= h.at.Number {
		return nil, after, math.MaxInt64
	}
	if lacks = h.recent.since - after.Number; lacks > 0 {
		return nil, after, lacks
	}
	return h.recent.behind(after.Number), h.at, 0
}

// deliver tells all groups of changes. ctx is that of who follows the log: behind its end another does.
func (h *Hub) deliver(ctx context.Context, all []*data.Change, to data.Position) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	changed := map[string]bool{}
	for _, c := range all {
		changed[c.Collection] = true
	}
	var concerned []*group
	walks := false
	for _, g := range h.groups {
		if g.depends(changed) {
			concerned = append(concerned, g)
			walks = walks || g.walks(changed)
		}
	}
	frames := make([][]byte, len(concerned))
	failed := make([]error, len(concerned))
	if len(concerned) > 0 {
		err := h.db.WithHistory(h.ctx, h.at, walks, func(past *data.History) error {
			for i, g := range concerned {
				frames[i], failed[i] = nil, nil
				past.Until(time.Now().Add(costly))
				for t := range data.Transactions(all) {
					if frames[i], failed[i] = g.tell(frames[i], past, place{Position: h.at}, to, t); failed[i] != nil {
						break
					}
				}
				if failed[i] != nil && fault.Of(failed[i]) == fault.Unavailable {
					return failed[i]
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, c := range all { // before the rest: nobody is told anything by a right that he has lost meanwhile
		for cl := range h.users[c.Whose()] {
			if cl.view.ended(&cl.by, c) || h.channels.ended(cl, c) {
				if h.anew != nil { // first: he comes back at once
					h.anew(cl.by.ID)
				}
				cl.resync(rightsChanged)
				h.leave(cl)
			}
		}
	}
	for i, g := range concerned {
		switch {
		case failed[i] != nil:
			reason := "a change could not be told"
			switch {
			case errors.Is(failed[i], data.ErrCostly):
				h.log.Warn("a live list costs too much: those who listen to it begin anew", "list", g.watches[0].String(), "error", failed[i])
			case fault.Is(failed[i], fault.TooLarge):
				reason = tooMuch
			default:
				h.log.Error("changes could not be told to a live list", "error", failed[i])
			}
			for c := range g.clients {
				c.resync(reason)
				h.leave(c)
			}
		case len(frames[i]) > 0:
			g.send(frames[i])
			deliveries.Add(int64(len(g.clients)))
		}
	}
	h.channels.changed(all, changed)
	h.recent.add(all)
	h.move(to)
	return nil
}

// costly is how long a view that looks at other records may be judged for some changes: all others wait meanwhile.
const costly = 5 * time.Second

// send sends to all clients, several at a time where there are many.
func (g *group) send(b []byte) {
	p := &piece{b: b}
	workers := min(runtime.GOMAXPROCS(0), len(g.clients)/256)
	if workers <= 1 {
		for c := range g.clients {
			c.deliver(p)
		}
		return
	}
	all := make([]*client, 0, len(g.clients))
	for c := range g.clients {
		all = append(all, c)
	}
	size := (len(all) + workers - 1) / workers
	var wg sync.WaitGroup
	for len(all) > 0 {
		some := all[:min(size, len(all))]
		all = all[len(some):]
		wg.Go(func() {
			for _, c := range some {
				c.deliver(p)
			}
		})
	}
	wg.Wait()
}

// reached waits until the hub is at a position of its log or behind it.
func (h *Hub) reached(ctx context.Context, at data.Position) error {
	for {
		h.mu.Lock()
		is, moved := h.at, h.moved
		h.mu.Unlock()
		if is.Epoch != at.Epoch || is.Number >= at.Number {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.ctx.Done():
			return errClosing
		}
	}
}

// join makes a client one of the hub's if it is where the hub is. at is where that is.
func (h *Hub) join(c *client, from place) (joined bool, at data.Position, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false, h.at, errClosing
	}
	if from.Position != h.at || from.events > 0 {
		return false, h.at, nil
	}
	h.group(c, c.view)
	h.count++
	if id := c.by.ID; id != "" {
		if h.users[id] == nil {
			h.users[id] = map[*client]struct{}{}
		}
		h.users[id][c] = struct{}{}
	}
	return true, h.at, nil
}

// group makes a client one of those who have a view.
func (h *Hub) group(c *client, v *view) {
	g := h.groups[v.key]
	if g == nil {
		g = &group{view: v, clients: map[*client]struct{}{}}
		h.groups[v.key] = g
	}
	c.view = g.view // one view for all
	g.clients[c] = struct{}{}
}

// leave takes a client out, which is told nothing any more.
func (h *Hub) leave(c *client) {
	h.channels.leave(c)
	g := h.groups[c.view.key]
	if g == nil {
		return
	}
	if _, there := g.clients[c]; !there {
		return
	}
	delete(g.clients, c)
	h.count--
	if len(g.clients) == 0 {
		delete(h.groups, c.view.key)
	}
	if id := c.by.ID; id != "" {
		delete(h.users[id], c)
		if len(h.users[id]) == 0 {
			delete(h.users, id)
		}
	}
}

// attend looks after the clients: heartbeats, those that are gone, and those who are not any more who they were. When there
// is nobody for a while the log is not followed any more.
func (h *Hub) attend(ctx context.Context) {
	defer h.running.Done()
	tick := time.NewTicker(look)
	defer tick.Stop()
	asked, alone := time.Now(), time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		ask := now.Sub(asked) >= recheck
		if ask {
			asked = now
		}
		var silent, known, quiet []*client
		attend := func(c *client) {
			if taken(c) {
				quiet = append(quiet, c)
			}
			if c.silent() >= beat {
				silent = append(silent, c)
			}
			if ask && c.again != nil {
				known = append(known, c)
			}
		}
		h.mu.Lock()
		for c, attended := range h.apart {
			if attended {
				attend(c)
			}
		}
		for _, g := range h.groups {
			for c := range g.clients {
				if c.gone() {
					h.leave(c)
					continue
				}
				attend(c)
			}
		}
		if h.count+h.opening > 0 {
			alone = now
		} else if now.Sub(alone) > idle {
			h.follow()
			h.follow = nil
			h.recent.begin(h.at.Number)
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		h.sweep(quiet)
		for _, c := range silent {
			c.beat()
		}
		h.still(known)
	}
}

// sweep takes out the clients who have closed their side: of a connection that was taken over nothing else tells.
func (h *Hub) sweep(quiet []*client) {
	gone := slices.DeleteFunc(quiet, func(c *client) bool { return !c.out.(*wire).closed() })
	if len(gone) == 0 {
		return
	}
	for _, c := range gone {
		c.cut()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range gone {
		h.leave(c)
	}
}

// still ends the streams of those who are not any more who they were.
func (h *Hub) still(known []*client) {
	for _, c := range known {
		if h.same(c) {
			continue
		}
		h.mu.Lock()
		h.leave(c)
		h.mu.Unlock()
	}
}

// same says whether a client is who he was; else his stream has ended.
func (h *Hub) same(c *client) bool {
	why, _ := h.other(c, c.again) // where nobody can say he is, for the moment
	if why != "" {
		c.resync(why)
	}
	return why == ""
}

// other says why a client is not who he was any more; "": he is. Its error is that it cannot be found out.
func (h *Hub) other(c *client, again func() (data.Caller, error)) (string, error) {
	h.mu.Lock()
	view := c.view
	h.mu.Unlock()
	by, err := again()
	switch {
	case fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Denied):
		return "the credential is not valid any more", nil
	case err != nil: // the database is away, perhaps
		return "", err
	case by.ID != c.by.ID || by.Role != c.by.Role || by.Operator != c.by.Operator || by.SignedIn != c.by.SignedIn || by.MFA != c.by.MFA || !view.same(&by, &c.by):
		return rightsChanged, nil
	}
	return "", nil
}

// sure fails where a user is not who he was taken for. What is remembered of him may be older than the place in the log from
// which on he is told what happens: nothing behind that place tells of the difference, to him or to whoever goes on for him there.
func (h *Hub) sure(c *client) error {
	again := c.again
	if again == nil && c.root != nil {
		again = c.root.again
	}
	if again == nil || c.by.ID == "" || h.anew == nil {
		return nil
	}
	h.anew(c.by.ID)
	why, err := h.other(c, again)
	if why != "" {
		return errRights
	}
	return err
}

// watch looks after one client that follows the log for itself, until it ends.
func (h *Hub) watch(c *client) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-h.ctx.Done():
			c.cut()
			return
		case <-tick.C:
		}
		if c.again != nil && !h.same(c) {
			return
		}
		if c.silent() >= beat {
			c.beat()
		}
	}
}
