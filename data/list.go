package data

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Limits of lists.
const (
	defaultLimit = 30
	maxLimit     = 500
)

// List appends a page of records as JSON: {"items":[…],"next":"…","total":n}. Rows that the caller
// may not read are not there; next is there when more follow; total with q.Count.
func (db *DB) List(ctx context.Context, by Caller, q *ListQuery, dst []byte) ([]byte, error) {
	p, err := db.page(ctx, &by, q)
	if err != nil {
		return dst, err
	}
	ctx, done, err := db.patience(ctx, &by, p.draft)
	if err != nil {
		return dst, err
	}
	defer done()
	if db.slow > 0 {
		defer db.slowly(ctx, &by, asking{q.Filter, q.Sort, q.Expand, ""}, p, time.Now())
	}
	answer := func(rd driver.Reader) error {
		dst = append(dst, `{"items":[`...)
		if dst, err = db.appendItems(ctx, rd, p, dst); err != nil {
			return err
		}
		dst = append(dst, ']')
		if p.more {
			dst = append(dst, `,"next":"`...)
			dst = db.appendCursor(dst, q, p.last)
			dst = append(dst, '"')
		}
		if q.Count {
			n, err := db.count(ctx, rd, p.draft.counter, p.scope)
			if err != nil {
				return err
			}
			dst = strconv.AppendInt(append(dst, `,"total":`...), n, 10)
		}
		dst = append(dst, '}')
		return nil
	}
	if p.draft.alone() && !q.Count { // one query, which needs no transaction
		err = answer(db.eng)
	} else {
		err = db.eng.Read(ctx, answer)
	}
	return dst, err
}

// page is one page of a list, asked and then read.
type page struct {
	draft *draft
	v     *variant
	scope *expr.Scope
	args  []Value
	limit int

	rows int     // that were read
	full bool    // it ends here: the limit or the size of an answer is reached
	more bool    // there are rows behind it
	last []Value // the sort keys of its last row, when it is full
}

// maxAnswer is how long an answer may be, in bytes. A page ends early instead; an expansion is refused.
const maxAnswer = 16 << 20

// Questions that go through lists of records, or compare much, may cost much for each row: few run at a
// time, and none long.
const (
	heavyTime       = 5 * time.Second
	manyComparisons = 32
)

// patience holds a heavy question back until one of its kind may run, and bounds its time.
func (db *DB) patience(ctx context.Context, by *Caller, d *draft) (context.Context, func(), error) {
	if !d.heavy || by.Operator {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, heavyTime)
	select {
	case db.heavy <- struct{}{}:
		return ctx, func() { <-db.heavy; cancel() }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, fault.New(fault.Unavailable, "too many questions of this kind: try again")
	}
}

// errEnough ends the reading of a page that is full.
var errEnough = errors.New("the page is full")

// page prepares a page: everything that can be refused is refused here, before the database is asked.
func (db *DB) page(ctx context.Context, by *Caller, q *ListQuery) (*page, error) {
	p := &page{limit: q.Limit}
	if p.limit == 0 {
		p.limit = defaultLimit
	}
	if p.limit < 1 || p.limit > maxLimit {
		return nil, fault.At("limit", 1, "type", "must be between 1 and %d", maxLimit)
	}
	var lits [8]expr.Literal
	d, used, err := db.listDraft(by, q, lits[:0])
	if err != nil {
		return nil, err
	}
	p.draft = d
	if ok, err := db.pass(by, d.gates); err != nil {
		return nil, err
	} else if !ok {
		return nil, refused(db.makeList(d.k, by, q))
	}
	p.scope = db.scope(by, nil)
	if p.scope.Params, err = db.filterArgs(d.filter, used, q.Params); err != nil {
		return nil, err
	}
	p.args = make([]Value, 1, d.first+4)
	p.args[0] = expr.IntOf(int64(p.limit) + 1)
	var keyBuf [64]byte
	key := keyBuf[:0]
	if q.Cursor != "" {
		if key, p.args, err = db.readCursor(ctx, key, p.args, q, d); err != nil {
			return nil, err
		}
	} else {
		key = append(key, '-')
		p.args = p.args[:d.first:cap(p.args)]
	}
	p.v, p.args, err = d.variant(db, p.scope, key, p.args)
	return p, err
}

// listDraft finds or makes the draft of a list, and the literals of its filter.
func (db *DB) listDraft(by *Caller, q *ListQuery, lits []expr.Literal) (*draft, []expr.Literal, error) {
	k, err := db.collection(*by, q.Collection)
	if err != nil {
		return nil, nil, err
	}
	if k.Access.Read == nil && !by.Operator {
		return nil, nil, denied(by, "read "+k.Name)
	}
	var buf [256]byte
	key := appendWords(draftKey(buf[:0], 'l', k, by), q.Sort, q.Fields, q.Expand)
	key = strconv.AppendBool(key, q.Count)
	if key, lits, err = appendFilterShape(key, q.Filter, lits); err != nil {
		return nil, nil, err
	}
	if d, ok := db.drafts.find(key); ok {
		return d, lits, nil
	}
	d, err := db.makeList(k, by, q)
	if err != nil {
		return nil, nil, err
	}
	db.drafts.keep(key, d)
	return d, lits, nil
}

