package data

import (
	"context"
	"sync"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Process is this process among those that serve the same database and tell each other what is not stored. Each that wants
// to be told has a row of _processes, which it renews, and a mailbox: the rows of _messages to it, which it removes when it
// has read them. So what one sends to another is read once, in the order in which it was sent; what was sent to one that dies
// is gone with it. Where nobody else is there nothing is written but the own row.
//
// A process is dead when another has not seen its row renewed for leaseTime by its own clock: no two clocks are compared.
// Whoever sees that first removes it with its mailbox. One that was only asleep finds its row gone, and is another then.
//
// The methods of a Process are called by one goroutine at a time, but Others and Send, which are safe for concurrent use.
type Process struct {
	db   *DB
	k    *kind // _processes
	mail *kind // _messages
	row  struct{ to, from, body int }

	all   driver.Stmt // the rows of _processes
	inbox driver.Stmt // the oldest messages to argument 0, at most argument 1
	stale driver.Stmt // ids of the oldest messages, at most argument 0

	seen map[string]lease
	read map[string]bool // messages that were given out and are perhaps not removed yet

	mu    sync.Mutex
	id    string // "": not joined
	woken chan struct{}
}

// lease is what was seen of a process.
type lease struct {
	rev   int64
	since time.Time // when rev was seen first, by this process
}

// Renewing is how often a process that has joined calls Renew.
const Renewing = leaseTime / 4

// Process makes what this process is among others. It has not joined them yet.
func (db *DB) Process() (*Process, error) {
	p := &Process{db: db, k: db.kinds["_processes"], mail: db.kinds["_messages"], seen: map[string]lease{}, read: map[string]bool{}}
	if p.k == nil || p.mail == nil {
		return nil, fault.New(fault.Internal, "data.Collections is missing among the app's collections")
	}
	for name, ord := range map[string]*int{"to": &p.row.to, "from": &p.row.from, "body": &p.row.body} {
		f, _ := p.mail.Field(name)
		*ord = f.Ord
	}
	byID := []driver.Key{{Ord: spec.OrdID}}
	inbox := equalTo(p.mail, p.row.to, driver.Unlocked)
	inbox.Limit = 1
	for _, q := range []struct {
		stmt *driver.Stmt
		q    *driver.Query
	}{
		{&p.all, &driver.Query{From: p.k.Collection, Cols: p.k.wholeAll, Limit: -1, Sort: byID}},
		{&p.inbox, inbox},
		{&p.stale, &driver.Query{From: p.mail.Collection, Cols: p.mail.wholeAll[:p.row.to+1], Limit: 0, Sort: byID}},
	} {
		var err error
		if *q.stmt, err = db.eng.Prepare(q.q); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// ID is the name of this process while it has joined.
func (p *Process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

func (p *Process) call(id string) {
	p.mu.Lock()
	p.id = id
	p.mu.Unlock()
}

// Join makes this process one that others send to.
func (p *Process) Join(ctx context.Context) error {
	id := p.db.ids.next(time.Now())
	err := p.db.commit(ctx, &System, func(w *work) error {
		rec := p.k.fresh(w)
		rec[spec.OrdID] = expr.TextOf(id)
		return w.insert(p.k, rec)
	})
	if err == nil {
		p.call(id)
		clear(p.seen)
		clear(p.read)
	}
	return err
}

// Leave takes this process out again.
func (p *Process) Leave(ctx context.Context) error {
	id := p.ID()
	p.call("")
	if id == "" {
		return nil
	}
	return p.remove(ctx, id, -1)
}

// Renew says that this process is there, and removes those that are dead: others are those that are not. If it was taken for
// dead itself, there is false: it has to join again.
func (p *Process) Renew(ctx context.Context) (others []string, there bool, err error) {
	own := p.ID()
	err = p.db.commit(ctx, &System, func(w *work) error {
		rec, err := p.k.record(w.ctx, w.tx, p.k.lock, own)
		if there = rec != nil; rec == nil || err != nil {
			return err
		}
		next := append(Record(nil), rec...)
		return w.replace(p.k, rec, next)
	})
	if err != nil || !there {
		return nil, there, err
	}
	rows, err := p.rows(ctx)
	if err != nil {
		return nil, true, err
	}
	now := time.Now()
	living := map[string]bool{own: true}
	for _, row := range rows {
		id, rev := row[spec.OrdID].Text(), row[spec.OrdRev].Int()
		was, known := p.seen[id]
		if !known || was.rev != rev {
			p.seen[id] = lease{rev, now}
		} else if id != own && now.Sub(was.since) > leaseTime {
			if err := p.remove(ctx, id, rev); err != nil {
				return nil, true, err
			}
			continue
		}
		if living[id] = true; id != own {
			others = append(others, id)
		}
	}
	for id := range p.seen {
		if !living[id] {
			delete(p.seen, id)
		}
	}
	return others, true, p.sweep(ctx, living)
}

// remove takes out a process with its mailbox: of whatever revision (-1), or if it was not renewed since.
func (p *Process) remove(ctx context.Context, id string, rev int64) error {
	return p.db.commit(ctx, &System, func(w *work) error {
		rec, err := p.k.record(w.ctx, w.tx, p.k.gone, id)
		if rec == nil || err != nil || rev >= 0 && rec[spec.OrdRev].Int() != rev {
			return err
		}
		if _, err := w.tx.Delete(p.k.Collection, []string{id}); err != nil {
			return err
		}
		var ids []string
		err = w.tx.Rows(w.ctx, p.inbox, []Value{expr.TextOf(id), expr.IntOf(batchSize)}, func(cols driver.Columns) error {
			ids = append(ids, string(cols.Text(spec.OrdID)))
			return nil
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		_, err = w.tx.Delete(p.mail.Collection, ids)
		return err
	})
}

// sweep removes messages to those who are not there.
func (p *Process) sweep(ctx context.Context, living map[string]bool) error {
	var ids []string
	err := p.db.eng.Rows(ctx, p.stale, []Value{expr.IntOf(batchSize)}, func(cols driver.Columns) error {
		if !living[string(cols.Text(p.row.to))] {
			ids = append(ids, string(cols.Text(spec.OrdID)))
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	return p.db.commit(ctx, &System, func(w *work) error {
		_, err := w.tx.Delete(p.mail.Collection, ids)
		return err
	})
}

func (p *Process) rows(ctx context.Context) (rows []Record, err error) {
	err = p.db.eng.Rows(ctx, p.all, nil, func(cols driver.Columns) error {
		rows = append(rows, p.k.copy(cols))
		return nil
	})
	return rows, err
}

// Others are the processes that have joined, but this one. Some of them may be dead for a while.
func (p *Process) Others(ctx context.Context) ([]string, error) {
	own := p.ID()
	rows, err := p.rows(ctx)
	var ids []string
	for _, row := range rows {
		if id := row[spec.OrdID].Text(); id != own {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// Send gives a message to other processes. What one process sends one after the other is read in that order.
func (p *Process) Send(ctx context.Context, to []string, body string) error {
	if len(to) == 0 {
		return nil
	}
	own := p.ID()
	err := p.db.commit(ctx, &System, func(w *work) error {
		for _, id := range to {
			rec := p.mail.fresh(w)
			rec[spec.OrdID] = expr.TextOf(p.db.ids.next(time.Now()))
			rec[p.row.to], rec[p.row.from], rec[p.row.body] = expr.TextOf(id), expr.TextOf(own), expr.TextOf(body)
			if err := w.insert(p.mail, rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.db.hints.give()
	}
	return err
}

// Receive gives the messages to this process that it has not had yet to yield, in order, and says how many there were.
func (p *Process) Receive(ctx context.Context, yield func(from, body string)) (n int, err error) {
	var ids []string
	err = p.db.eng.Rows(ctx, p.inbox, []Value{expr.TextOf(p.ID()), expr.IntOf(batchSize)}, func(cols driver.Columns) error {
		row := p.mail.copy(cols)
		id := row[spec.OrdID].Text()
		ids = append(ids, id)
		if !p.read[id] {
			p.read[id] = true
			yield(row[p.row.from].Text(), row[p.row.body].Text())
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return len(ids), err
	}
	err = p.db.commit(ctx, &System, func(w *work) error {
		_, err := w.tx.Delete(p.mail.Collection, ids)
		return err
	})
	if err == nil {
		clear(p.read)
	}
	return len(ids), err
}

// Signal is closed when another process has said that there may be something new: a hint, where the engine has any.
func (p *Process) Signal() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken == nil {
		p.woken = make(chan struct{})
	}
	return p.woken
}

func (p *Process) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken != nil {
		close(p.woken)
		p.woken = nil
	}
}

// Hints keeps Signal going until stop is called.
func (p *Process) Hints() (stop func()) { return p.db.hints.take(p.wake) }
