package mysql

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A commit whose answer does not come may have been done or not, and no server tells afterwards what became of
// a transaction. But it left a trace: a record that it made, or one that it gave the next revision. The record
// is read under a lock, which waits for the transaction if it is not over yet, and often tells. Where it is not there
// it is asked whether the connection is: each holds a lock of a name of its own as long as the server has it. When
// that is gone, so is the transaction. It costs nothing where answers come.

// trace is a change by which a transaction can be recognised: the first that was made.
type trace struct {
	c        *spec.Collection // nil: there is none
	id       string
	made     bool  // the record; else it had the revision from
	created  int64 // ms, of a record that was made
	from, to int64
	updated  int64                 // ms
	lost     bool                  // the record was deleted again
	set      map[string]expr.Value // of a record that was revised: what was written, by column
}

func (t *trace) inserted(c *spec.Collection, r driver.Record) {
	if t.c == nil && !t.lost {
		*t = trace{c: c, id: r[spec.OrdID].Text(), made: true, created: r[spec.OrdCreated].Int(), to: r[spec.OrdRev].Int(), updated: r[spec.OrdUpdated].Int()}
	}
}

func (t *trace) revised(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) {
	own := t.c != nil && t.c.Name == c.Name && t.id == id
	if !own && (t.c != nil || t.lost || !slices.Contains(ords, spec.OrdRev) || !slices.Contains(ords, spec.OrdUpdated)) {
		return
	}
	if !own {
		*t = trace{c: c, id: id, from: rev, to: rev, updated: -1}
	}
	for _, ord := range ords {
		if ord >= spec.OrdFirst {
			if t.set == nil {
				t.set = map[string]expr.Value{}
			}
			t.set[c.Fields[ord].Name] = r[ord]
		}
	}
	if slices.Contains(ords, spec.OrdRev) {
		t.to = r[spec.OrdRev].Int()
	}
	if slices.Contains(ords, spec.OrdUpdated) {
		t.updated = r[spec.OrdUpdated].Int()
	}
}

func (t *trace) deleted(c *spec.Collection, ids []string) {
	if t.c != nil && t.c.Name == c.Name && slices.Contains(ids, t.id) {
		*t = trace{lost: true}
	}
}

// fate is what became of a transaction.
type fate uint8

const (
	unknown fate = iota
	committed
	undone
	running
)

// gone says whether a connection with that name is over, with its transaction; known: on this server one can say so. One
// that has done what it was sent, or will never have it, is ended: the link to it may be cut without its knowing.
func (e *Engine) gone(ctx context.Context, c *conn, name, server string) (gone, known bool, err error) {
	if name == "" || c.server != server {
		return false, false, nil
	}
	id, command := "", ""
	err = c.each(ctx, "SELECT L.id, (SELECT COMMAND FROM information_schema.PROCESSLIST P WHERE P.ID = L.id) FROM (SELECT IS_USED_LOCK(?) AS id) L", func(text func(int) string) error {
		id, command = text(0), text(1)
		return nil
	}, expr.TextOf(name))
	if err == nil && id != "" && command == "Sleep" {
		_ = c.exec(ctx, "KILL "+id)
	}
	return err == nil && id == "", true, err
}

// fate is what the record tells; there says whether it is there.
func (t *trace) fate(there bool, created, updated, rev int64) fate {
	switch {
	case !there:
		return unknown // it may have been deleted since
	case t.made && created == t.created:
		return committed // a later one would have been made later
	case t.made:
		return unknown // made by another, before or after
	case rev == t.from && rev != t.to:
		return undone
	case rev == t.to && updated == t.updated:
		return committed
	default:
		return unknown // others have gone on from it
	}
}

// resolveTime is how long the server is asked what became of a transaction.
const resolveTime = 10 * time.Second

// commit makes the transaction durable.
func (t *tx) commit() error {
	if err := t.usable(); err != nil {
		return err
	}
	err := t.c.exec(t.bounded(context.Background()), "COMMIT")
	if err == nil {
		t.c.open = false
		return nil
	}
	var told *mysql.MySQLError
	if errors.As(err, &told) && !cutOff(told.Number) {
		return t.fail(context.Background(), "commit", err)
	}
	return t.resolve(err, false)
}

// resolve finds out what became of a commit whose answer was lost, or says that nobody knows. whole: what may have been
// lost is all of the transaction, so that it holds no lock for which the record's reader would wait.
func (t *tx) resolve(cause error, whole bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	name, server := t.c.name, t.c.server
	t.c.bad = true
	t.e.pool.Reset()
	t.end()
	for t.trace.c != nil {
		found, err := t.e.fate(ctx, &t.trace, name, server, whole)
		switch {
		case (err != nil || found == running) && ctx.Err() == nil && !t.e.pool.Closed():
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		case err == nil && found == committed:
			return nil
		case err == nil && found == undone:
			return &fault.Error{Kind: fault.Unavailable, Op: "commit", Msg: "the database was away: nothing is stored", Err: cause}
		}
		break
	}
	return &fault.Error{Kind: fault.Unavailable, Op: "commit", Err: cause,
		Msg: "the database is away: what was to be written may or may not be stored"}
}

// fate reads the record of a trace on a new connection.
func (e *Engine) fate(ctx context.Context, t *trace, name, server string, whole bool) (fate, error) {
	c, err := e.pool.Take(ctx, writing)
	if err != nil {
		return unknown, err
	}
	s := session{e: e, c: c}
	defer s.end()
	over, known, err := e.gone(ctx, c, name, server)
	if err != nil {
		return unknown, err
	}
	var there bool
	var created, updated, rev int64
	err = c.each(ctx, `SELECT "created", "updated", "rev" FROM `+e.d.Quote(t.c.Name)+` WHERE "id" = ? LOCK IN SHARE MODE`, func(text func(int) string) error {
		there = true
		created, updated = millis([]byte(text(0))), millis([]byte(text(1)))
		var err error
		rev, err = strconv.ParseInt(text(2), 10, 64)
		return err
	}, expr.TextOf(t.id))
	told := t.fate(there, created, updated, rev)
	if err == nil && told == committed && !t.made {
		told, err = t.compared(ctx, e, c)
	}
	switch {
	case err != nil || told == committed || !whole && told == undone:
		return told, err
	case !known:
		return unknown, nil
	case told == undone || t.made && !there: // it was not stored, and will not be when nobody is left to do it
		if told = running; over {
			told = undone
		}
	}
	return told, nil
}

// compared looks whether the record is what the transaction made of it: another, whose clock said the same, may have
// given it the same revision after this one was undone. What is the same in all is as good as done.
func (t *trace) compared(ctx context.Context, e *Engine, c *conn) (fate, error) {
	sql, values := `SELECT 1 FROM `+e.d.Quote(t.c.Name)+` WHERE "id" = ?`, []expr.Value{expr.TextOf(t.id)}
	for name, v := range t.set {
		sql += ` AND ` + e.d.Quote(name) + ` <=> ?`
		values = append(values, v)
	}
	told := unknown
	err := c.each(ctx, sql, func(func(int) string) error { told = committed; return nil }, values...)
	return told, err
}
