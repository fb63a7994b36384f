package live

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// others are the other processes that serve the same database. What is said in a channel here is given to them by their
// mailboxes (data.Process), many items in one message, while those who said it are answered already. A process joins when
// somebody listens to a channel here for the first time; one to which nobody listens only gives.
//
// A process that joins says hello, with all who are here, and each other answers with all who are there. From then on each
// tells what changes. Since the messages of one process come in order and none is lost while both live, each knows who is at
// the others; what a process knows of one that has died is dropped.
type others struct {
	cs *channels

	joining sync.Mutex // one at a time joins, or leaves

	mu       sync.Mutex
	process  *data.Process
	joined   bool
	life     int64 // of the hub's following for which it has joined
	stop     context.CancelFunc
	stopped  chan struct{}
	answers  map[string]bool // hello was said to them, and they have not answered yet
	complete chan struct{}   // closed when all have
	queue    []item
	size     int  // bytes of the queue, about
	sending  bool // somebody works the queue off
	lost     bool // something that must be told was not: hello is said again
}

// item is one thing that a process tells.
type item struct {
	Kind    string          `json:"k"`
	Channel string          `json:"c,omitempty"`
	Member  string          `json:"m,omitempty"`
	Value   json.RawMessage `json:"v,omitempty"` // a message, a state
	At      int64           `json:"t,omitempty"` // of a state
	All     []item          `json:"a,omitempty"` // hello, answer: who is here

	to string // "": all
}

const (
	itemMessage = "message"
	itemHere    = "here"   // a member is here, with a state
	itemGone    = "gone"   // he is here no more
	itemSay     = "say"    // set his state, if he is at yours
	itemHello   = "hello"  // all who are here; answer
	itemAnswer  = "answer" // all who are here
)

const (
	mostQueue = 4 << 20 // bytes that wait to be given to other processes
	mostBatch = 256 << 10
	awaits    = 2 * time.Second // how long who joins waits for the answers of others, who may be dead

	soon   = 20 * time.Millisecond // how often a mailbox is looked into, beside hints: soon after there was something,
	seldom = 250 * time.Millisecond
)

func newOthers(cs *channels) *others { return &others{cs: cs} }

// open makes the process, once.
func (o *others) open() (*data.Process, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.process == nil {
		p, err := o.cs.hub.db.Process()
		if err != nil {
			return nil, err
		}
		o.process = p
	}
	return o.process, nil
}