// draftKey begins the key of a draft: the kind of question, the collection, and who passes its rules.
func draftKey(dst []byte, question byte, k *kind, by *Caller) []byte {
	dst = append(dst, question)
	if by.Operator {
		dst = append(dst, 'o')
	}
	if by.system {
		dst = append(dst, 's')
	}
	return appendWords(append(dst, 0), k.Name)
}

// appendWords adds texts of clients to a key so that no two lists of texts make the same.
func appendWords(key []byte, words ...string) []byte {
	for _, w := range words {
		key = append(binary.AppendUvarint(key, uint64(len(w))), w...)
	}
	return key
}

func appendFilterShape(key []byte, filter string, lits []expr.Literal) ([]byte, []expr.Literal, error) {
	if filter == "" {
		return key, lits, nil
	}
	key, lits, err := expr.AppendShape(key, filter, lits)
	if err != nil {
		return nil, nil, filterError(err)
	}
	return key, lits, nil
}

func (db *DB) makeList(k *kind, by *Caller, q *ListQuery) (*draft, error) {
	d := &draft{k: k, letters: len(q.Filter)}
	a := &asker{db: db, by: by, root: k.Collection}
	filter, wrong := d.filtered(a, q.Filter)
	var badSort, badExpand error
	d.sort, badSort = a.sort(k.Collection, "sort", 0, q.Sort)
	fields, badFields := a.fields(k.Collection, "fields", 0, q.Fields)
	d.more, badExpand = a.expanded(k, q.Expand)
	if err := fault.Join(wrong, badSort, badFields, badExpand); err != nil {
		return nil, err
	}
	d.where = access(k, by, filter)
	d.columns(by, fields)
	d.first = 1 + len(d.sort)
	d.shape = func(v *variant, q *driver.Query, key []byte) {
		q.Limit = 0
		q.After = afterOf(key)
	}
	if q.Count {
		c := &draft{k: k, where: d.where, shape: func(_ *variant, q *driver.Query, _ []byte) { q.Count, q.Sort = true, nil }}
		d.counter = c.ready()
	}
	d.gates = a.gates
	return d.ready(), nil
}

// filtered compiles a filter, if there is one.
func (d *draft) filtered(a *asker, src string) (filter *expr.Node, err error) {
	if src == "" {
		return nil, nil
	}
	if d.filter, filter, err = a.filter(d.k.Collection, src); err == nil {
		d.heavy = quantifiers(filter) > 0 || comparisons(filter) > manyComparisons
	}
	return filter, err
}

// refused is what a caller hears who may not know a name of a question that others may ask: what he would
// hear were he the first to ask.
func refused(_ *draft, err error) error {
	if err == nil { // his rights changed between the two
		err = fault.New(fault.Unavailable, "try again")
	}
	return err
}

// filterArgs reads what a filter's literals and params are as the types they have there.
func (db *DB) filterArgs(filter *expr.Expr, lits []expr.Literal, params map[string]*doc.Node) ([]Value, error) {
	for name := range params {
		if filter == nil || !filter.Takes(name) {
			return nil, fault.At("param."+name, 1, "unknown", "the filter does not use param.%s", name)
		}
	}
	if filter == nil || len(filter.Params) == 0 {
		return nil, nil
	}
	args, err := filter.Args(make([]Value, 0, len(filter.Params)), lits, func(name string, t expr.Type) (Value, error) {
		n, ok := params[name]
		if !ok {
			return Value{}, fault.At("param."+name, 1, "required", "the filter uses param.%s, which is not given", name)
		}
		v, err := paramValue(n, t)
		if err != nil {
			return Value{}, fault.At("param."+name, 1, "type", "%s", err.Error())
		}
		return v, nil
	}, db.lookup)
	if err != nil {
		return nil, filterError(err)
	}
	return args, nil
}

// paramValue reads a bound value as the type it has in the filter.
func paramValue(n *doc.Node, t expr.Type) (Value, error) {
	switch n.Kind {
	case doc.Null:
		return Value{}, nil
	case doc.String:
		return expr.ParseText(t, n.Text)
	case doc.Bool:
		return expr.ParseValue(t, expr.BoolOf(n.Bool))
	case doc.Number:
		return expr.ParseText(t, n.Text)
	case doc.Array:
		if len(n.Items) > expr.MaxItems {
			return Value{}, fault.New(fault.BadRequest, "must have at most %d items", expr.MaxItems)
		}
		if t.Kind != expr.List {
			return Value{}, fault.New(fault.BadRequest, "must not be a list")
		}
		items := make([]Value, len(n.Items))
		for i := range n.Items {
			v, err := paramValue(&n.Items[i], t.Item())
			if err != nil {
				return Value{}, err
			}
			items[i] = v
		}
		return expr.ListOf(items...), nil
	}
	return Value{}, fault.New(fault.BadRequest, "must not be an object")
}

