package data

import (
	"context"
	"errors"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Engines refuse a record by one unique index, and each looks through them in an order of its own. So where
// several could have refused it, the transaction runs once more and data looks itself, before it writes: then the
// answer names everything that is taken, in the order of the app file, on every engine. Writes that are not
// refused pay nothing for it.

// errTaken ends a transaction that is run again with work.looks.
var errTaken = errors.New("some unique value is taken")

// claim is a unique index and the question for the ids of the records that have its values.
type claim struct {
	of   *spec.Index
	ords []int // of the fields that the index compares
	stmt driver.Stmt
}

// claims prepares the unique indexes of a collection.
func (db *DB) claims(k *kind) error {
	for _, x := range k.Indexes {
		if !x.Unique {
			continue
		}
		c := claim{of: x}
		if x.Key != nil {
			c.ords = []int{x.Key.Ord}
		} else {
			for _, f := range x.Fields {
				c.ords = append(c.ords, comparedBy(f))
			}
		}
		q := equalTo(k, c.ords[0], driver.Unlocked)
		q.Cols = q.Cols[:1]
		if len(c.ords) > 1 {
			all := &expr.Node{Op: expr.OpAnd, Type: expr.Type{Kind: expr.Bool}}
			for i, ord := range c.ords {
				one := equalTo(k, ord, driver.Unlocked).Where
				one.Args[1].Index = i
				all.Args = append(all.Args, one)
			}
			q.Where = all
		}
		var err error
		if c.stmt, err = db.eng.Prepare(q); err != nil {
			return err
		}
		k.claims = append(k.claims, c)
	}
	return nil
}

// look refuses a record whose unique values other records have. old is nil for a new one, else what it was.
func (w *work) look(k *kind, old, rec Record) error {
	if !w.looks {
		return nil
	}
	id := rec[spec.OrdID].Text()
	var taken []string
	refused := false
	if old == nil {
		other, err := k.record(w.ctx, w.tx, k.whole, id)
		if err != nil {
			return err
		}
		if other != nil {
			refused, taken = true, append(taken, "id")
		}
	}
	own := id
	if old == nil {
		own = ""
	}
	for _, c := range k.claims {
		others, err := c.others(w.ctx, w.tx, rec, own)
		if err != nil {
			return err
		}
		if others {
			refused, taken = true, append(taken, namesOf(c.of, w.by)...)
		}
	}
	if !refused {
		return nil // what was in the way is gone
	}
	return conflict(taken)
}

// others says whether a record other than own has the values that rec has.
func (c *claim) others(ctx context.Context, rd driver.Reader, rec Record, own string) (others bool, err error) {
	args := make([]Value, len(c.ords))
	for i, ord := range c.ords {
		args[i] = rec[ord]
	}
	if slices.ContainsFunc(args, Value.IsNull) {
		return false, nil
	}
	err = rd.Rows(ctx, c.stmt, args, func(cols driver.Columns) error {
		others = others || string(cols.Text(0)) != own
		return nil
	})
	return others, err
}

// namesOf are the fields of an index that the caller may know of.
func namesOf(x *spec.Index, by *Caller) (names []string) {
	for _, f := range x.Fields {
		if visible(f, by) || writable(f, by) {
			names = append(names, f.Name)
		}
	}
	return names
}

// conflict says which fields have values that are taken.
func conflict(names []string) error {
	e := &fault.Error{Kind: fault.Conflict, Msg: "a value is taken"}
	for i, name := range names {
		if !slices.Contains(names[:i], name) {
			e.Fields = append(e.Fields, fault.Field{Pointer: fault.Pointer(name), Code: "unique", Message: "is taken"})
		}
	}
	return e
}

// taken is the conflict behind an engine's refusal. Where another index might have been named instead, and data
// has not looked yet, it is errTaken. isNew: the record's id may be what is taken.
func (w *work) taken(k *kind, err error, isNew bool) error {
	if err == nil {
		return nil
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Unique {
		return err
	}
	if k.Name == "_jobs" { // it was enqueued meanwhile, and is found when this is run again
		return &fault.Error{Kind: fault.Retry, Msg: "the job is there", Err: errTaken}
	}
	if ways := len(k.claims); !w.looks && (ways > 1 || ways == 1 && isNew) {
		return &fault.Error{Kind: fault.Retry, Msg: "a value is taken", Err: errTaken}
	}
	for _, x := range k.Indexes {
		if x.Name == e.Index {
			return conflict(namesOf(x, w.by))
		}
	}
	return conflict([]string{"id"})
}