// join makes this process one that others tell. With whole it waits until they have told who is there.
func (o *others) join(ctx context.Context, whole bool) error {
	if err := o.enter(ctx); err != nil {
		return err
	}
	o.mu.Lock()
	complete := o.complete
	o.mu.Unlock()
	if !whole || complete == nil {
		return nil
	}
	timer := time.NewTimer(awaits)
	defer timer.Stop()
	select {
	case <-complete:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (o *others) enter(ctx context.Context) error {
	p, err := o.open()
	if err != nil {
		return err
	}
	is := func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.life = o.cs.life.Load()
		return o.joined
	}
	if is() {
		return nil
	}
	o.joining.Lock()
	defer o.joining.Unlock()
	if is() {
		return nil
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	if err := o.hello(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(o.cs.hub.ctx)
	o.mu.Lock()
	o.joined, o.stop, o.stopped = true, stop, make(chan struct{})
	stopped := o.stopped
	o.mu.Unlock()
	go func() {
		defer close(stopped)
		o.run(running)
	}()
	return nil
}

// leave ends what join began: nobody listens here any more, in that life of the hub.
func (o *others) leave(life int64) {
	o.joining.Lock()
	defer o.joining.Unlock()
	o.mu.Lock()
	stop, stopped := o.stop, o.stopped
	if !o.joined || o.life != life {
		o.mu.Unlock()
		return
	}
	o.joined = false
	o.mu.Unlock()
	stop()
	<-stopped
	ctx, cancel := context.WithTimeout(context.Background(), awaits)
	defer cancel()
	if err := o.process.Leave(ctx); err != nil {
		o.cs.hub.log.Debug("other processes will find out by themselves that this one is gone", "error", err)
	}
	o.cs.keep(nil)
}

// hello says to all others who is here, and notes whose answers are due.
func (o *others) hello(ctx context.Context) error {
	ids, err := o.process.Others(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.answers, o.complete = map[string]bool{}, nil
	for _, id := range ids {
		o.answers[id] = true
	}
	if len(ids) > 0 {
		o.complete = make(chan struct{})
	}
	o.mu.Unlock()
	o.cs.mu.Lock()
	defer o.cs.mu.Unlock()
	o.mustTell(item{Kind: itemHello, All: o.cs.here()})
	return nil
}

// answered notes that a process has said who is there, or is gone.
func (o *others) answered(gone func(id string) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.answers {
		if gone(id) {
			delete(o.answers, id)
		}
	}
	if len(o.answers) == 0 && o.complete != nil {
		close(o.complete)
		o.complete = nil
	}
}

// run reads what others tell and renews the lease, until ctx ends.
func (o *others) run(ctx context.Context) {
	p := o.process
	defer p.Hints()()
	renewal := time.NewTicker(data.Renewing)
	defer renewal.Stop()
	timer := time.NewTimer(soon)
	defer timer.Stop()
	pause, alone := soon, false
	for {
		signal := p.Signal()
		n, err := p.Receive(ctx, o.take)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			o.cs.hub.log.Warn("what other processes tell cannot be read: trying again", "error", err)
			pause = seldom
		case n > 0:
			pause = soon
			continue
		}
		wait := pause
		if alone { // whoever joins says hello, and is patient
			wait = data.Renewing
		}
		timer.Reset(wait)
		select {
		case <-signal:
			pause = soon
		case <-timer.C:
			pause = min(2*pause, seldom)
		case <-renewal.C:
			alone = o.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew says that this process is there, and drops what is known of those that are not. Alone: there are none.
func (o *others) renew(ctx context.Context) (alone bool) {
	ids, there, err := o.process.Renew(ctx)
	if err == nil && !there { // it was asleep for long, and what was told meanwhile is lost
		if err = o.process.Join(ctx); err == nil {
			err = o.hello(ctx)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			o.cs.hub.log.Warn("other processes cannot be told that this one is there: trying again", "error", err)
		}
		return false
	}
	if !there {
		return false
	}
	living := map[string]bool{}
	for _, id := range ids {
		living[id] = true
	}
	o.answered(func(id string) bool { return !living[id] })
	o.cs.keep(living)
	return len(ids) == 0
}

// take is told something by another process.
func (o *others) take(from, body string) {
	var items []item
	if err := json.Unmarshal([]byte(body), &items); err != nil {
		o.cs.hub.log.Error("another process has told something that cannot be read", "error", err)
		return
	}
	cs := o.cs
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, i := range items {
		switch i.Kind {
		case itemMessage:
			cs.message(i.Channel, i.Value)
		case itemHere:
			cs.away(from, i)
		case itemGone:
			cs.awayNoMore(from, i.Channel, i.Member)
		case itemSay:
			if ch := cs.all[i.Channel]; ch != nil {
				if m := ch.members[i.Member]; m != nil && m.here > 0 && i.At > m.own.at {
					cs.set(ch, i.Member, state{i.Value, i.At})
				}
			}
		case itemHello, itemAnswer:
			cs.replace(from, i.All)
			o.answered(func(id string) bool { return id == from })
			if i.Kind == itemHello {
				o.mustTell(item{Kind: itemAnswer, All: cs.here(), to: from})
			}
		} // what newer versions tell is passed over
	}
}

// here are the members of this process.
func (cs *channels) here() []item {
	all := []item{}
	for name, ch := range cs.all {
		for id, m := range ch.members {
			if m.here > 0 {
				all = append(all, item{Channel: name, Member: id, Value: m.own.text, At: m.own.at})
			}
		}
	}
	return all
}

// away notes that a member is at another process.
func (cs *channels) away(from string, i item) {
	cs.change(cs.channel(i.Channel), i.Member, nil, func(m *member) {
		if m.away == nil {
			m.away = map[string]state{}
		}
		m.away[from] = state{i.Value, i.At}
	})
}

func (cs *channels) awayNoMore(from, name, id string) {
	if ch := cs.all[name]; ch != nil && ch.members[id] != nil {
		cs.change(ch, id, nil, func(m *member) { delete(m.away, from) })
	}
}

// replace notes that these members are at another process, and no others.
func (cs *channels) replace(from string, all []item) {
	type place struct{ channel, member string }
	there := map[place]bool{}
	for _, i := range all {
		there[place{i.Channel, i.Member}] = true
		cs.away(from, i)
	}
	for name, ch := range cs.all {
		for id, m := range ch.members {
			if _, was := m.away[from]; was && !there[place{name, id}] {
				cs.awayNoMore(from, name, id)
			}
		}
	}
}

// keep drops the members of other processes than these.
func (cs *channels) keep(living map[string]bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for name, ch := range cs.all {
		for id, m := range ch.members {
			for from := range m.away {
				if !living[from] {
					cs.awayNoMore(from, name, id)
				}
			}
		}
	}
}

// tell gives something to the others, soon and in order. Its error is fault.Unavailable: too much waits already.
func (o *others) tell(i item) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size > mostQueue {
		return &fault.Error{Kind: fault.Unavailable, Msg: "the other servers cannot be told at the moment: try again", After: time.Second}
	}
	o.push(i)
	return nil
}

// mustTell is tell for what others must know. Where too much waits, or the database is away, they are told all anew later.
func (o *others) mustTell(i item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size > mostQueue {
		o.lost = true
		return
	}
	o.push(i)
}

func (o *others) push(i item) {
	o.queue = append(o.queue, i)
	o.size += i.weight()
	if !o.sending {
		o.sending = true
		go o.send(o.cs.hub.ctx)
	}
}

func (i *item) weight() int {
	n := 100 + len(i.Channel) + len(i.Member) + len(i.Value)
	for at := range i.All {
		n += i.All[at].weight()
	}
	return n
}

// send works the queue off.
func (o *others) send(ctx context.Context) {
	p, err := o.open()
	for {
		o.mu.Lock()
		items, lost := o.queue, o.lost && o.joined
		if len(items) == 0 && !lost || err != nil || ctx.Err() != nil {
			o.queue, o.size, o.sending = nil, 0, false
			o.mu.Unlock()
			return
		}
		o.queue, o.size, o.lost = nil, 0, o.lost && !lost
		o.mu.Unlock()
		var fails error
		if lost {
			fails = o.hello(ctx)
		}
		if fails == nil {
			fails = give(ctx, p, items)
		}
		if fails == nil || ctx.Err() != nil {
			continue
		}
		o.cs.hub.log.Warn("other processes were not told what is said in channels: trying again", "error", fails)
		o.mu.Lock()
		o.lost = true
		o.mu.Unlock()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// give sends items to those who are there: to each what is for him, in order.
func give(ctx context.Context, p *data.Process, items []item) error {
	ids, err := p.Others(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && (n == 0 || size < mostBatch && items[n].to == items[0].to) {
			size += items[n].weight()
			n++
		}
		to := ids
		if items[0].to != "" {
			to = []string{items[0].to}
		}
		body, err := json.Marshal(items[:n])
		if err != nil {
			return fault.Wrap(fault.Internal, "tell other processes", err)
		}
		if err := p.Send(ctx, to, string(body)); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}