// lookup makes the keyed hash of a text that is asked of the searchable encrypted field "collection.field".
func (db *DB) lookup(field, text string) (string, error) {
	c, f, err := db.fieldNamed(field)
	if err != nil {
		return "", err
	}
	return db.keys.Lookup(c, f, text), nil
}

// appendItems reads the page's rows and prints them, separated by commas.
func (db *DB) appendItems(ctx context.Context, rd driver.Reader, p *page, dst []byte) ([]byte, error) {
	if p.v.none {
		return dst, nil
	}
	if len(p.draft.more) > 0 {
		s, err := db.fetch(ctx, rd, p.draft, p.v, p.scope, p.args, p)
		if err != nil {
			return dst, err
		}
		defer s.release()
		p.rows = len(s.rows)
		for i := range s.rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = s.append(dst, i); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	n, from := 0, len(dst)
	err := rd.Rows(ctx, p.v.stmt, p.args, func(cols driver.Columns) error {
		if p.full {
			p.more = true
			return errEnough
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		var err error
		if dst, err = db.appendRow(dst, p.draft.k.Collection, p.v, cols); err != nil {
			return err
		}
		dst = append(dst, '}')
		p.took(n, len(dst)-from, cols)
		return nil
	})
	p.rows = n
	if err == errEnough {
		err = nil
	}
	return dst, err
}

// took notes the keys of the page's last row: its nth, with which the answer is size bytes long.
func (p *page) took(n, size int, cols driver.Columns) {
	if n < p.limit && size < maxAnswer {
		return
	}
	p.full = true
	p.last = make([]Value, len(p.v.keys))
	for i, at := range p.v.keys {
		p.last[i] = cols.Value(at)
	}
}

// count counts the rows of a draft made for it.
func (db *DB) count(ctx context.Context, rd driver.Reader, d *draft, s *expr.Scope) (n int64, err error) {
	v, args, err := d.variant(db, s, nil, nil)
	if err != nil || v.none {
		return 0, err
	}
	err = rd.Rows(ctx, v.stmt, args, func(cols driver.Columns) error {
		n = cols.Int(0)
		return nil
	})
	return n, err
}

// Records reads a page as records, for Go code: plain, encrypted fields opened. Fields that the caller may
// not read, or did not ask for, are null. The second answer is the cursor of the next page, "" at the end.
// Expand and Count are for List.
func (db *DB) Records(ctx context.Context, by Caller, q *ListQuery) ([]Record, string, error) {
	if q.Expand != "" || q.Count {
		return nil, "", fault.New(fault.BadRequest, "records are read without expand and count")
	}
	p, err := db.page(ctx, &by, q)
	if err != nil || p.v.none {
		return nil, "", err
	}
	ctx, done, err := db.patience(ctx, &by, p.draft)
	if err != nil {
		return nil, "", err
	}
	defer done()
	if db.slow > 0 {
		defer db.slowly(ctx, &by, asking{q.Filter, q.Sort, "", ""}, p, time.Now())
	}
	var records []Record
	err = db.eng.Rows(ctx, p.v.stmt, p.args, func(cols driver.Columns) error {
		if p.full {
			p.more = true
			return errEnough
		}
		r := make(Record, len(p.draft.k.Fields))
		for _, o := range p.v.outs {
			if o.test < 0 || cols.Int(o.test) != 0 {
				r[o.field.Ord] = cols.Value(o.at)
			}
		}
		r[spec.OrdID] = cols.Value(p.v.id)
		if err := db.keys.open(p.draft.k.Collection, r); err != nil {
			return err
		}
		records, p.rows = append(records, r), len(records)+1
		p.took(len(records), 0, cols)
		return nil
	})
	if err == errEnough {
		err = nil
	}
	if err != nil || !p.more {
		return records, "", err
	}
	return records, string(db.appendCursor(nil, q, p.last)), nil
}

// fieldNamed finds "collection.field".
func (db *DB) fieldNamed(name string) (*spec.Collection, *spec.Field, error) {
	collection, field, _ := strings.Cut(name, ".")
	k, ok := db.kinds[collection]
	if !ok {
		return nil, nil, fault.New(fault.Internal, "there is no collection %q", collection)
	}
	f, ok := k.Field(field)
	if !ok {
		return nil, nil, fault.New(fault.Internal, "there is no field %q", name)
	}
	return k.Collection, f, nil
}
