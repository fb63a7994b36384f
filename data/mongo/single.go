package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// single is a write where the server has no transactions. It may read, and it changes one document, when its
// function has ended: a change is conditioned on the revision that was there, and a unique value is asked for
// before it is written, so that its refusal comes where it would in a transaction. What another writer did in
// the meantime is a conflict, and the function runs again. A second document is refused, and so is a question
// that would have to see the change.
//
// What is locked to be changed is held by its revision. What is locked to stay is not held: a record that is
// deleted while another comes to refer to it leaves a reference that leads to nothing, as null does.
type single struct {
	e      *Engine
	in     context.Context
	failed error

	c      *spec.Collection // of the pending change; nil: none
	id     string
	insert driver.Record
	was    int64         // the revision that is changed or deleted
	set    driver.Record // values of ords
	ords   []int
	gone   bool     // it is deleted
	over   bool     // what is inserted takes the place of a record that was deleted
	has    []string // the fields of what is deleted
	log    *spec.Collection
	rows   []driver.Record // of log, which travel with the change
	locks  map[string]int64
}

// What a write would need transactions for.
const (
	manyRecords = "several records in one transaction"
	afterward   = "a question after a change, in one transaction"
	twice       = "a record that takes another's place, in one transaction"
)

func needs(what string) *fault.Error {
	return &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database has no transactions, and this needs one: " + what}
}

func (t *single) fail(err error) error {
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

func (t *single) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	q, err := known(s)
	switch {
	case err != nil:
		return t.fail(err)
	case t.failed != nil:
		return t.failed
	case t.c != nil && slices.Contains(q.touches, t.c.Name):
		return t.fail(needs(afterward))
	}
	ctx = context.WithoutCancel(ctx)
	if q.q.Lock == driver.Unlocked {
		return t.e.rows(ctx, q, args, yield)
	}
	return t.e.found(ctx, q, args, func(c *columns) error {
		if t.locks == nil {
			t.locks = map[string]int64{}
		}
		t.locks[q.q.From.Name+" "+string(text(c.id))] = c.rev
		return yield(c)
	})
}

func (t *single) Now() (int64, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	ms, err := t.e.now(t.in)
	return ms, t.fail(err)
}

// mine says whether the document is the one that is changed already; another one is refused.
func (t *single) mine(c *spec.Collection, id string) (bool, error) {
	switch {
	case t.failed != nil:
		return false, t.failed
	case t.c == nil:
		return false, nil
	case t.c.Name == c.Name && t.id == id:
		return true, nil
	default:
		return false, t.fail(needs(manyRecords))
	}
}

func (t *single) Insert(c *spec.Collection, r driver.Record) error {
	id := r[spec.OrdID].Text()
	mine, err := t.mine(c, id)
	if err != nil {
		return err
	}
	if mine {
		return t.fail(needs(twice))
	}
	over, err := t.free(c, id, true, r, nil)
	if err != nil {
		return t.fail(err)
	}
	t.c, t.id, t.insert, t.over = c, id, slices.Clone(r), over
	return nil
}

func (t *single) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	mine, err := t.mine(c, id)
	if err != nil {
		return false, err
	}
	was := rev
	if mine {
		if now := t.revision(); t.gone || now != rev {
			return false, nil
		}
		was = t.was
	} else if held, ok := t.locks[c.Name+" "+id]; !ok || held != rev {
		now, there, _, err := t.read(c, id)
		switch {
		case err != nil:
			return false, t.fail(err)
		case ok:
			return false, t.fail(fault.New(fault.Retry, "a record that was read has changed"))
		case !there || now != rev:
			return false, nil
		}
	}
	if _, err := t.free(c, id, false, r, ords); err != nil {
		return false, t.fail(err)
	}
	t.c, t.id, t.was = c, id, was
	if t.insert != nil {
		for _, ord := range ords {
			t.insert[ord] = r[ord]
		}
		return true, nil
	}
	if t.set == nil {
		t.set = make(driver.Record, len(c.Fields))
	}
	for _, ord := range ords {
		t.set[ord] = r[ord]
		if !slices.Contains(t.ords, ord) {
			t.ords = append(t.ords, ord)
		}
	}
	return true, nil
}

// revision is what the pending document's revision is.
func (t *single) revision() int64 {
	switch {
	case t.insert != nil:
		return t.insert[spec.OrdRev].Int()
	case slices.Contains(t.ords, spec.OrdRev):
		return t.set[spec.OrdRev].Int()
	default:
		return t.was
	}
}

func (t *single) Delete(c *spec.Collection, ids []string) (int, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	n := 0
	if t.c != nil && t.c.Name == c.Name && slices.Contains(ids, t.id) {
		own := t.id
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == own })
		switch {
		case t.gone:
		case t.insert != nil: // nothing came of it
			n, *t = 1, single{e: t.e, in: t.in, locks: t.locks}
		default:
			n, t.gone = 1, true
		}
	}
	if len(ids) == 0 {
		return n, nil
	}
	found := map[string]int64{}
	var has []string
	which := is("_id", "$in", list(ids))
	if len(ids) == 1 {
		which = field("_id", ids[0])
	}
	err := t.e.server.rows(t.in, asked{from: c.Name, filter: which, project: bson.D{}}, func(d bson.Raw) error {
		if _, err := d.LookupErr(emptied); err == nil {
			return nil
		}
		found[string(text(d.Lookup("_id")))] = number64(d.Lookup("rev"))
		has = fields(d)
		return nil
	})
	if err != nil {
		return 0, t.fail(classify("delete", err))
	}
	for _, id := range ids {
		_, there := found[id]
		if _, held := t.locks[c.Name+" "+id]; held && !there {
			return 0, t.fail(fault.New(fault.Retry, "another deleted the record in the meantime"))
		}
	}
	if len(found) > 1 || len(found) == 1 && t.c != nil {
		return 0, t.fail(needs(manyRecords))
	}
	for id, rev := range found {
		if held, ok := t.locks[c.Name+" "+id]; ok && held != rev {
			return 0, t.fail(fault.New(fault.Retry, "the record changed in the meantime"))
		}
		t.c, t.id, t.was, t.gone, t.has = c, id, rev, true, has
	}
	return n + len(found), nil
}

