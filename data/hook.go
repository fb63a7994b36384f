package data

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Hook is Go code that stands in the way of the writes of a collection, or is told of them: whoever writes, and by
// whichever way. Before or After is given.
type Hook struct {
	Collection string
	Op         Op // Create, Update or Delete
	// Before runs inside the transaction, before the rules are asked about the record. It may change what will be
	// written, and refuse it with an error. It may run again, as a function of Transact may, and has no effects
	// but by Writing.Tx.
	Before func(ctx context.Context, c *Writing) error
	// After runs behind the commit, before the answer. What it does is lost when the process ends just then: what must
	// not be lost is a job, enqueued by Before.
	After func(ctx context.Context, c *Writing)
}

// Writing is a record that is being written, or was.
type Writing struct {
	Op         Op
	Collection string
	By         Caller // who writes
	Tx         *Tx    // the write it is a part of, for an operator; nil in After

	k        *kind
	old, rec Record
}

// ID is the record's.
func (c *Writing) ID() string {
	if c.rec != nil {
		return c.rec[spec.OrdID].Text()
	}
	return c.old[spec.OrdID].Text()
}

// Old is what a field was; null when the record is created, and where there is no such field.
func (c *Writing) Old(field string) Value { return c.value(c.old, field) }

// New is what a field is going to be; null when the record is deleted, and where there is no such field.
func (c *Writing) New(field string) Value { return c.value(c.rec, field) }

func (c *Writing) value(rec Record, field string) Value {
	f, ok := c.k.Field(field)
	if !ok || rec == nil {
		return Value{}
	}
	return rec[f.Ord]
}

// Set changes what a field is going to be: v is as encoding/json makes a client's value of it. It is of Before, of a
// record that is created or updated.
func (c *Writing) Set(field string, v any) error {
	f, ok := c.k.Field(field)
	if !ok || f.Companion != spec.Own || f.Ord < spec.OrdFirst || f.Set != nil || f.Type == spec.File {
		return fault.New(fault.Internal, "a hook cannot set %s.%s", c.Collection, field)
	}
	if c.rec == nil || c.Tx == nil {
		return fault.New(fault.Internal, "a hook sets %s.%s of a record that is not going to be written", c.Collection, field)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Internal, "set "+c.Collection+"."+field, err)
	}
	n, err := doc.Parse(text, doc.Limits{})
	if err != nil {
		return fault.Wrap(fault.Internal, "set "+c.Collection+"."+field, err)
	}
	var p problems
	value := p.value(f, n)
	if err := p.err(); err != nil {
		return err
	}
	c.rec[f.Ord] = value
	return nil
}

// hooks are those of one collection, by operation.
type hooks struct {
	before [Delete + 1][]func(context.Context, *Writing) error
	after  [Delete + 1][]func(context.Context, *Writing)
}

func (db *DB) hook(all []Hook) error {
	for _, h := range all {
		k, ok := db.kinds[h.Collection]
		switch {
		case !ok || k.System:
			return fault.New(fault.Invalid, "a hook is of the collection %q, which the app file does not have", h.Collection)
		case h.Op != Create && h.Op != Update && h.Op != Delete:
			return fault.New(fault.Invalid, "a hook of %s is of create, update or delete", h.Collection)
		}
		if h.Before != nil {
			k.before[h.Op] = append(k.before[h.Op], h.Before)
		}
		if h.After != nil {
			k.after[h.Op] = append(k.after[h.Op], h.After)
		}
	}
	return nil
}

// mostDeep is how deep hooks may write, one in another.
const mostDeep = 8

// before runs the hooks of a write.
func (w *work) before(k *kind, op Op, old, rec Record) (err error) {
	if len(k.before[op]) == 0 {
		return nil
	}
	w.hooked = true
	if w.depth++; w.depth > mostDeep {
		return fault.New(fault.Internal, "hooks write %d deep, one in another: %s comes to itself", mostDeep, k.Name)
	}
	defer func() { w.depth-- }()
	t := &Tx{w: w, by: &Caller{Operator: true, SignedIn: true, Scope: "hook"}}
	c := &Writing{Op: op, Collection: k.Name, By: *w.by, Tx: t, k: k, old: slices.Clone(old), rec: rec}
	defer func() { t.failed = errTxOver }()
	for _, f := range k.before[op] {
		if err := w.contained(k, f, c); err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
	}
	return nil
}

func (w *work) contained(k *kind, f func(context.Context, *Writing) error, c *Writing) (err error) {
	defer func() {
		if what := recover(); what != nil {
			w.db.log.Error("a hook panicked", "collection", k.Name, "panic", what, "stack", string(debug.Stack()))
			err = fault.Wrap(fault.Internal, "a hook of "+k.Name, fmt.Errorf("panic: %v", what))
		}
	}()
	return f(w.ctx, c)
}

// tell has the hooks told of a write when it is committed. Both records are plain.
func (w *work) tell(k *kind, op Op, old, rec Record) {
	if len(k.after[op]) == 0 {
		return
	}
	c := &Writing{Op: op, Collection: k.Name, By: *w.by, k: k, old: slices.Clone(old), rec: slices.Clone(rec)}
	for _, f := range k.after[op] {
		w.after = append(w.after, func(ctx context.Context) {
			defer func() {
				if what := recover(); what != nil {
					w.db.log.Error("a hook panicked", "collection", k.Name, "panic", what, "stack", string(debug.Stack()))
				}
			}()
			f(ctx, c)
		})
	}
}
