package data

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Board is where the processes of one database tell each other how something stands. Each has one row of the board's collection,
// which it writes anew, and reads the rows of the others. Unlike a mailbox (Process) it costs one write whatever the number of
// processes is, and keeps nothing for anybody: who looks too seldom misses what stood there.
//
// A row that was not written for noticeTime by the clock of who looks is that of a process that is gone: it is removed. So who has
// something to do with others posts once in Reposting, whether there is something new or not; who is alone need not.
//
// The methods of a Board are called by one goroutine at a time.
type Board struct {
	db   *DB
	k    *kind
	text int
	all  driver.Stmt

	id   string // of the own row; "": nothing was posted yet
	seen map[string]lease
}

// Notice is what another process has posted last.
type Notice struct {
	From string
	Text string
}

const (
	noticeTime = 3 * time.Minute

	// Reposting is how often a row is written that nobody is to take for that of a process that is gone.
	Reposting = noticeTime / 3
)

// Board opens the board whose rows are in a collection, in its field text.
func (db *DB) Board(collection string) (*Board, error) {
	b := &Board{db: db, k: db.kinds[collection], seen: map[string]lease{}}
	if b.k == nil {
		return nil, fault.New(fault.Internal, "%s is missing among the app's collections", collection)
	}
	text, _ := b.k.Field("text")
	b.text = text.Ord
	var err error
	b.all, err = db.eng.Prepare(&driver.Query{From: b.k.Collection, Cols: b.k.wholeAll, Limit: -1, Sort: []driver.Key{{Ord: spec.OrdID}}})
	return b, err
}

// Post writes what the others read from now on.
func (b *Board) Post(ctx context.Context, text string) error {
	if b.id == "" {
		b.id = b.db.ids.next(time.Now())
	}
	return b.db.commit(ctx, &System, func(w *work) error {
		old, err := b.k.record(w.ctx, w.tx, b.k.lock, b.id)
		if err != nil {
			return err
		}
		var rec Record
		if old == nil { // it is the first, or this process was asleep and was taken for gone
			rec = b.k.fresh(w)
			rec[spec.OrdID] = expr.TextOf(b.id)
		} else {
			rec = append(rec, old...)
		}
		rec[b.text] = expr.TextOf(text)
		if old == nil {
			return w.insert(b.k, rec)
		}
		return w.replace(b.k, old, rec)
	})
}

// Read is what the others have posted, and removes the rows of those that are gone. there says whether this process has a row.
func (b *Board) Read(ctx context.Context) (others []Notice, there bool, err error) {
	type row struct {
		id, text string
		rev      int64
	}
	var rows []row
	err = b.db.eng.Rows(ctx, b.all, nil, func(cols driver.Columns) error {
		rec := b.k.copy(cols)
		rows = append(rows, row{rec[spec.OrdID].Text(), rec[b.text].Text(), rec[spec.OrdRev].Int()})
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	now, living := time.Now(), map[string]bool{}
	for _, r := range rows {
		if r.id == b.id {
			there = true
			continue
		}
		was, known := b.seen[r.id]
		if !known || was.rev != r.rev {
			b.seen[r.id] = lease{r.rev, now}
		} else if now.Sub(was.since) > noticeTime {
			if err := b.remove(ctx, r.id, r.rev); err != nil {
				return nil, there, err
			}
			continue
		}
		living[r.id] = true
		others = append(others, Notice{r.id, r.text})
	}
	for id := range b.seen {
		if !living[id] {
			delete(b.seen, id)
		}
	}
	return others, there, nil
}

// Leave takes the own row away.
func (b *Board) Leave(ctx context.Context) error {
	if b.id == "" {
		return nil
	}
	return b.remove(ctx, b.id, -1)
}

// remove takes a row away: of whatever revision (-1), or if it was not written since.
func (b *Board) remove(ctx context.Context, id string, rev int64) error {
	return b.db.commit(ctx, &System, func(w *work) error {
		rec, err := b.k.record(w.ctx, w.tx, b.k.gone, id)
		if rec == nil || err != nil || rev >= 0 && rec[spec.OrdRev].Int() != rev {
			return err
		}
		_, err = w.tx.Delete(b.k.Collection, []string{id})
		return err
	})
}