// read finds the revision of a record; or that one was deleted, which has left its document.
func (t *single) read(c *spec.Collection, id string) (rev int64, there, left bool, err error) {
	err = t.e.server.rows(t.in, asked{from: c.Name, filter: field("_id", id), project: bson.D{{Key: "rev", Value: int32(1)}, {Key: emptied, Value: int32(1)}}}, func(d bson.Raw) error {
		_, err := d.LookupErr(emptied)
		left = err == nil
		rev, there = number64(d.Lookup("rev")), !left
		return nil
	})
	return rev, there, left, classify("read", err)
}

// free says whether the unique values of a record are free, as far as ords names them (nil: all). over says that a record
// with the id was deleted, and has left its document.
func (t *single) free(c *spec.Collection, id string, fresh bool, r driver.Record, ords []int) (over bool, err error) {
	keys, err := t.e.uniques(c.Name)
	if err != nil {
		return false, err
	}
	ordinal := func(column string) int {
		return slices.IndexFunc(c.Fields, func(f *spec.Field) bool { return f.Name == column })
	}
	value := func(column string) (v expr.Value, touched, ok bool) {
		ord := ordinal(column)
		switch {
		case ord < 0:
			return v, false, false
		case ords == nil || slices.Contains(ords, ord):
			return r[ord], true, true
		case t.insert != nil:
			return t.insert[ord], false, true
		case t.set != nil && slices.Contains(t.ords, ord):
			return t.set[ord], false, true
		default:
			return v, false, false
		}
	}
	if fresh {
		var there bool
		if _, there, over, err = t.read(c, id); err != nil || there {
			if err == nil {
				err = &fault.Error{Kind: fault.Unique, Index: "id"}
			}
			return false, err
		}
	}
	for _, x := range keys {
		filter, asked, null := bson.D{{Key: "_id", Value: op("$ne", id)}}, false, false
		var rest []string // columns that keep what they have
		for _, column := range x.Columns {
			v, touched, known := value(column)
			asked = asked || touched
			switch {
			case !known:
				rest = append(rest, stored(column))
			case v.IsNull():
				null = true
			default:
				filter = append(filter, bson.E{Key: stored(column), Value: encode(v)})
			}
		}
		if !asked || null {
			continue
		}
		taken, err := t.taken(c, id, filter, rest)
		if err != nil {
			return false, err
		}
		if taken {
			return false, &fault.Error{Kind: fault.Unique, Index: x.Name}
		}
	}
	return over, nil
}

// taken says whether a document fits a filter, and is in these fields as the one with the id is.
func (t *single) taken(c *spec.Collection, id string, filter bson.D, same []string) (bool, error) {
	ctx := context.Background()
	if len(same) > 0 {
		project := bson.D{}
		for _, name := range same {
			project = append(project, bson.E{Key: name, Value: int32(1)})
		}
		whole := true
		err := t.e.server.rows(ctx, asked{from: c.Name, filter: field("_id", id), project: project}, func(d bson.Raw) error {
			for _, name := range same {
				v, err := d.LookupErr(name)
				if err != nil {
					whole = false // null: nulls are many
					return nil
				}
				v.Value = append([]byte(nil), v.Value...)
				filter = append(filter, bson.E{Key: name, Value: v})
			}
			return nil
		})
		if err != nil || !whole {
			return false, classify("read", err)
		}
	}
	taken := false
	err := t.e.server.rows(ctx, asked{from: c.Name, filter: filter, project: field("_id", int32(1)), limit: 1}, func(bson.Raw) error {
		taken = true
		return nil
	})
	return taken, classify("read", err)
}

// flush writes the one document.
func (t *single) flush(ctx context.Context) error {
	switch {
	case t.failed != nil:
		return t.failed
	case t.c == nil:
		return nil
	}
	var n int64
	var err error
	switch {
	case t.over:
		n, err = t.e.server.update(ctx, t.c.Name, bson.D{{Key: "_id", Value: t.id}, {Key: emptied, Value: true}}, t.anew(), one)
	case t.insert != nil:
		n, err = 1, t.e.server.insert(ctx, t.c.Name, t.fresh())
	case t.gone && len(t.rows) > 0:
		n, err = t.e.server.update(ctx, t.c.Name, revision(t.id, t.was), t.empty(), one)
	case t.gone:
		n, err = t.e.server.delete(ctx, t.c.Name, revision(t.id, t.was))
	default:
		n, err = t.e.server.update(ctx, t.c.Name, revision(t.id, t.was), setting(t.carry(nil), t.c, t.set, t.ords), one)
	}
	err = classify("write", err)
	switch {
	case fault.Is(err, fault.Unique): // since it was asked for: asked again, the answer has its name
		t.e.forget(t.c.Name)
		return fault.New(fault.Retry, "another took the value")
	case err != nil:
		return err
	case n == 0:
		return fault.New(fault.Retry, "another changed the record")
	default:
		return nil
	}
}
