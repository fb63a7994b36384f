package data

import (
	"context"
	"sync"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

func noRecord(k *kind) error {
	return fault.New(fault.NotFound, "there is no such record in %s", k.Name)
}

// Get appends one record as JSON. A record that the caller may not read is not found. rev is 0 where the view does
// not show it, or expands.
func (db *DB) Get(ctx context.Context, by Caller, t Target, view View, dst []byte) (out []byte, rev int64, err error) {
	k, err := db.collection(by, t.Collection)
	if err != nil {
		return dst, 0, err
	}
	g := gettings.Get().(*getting)
	defer g.end()
	g.db, g.ctx, g.by, g.dst = db, ctx, by, dst
	if k.Access.Read == nil && !by.Operator {
		return dst, 0, denied(&g.by, "read "+k.Name)
	}
	if g.d, err = db.getDraft(k, &g.by, t.By, view); err != nil {
		return dst, 0, err
	}
	if ok, err := db.pass(&g.by, g.d.gates); err != nil {
		return dst, 0, err
	} else if !ok {
		return dst, 0, refused(db.makeGet(k, &g.by, t.By, view))
	}
	g.who = who{db.app, &g.by}
	g.scope = expr.Scope{Now: db.now().UnixMilli(), Auth: &g.who, Params: g.params[:]}
	if g.params[0], err = db.targetValue(k, t); err != nil {
		return dst, 0, err
	}
	if g.v, g.args, err = g.d.variant(db, &g.scope, g.key[:0], g.argBuf[:0]); err != nil {
		return dst, 0, err
	}
	if g.v.none {
		return dst, 0, noRecord(k)
	}
	switch {
	case len(g.d.more) == 0:
		err = db.eng.Rows(ctx, g.v.stmt, g.args, g.row)
	case g.d.alone():
		err = g.expand(db.eng)
	default:
		err = db.eng.Read(ctx, g.expand)
	}
	if err == nil && !g.found {
		err = noRecord(k)
	}
	return g.dst, g.rev, err
}

// getting is what reading one record needs. It is the most frequent request, so it is used again and
// allocates next to nothing.
type getting struct {
	db    *DB
	ctx   context.Context
	by    Caller
	who   who
	scope expr.Scope
	d     *draft
	v     *variant
	args  []Value
	dst   []byte
	rev   int64
	found bool

	params [1]Value
	argBuf [4]Value
	key    [32]byte

	row func(driver.Columns) error // print, bound once
}

var gettings = sync.Pool{New: func() any {
	g := &getting{}
	g.row = g.print
	return g
}}

func (g *getting) end() {
	*g = getting{row: g.row}
	gettings.Put(g)
}

// expand reads the record with what is expanded in it.
func (g *getting) expand(rd driver.Reader) error {
	rows, err := g.db.fetch(g.ctx, rd, g.d, g.v, &g.scope, g.args, nil)
	if err == nil && len(rows.rows) > 0 {
		g.found = true
		g.dst, err = rows.append(g.dst, 0)
		rows.release()
	}
	return err
}

func (g *getting) print(cols driver.Columns) error {
	g.found = true
	if g.v.rev >= 0 {
		g.rev = cols.Int(g.v.rev)
	}
	var err error
	if g.dst, err = g.db.appendRow(g.dst, g.d.k.Collection, g.v, cols); err == nil {
		g.dst = append(g.dst, '}')
	}
	return err
}

// getDraft finds or makes the draft of reading one record by id or by a unique field.
func (db *DB) getDraft(k *kind, by *Caller, field string, view View) (*draft, error) {
	var buf [128]byte
	key := draftKey(buf[:0], 'g', k, by)
	key = appendWords(key, field, view.Fields, view.Expand)
	if d, ok := db.drafts.find(key); ok {
		return d, nil
	}
	d, err := db.makeGet(k, by, field, view)
	if err != nil {
		return nil, err
	}
	db.drafts.keep(key, d)
	return d, nil
}

func (db *DB) makeGet(k *kind, by *Caller, field string, view View) (*draft, error) {
	d := &draft{k: k}
	a := &asker{db: db, by: by, root: k.Collection}
	ord := spec.OrdID
	if field != "" {
		f, err := a.field(k.Collection, "", 0, field, true)
		if err != nil || !f.Unique {
			return nil, fault.New(fault.NotFound, "there is no unique field %q in %s", field, k.Name)
		}
		ord = comparedBy(f)
	}
	fields, err := a.fields(k.Collection, "fields", 0, view.Fields)
	var badExpand error
	d.more, badExpand = a.expanded(k, view.Expand)
	if err := fault.Join(err, badExpand); err != nil {
		return nil, err
	}
	f := k.Fields[ord]
	d.where = &expr.Node{Op: expr.OpEq, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{
		fieldNode(f), {Op: expr.OpParam, Index: 0, Type: expr.Type{Kind: f.Kind()}}}}
	if rule := access(k, by, nil); rule != nil {
		d.where = expr.And(rule, d.where)
	}
	d.columns(by, fields)
	d.gates = a.gates
	d.sort = []driver.Key{{Ord: spec.OrdID}}
	return d.ready(), nil
}

// targetValue is the value by which a target is asked.
func (db *DB) targetValue(k *kind, t Target) (Value, error) {
	if t.By == "" {
		if !ValidID(t.ID) { // no engine is asked for what is no id: not all take any text
			return Value{}, noRecord(k)
		}
		return expr.TextOf(t.ID), nil
	}
	f, ok := k.Field(t.By)
	if !ok {
		return Value{}, noRecord(k)
	}
	return db.lookupValue(k, f, t.Value)
}

// lookupValue reads a text as the value by which a unique field is asked.
func (db *DB) lookupValue(k *kind, f *spec.Field, text string) (Value, error) {
	v, err := expr.ParseText(f.ExprType(), text) // folds a ci text
	if err != nil {
		return Value{}, fault.New(fault.BadRequest, "%q is not a value of %s", text, f.Name)
	}
	if f.KeyOrd >= 0 {
		return expr.TextOf(db.keys.Lookup(k.Collection, f, canonicalText(f, v))), nil
	}
	return v, nil
}

// record reads a whole record in a transaction or snapshot; nil when there is none.
func (k *kind) record(ctx context.Context, rd driver.Reader, stmt driver.Stmt, id string) (rec Record, err error) {
	if !ValidID(id) {
		return nil, nil
	}
	err = rd.Rows(ctx, stmt, []Value{expr.TextOf(id)}, func(cols driver.Columns) error {
		rec = k.copy(cols)
		return nil
	})
	return rec, err
}

// copy keeps a whole row.
func (k *kind) copy(cols driver.Columns) Record {
	rec := make(Record, len(k.Fields))
	cols.Record(rec)
	return rec
}

// fetcher finds the records that rules walk to, with full sight.
type fetcher struct {
	db  *DB
	ctx context.Context
	rd  driver.Reader
}

func (f fetcher) Fetch(collection, id string) ([]Value, error) {
	k := f.db.kinds[collection]
	return k.record(f.ctx, f.rd, k.whole, id)
}

func (f fetcher) Referring(collection string, ord int, id string) ([][]Value, error) {
	from := f.db.kinds[collection]
	to := f.db.kinds[from.Fields[ord].To]
	for _, r := range to.referrers {
		if r.from == from && r.field.Ord == ord {
			return r.records(f.ctx, f.rd, id)
		}
	}
	return nil, fault.New(fault.Internal, "%s.%s refers to nothing", collection, from.Fields[ord].Name)
}

// records reads the whole records that refer to id.
func (r *referrer) records(ctx context.Context, rd driver.Reader, id string) (all [][]Value, err error) {
	err = rd.Rows(ctx, r.stmt, []Value{expr.TextOf(id)}, func(cols driver.Columns) error {
		all = append(all, r.from.copy(cols))
		return nil
	})
	return all, err
}

// readable reads a record that the caller may read, and which of its fields he may read.
func (db *DB) readable(ctx context.Context, by *Caller, k *kind, id string) (rec Record, fields []bool, err error) {
	err = db.eng.Read(ctx, func(rd driver.Reader) error {
		if rec, err = k.record(ctx, rd, k.whole, id); err != nil {
			return err
		}
		if rec == nil {
			return noRecord(k)
		}
		may, err := db.holds(k.Access.Read, by, fetcher{db, ctx, rd}, rec)
		if err != nil {
			return err
		}
		if !may {
			return noRecord(k)
		}
		fields, err = db.readableFields(by, k, rec, fetcher{db, ctx, rd})
		return err
	})
	return rec, fields, err
}

// readableFields says which fields of a record the caller may read.
func (db *DB) readableFields(by *Caller, k *kind, rec Record, fetch expr.Fetcher) ([]bool, error) {
	fields := make([]bool, len(k.Fields))
	for _, f := range k.Fields {
		fields[f.Ord] = visible(f, by)
		if f.Read != nil && fields[f.Ord] {
			may, err := db.holds(f.Read, by, fetch, rec)
			if err != nil {
				return nil, err
			}
			fields[f.Ord] = may
		}
	}
	return fields, nil
}
