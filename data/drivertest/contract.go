package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// underContract wraps an engine and checks both sides of the driver's contract: that questions, records and
// arguments are whole and of their kinds, that answers and errors are of theirs, and that neither
// transactions nor rows are used after their end. A breach fails the test.
func underContract(t testing.TB, eng driver.Engine) driver.Engine {
	c := &contract{Engine: eng, t: t}
	t.Cleanup(func() { c.ended.Store(true) })
	if carrier, ok := eng.(driver.Carrier); ok && !eng.Caps().Transactions {
		return &carrying{c, carrier}
	}
	return c
}

// carrying is an engine that carries rows with records.
type carrying struct {
	*contract
	driver.Carrier
}

func (c *carrying) Carried(ctx context.Context, in, log *spec.Collection, most int, yield func(string, []driver.Record) error) error {
	seen, n := map[string]bool{}, 0
	var last error
	err := c.Carrier.Carried(ctx, in, log, most, func(id string, rows []driver.Record) error {
		if n++; n > most || seen[id] {
			c.breach("of %d records at most that carry rows %d are told, or %s twice", most, n, id)
		}
		seen[id] = true
		for _, r := range rows {
			(&guarded{c: c.contract}).whole(log, r)
		}
		last = yield(id, rows)
		return last
	})
	if last != nil && err != last {
		c.breach("Carried returns %v, not the error of yield: %v", err, last)
	} else if last == nil {
		c.kind(ctx, "Carried", err)
	}
	return err
}

func (c *carrying) Place(ctx context.Context, log *spec.Collection, rows []driver.Record, names []string) (int, error) {
	for _, r := range rows {
		(&guarded{c: c.contract}).whole(log, r)
	}
	n, err := c.Carrier.Place(ctx, log, rows, names)
	if n < 0 || n > len(rows) || fault.Is(err, fault.Unique) {
		c.breach("%d of %d rows are placed: %v", n, len(rows), err)
	}
	c.kind(ctx, "Place", err)
	return n, err
}

// carryTx is a Tx that carries rows.
type carryTx struct {
	*guarded
	in driver.CarryTx
}

func (g *carryTx) Carry(log *spec.Collection, rows []driver.Record) error {
	if err := g.use("Carry"); err != nil {
		return err
	}
	for _, r := range rows {
		g.whole(log, r)
	}
	err := g.in.Carry(log, rows)
	g.c.kind(context.Background(), "Carry", err)
	return err
}

type contract struct {
	driver.Engine
	t     testing.TB
	ended atomic.Bool // the test is over: a goroutine that it left behind cannot report any more
}

func (c *contract) breach(format string, args ...any) {
	if !c.ended.Load() {
		c.t.Errorf("contract: "+format, args...)
	}
}

// prepared is a statement with its question, which says of what kinds its outputs are.
type prepared struct {
	driver.Stmt
	q     *driver.Query
	kinds []expr.Kind
	args  map[int]bool // arguments that are used
}

func (c *contract) Prepare(q *driver.Query) (driver.Stmt, error) {
	p := &prepared{q: q, args: map[int]bool{}}
	if err := p.check(c.Caps()); err != nil {
		c.breach("query of %s: %v", q.From.Name, err)
	}
	s, err := c.Engine.Prepare(q)
	if err != nil {
		if k := fault.Of(err); k != fault.Capability {
			c.breach("Prepare fails with %s, want capability: %v", k, err)
		}
		return nil, err
	}
	p.Stmt = s
	return p, nil
}

// cols checks the outputs of a collection's record.
func (p *prepared) cols(c *spec.Collection, cols []driver.Col) error {
	for _, col := range cols {
		if col.Ord < 0 || col.Ord >= len(c.Fields) {
			return fmt.Errorf("there is no field %d of %s", col.Ord, c.Name)
		}
		if col.If != nil {
			p.kinds = append(p.kinds, expr.Bool)
			if err := p.condition(col.If); err != nil {
				return err
			}
		}
		p.kinds = append(p.kinds, c.Fields[col.Ord].Kind())
	}
	return nil
}

func (p *prepared) check(caps driver.Caps) error {
	q := p.q
	field := func(ord int) (*spec.Field, error) {
		if ord < 0 || ord >= len(q.From.Fields) {
			return nil, fmt.Errorf("there is no field %d", ord)
		}
		return q.From.Fields[ord], nil
	}
	grouped := len(q.Group) > 0 || len(q.Aggregates) > 0
	if (q.Count || grouped) && (len(q.Cols) > 0 || q.After != nil || q.Per != nil) {
		return errors.New("a count or group has columns, After or Per")
	}
	if q.Per != nil {
		p.kinds, p.args[q.Per.Arg] = append(p.kinds, expr.Text), true
		if q.Per.Limit >= 0 {
			p.args[q.Per.Limit] = true
		}
		if _, err := field(q.Per.Ord); err != nil {
			return err
		}
	}
	if q.Limit >= 0 {
		p.args[q.Limit] = true
	}
	if err := p.cols(q.From, q.Cols); err != nil {
		return err
	}
	if len(q.Joins) > 0 && !caps.Joins {
		return errors.New("the engine puts no records beside rows")
	}
	if len(q.Joins) > 0 && (q.Count || grouped || q.Per != nil || q.Lock != driver.Unlocked) {
		return errors.New("a count, a group, several parents or locked rows have Joins")
	}
	for _, j := range q.Joins {
		f, err := field(j.Ord)
		if err != nil {
			return err
		}
		if f.Type != spec.Ref || f.To != j.To.Name {
			return fmt.Errorf("%s is not a reference to %s", f.Name, j.To.Name)
		}
		if j.Where != nil {
			if err := p.condition(j.Where); err != nil {
				return err
			}
		}
		if err := p.cols(j.To, j.Cols); err != nil {
			return err
		}
	}
	for _, ord := range q.Group {
		f, err := field(ord)
		if err != nil {
			return err
		}
		p.kinds = append(p.kinds, f.Kind())
	}
	for _, a := range q.Aggregates {
		if a.Func == "count" {
			p.kinds = append(p.kinds, expr.Int)
			continue
		}
		f, err := field(a.Ord)
		if err != nil {
			return err
		}
		if a.Func == "sum" {
			p.kinds = append(p.kinds, expr.Text)
		} else {
			p.kinds = append(p.kinds, f.Kind())
		}
	}
	if q.Count {
		p.kinds = []expr.Kind{expr.Int}
	}
	if err := p.order(grouped); err != nil {
		return err
	}
	if q.Where == nil {
		return nil
	}
	return p.condition(q.Where)
}

func (p *prepared) order(grouped bool) error {
	q := p.q
	if !q.Count && !grouped && (len(q.Sort) == 0 || q.Sort[len(q.Sort)-1].Ord != spec.OrdID) {
		return errors.New("the sort does not end with id")
	}
	if q.After == nil {
		return nil
	}
	if len(q.After.Args) != len(q.Sort) || len(q.After.Null) != len(q.Sort) {
		return errors.New("After has not as many keys as the sort")
	}
	for i, arg := range q.After.Args {
		if !q.After.Null[i] {
			p.args[arg] = true
		}
	}
	return nil
}

func (p *prepared) condition(n *expr.Node) error {
	var bad error
	expr.Walk(n, func(n *expr.Node) bool {
		switch n.Op {
		case expr.OpAuth, expr.OpHas, expr.OpNow, expr.OpSlug, expr.OpAdd, expr.OpSub, expr.OpMul, expr.OpDiv, expr.OpMod, expr.OpNeg:
			bad = fmt.Errorf("%s reaches the engine", n.Op)
		case expr.OpRow:
			if n.Index == expr.VarInput {
				bad = errors.New("input reaches the engine")
			}
		case expr.OpParam:
			p.args[n.Index] = true
		}
		return bad == nil
	})
	return bad
}

func (c *contract) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return (&guarded{c: c, r: c.Engine}).Rows(ctx, s, args, yield)
}

func (c *contract) Read(ctx context.Context, fn func(driver.Reader) error) error {
	var fnErr error
	ran := false
	err := c.Engine.Read(ctx, func(r driver.Reader) error {
		g := &guarded{c: c, r: r}
		defer g.end()
		ran = true
		fnErr = fn(g)
		return fnErr
	})
	c.outcome(ctx, "Read", err, fnErr, ran)
	return err
}

func (c *contract) Write(ctx context.Context, fn func(driver.Tx) error) error {
	return c.within(ctx, "Write", fn, c.Engine.Write)
}

// within runs fn as a part of what the engine does.
func (c *contract) within(ctx context.Context, what string, fn func(driver.Tx) error, do func(context.Context, func(driver.Tx) error) error) error {
	var fnErr error
	ran := false
	err := do(ctx, func(tx driver.Tx) error {
		g := &guarded{c: c, r: tx, tx: tx}
		defer g.end()
		ran = true
		in, ok := tx.(driver.Inserter)
		carrier, carries := tx.(driver.CarryTx)
		switch last, finishes := tx.(driver.Finisher); {
		case carries:
			fnErr = fn(&carryTx{g, carrier})
		case finishes:
			fnErr = fn(&finisher{inserter{g, in}, last})
		case ok:
			fnErr = fn(&inserter{g, in})
		default:
			fnErr = fn(g)
		}
		return fnErr
	})
	c.outcome(ctx, what, err, fnErr, ran)
	return err
}

// outcome checks what a transaction returned.
func (c *contract) outcome(ctx context.Context, what string, err, fnErr error, ran bool) {
	switch {
	case ran && fnErr != nil && err != fnErr:
		c.breach("%s returns %v, not the error of its function: %v", what, err, fnErr)
	case err == nil && !ran:
		c.breach("%s succeeds and has not run its function", what)
	case fnErr == nil && err != nil:
		c.kind(ctx, what, err)
	}
}

// kind checks that an error is one that package data knows what to do with.
func (c *contract) kind(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return
	}
	var e *fault.Error
	allowed := []fault.Kind{fault.Internal, fault.BadRequest, fault.TooLarge, fault.Capability, fault.Unavailable, fault.Full, fault.Retry, fault.Unique}
	if !errors.As(err, &e) || !slices.Contains(allowed, e.Kind) {
		c.breach("%s fails with an error of no kind that an engine may have: %v", what, err)
		return
	}
	if e.Kind == fault.Unique && e.Index == "" {
		c.breach("%s: the index that refused is not named: %v", what, err)
	}
}

func (c *contract) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	if fence == nil {
		err := c.Engine.Apply(ctx, s, nil)
		c.kind(ctx, "Apply", err)
		return err
	}
	return c.within(ctx, "Apply", fence, func(ctx context.Context, fence func(driver.Tx) error) error { return c.Engine.Apply(ctx, s, fence) })
}

func (c *contract) Inspect(ctx context.Context) ([]driver.Table, error) {
	tables, err := c.Engine.Inspect(ctx)
	c.kind(ctx, "Inspect", err)
	return tables, err
}

// guarded is a Tx or Reader that knows its end.
type guarded struct {
	c    *contract
	r    driver.Reader
	tx   driver.Tx
	mu   sync.Mutex
	over bool
}

func (g *guarded) end() {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
}

// use says whether it may still be used.
func (g *guarded) use(what string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		return nil
	}
	g.c.breach("%s after the end of its transaction", what)
	return fault.New(fault.Internal, "a transaction was used after its end")
}

func (g *guarded) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if err := g.use("Rows"); err != nil {
		return err
	}
	p, ok := s.(*prepared)
	if !ok {
		g.c.breach("Rows of a statement that another engine prepared")
		return fault.New(fault.Internal, "a statement of another engine")
	}
	if p.q.Lock != driver.Unlocked && g.tx == nil {
		g.c.breach("rows of %s are locked outside a transaction", p.q.From.Name)
	}
	for i := range p.args {
		switch {
		case i < 0 || i >= len(args):
			g.c.breach("query of %s: argument %d is not given", p.q.From.Name, i)
			return fault.New(fault.Internal, "an argument is missing")
		case args[i].IsNull():
			g.c.breach("query of %s: argument %d is null", p.q.From.Name, i)
		}
	}
	var last error
	err := g.r.Rows(ctx, p.Stmt, args, func(cols driver.Columns) error {
		if last != nil {
			g.c.breach("a row is given after yield returned an error")
			return last
		}
		row := &rowColumns{c: g.c, cols: cols, kinds: p.kinds}
		defer func() { row.over = true }()
		for i := range p.kinds {
			row.kind(i)
		}
		last = yield(row)
		return last
	})
	if last != nil && err != last {
		g.c.breach("Rows returns %v, not the error of yield: %v", err, last)
	}
	if last == nil {
		g.c.kind(ctx, "Rows", err)
	}
	return err
}

func (g *guarded) Now() (int64, error) {
	if err := g.use("Now"); err != nil {
		return 0, err
	}
	ms, err := g.tx.Now()
	g.c.kind(context.Background(), "Now", err)
	return ms, err
}

func (g *guarded) Insert(c *spec.Collection, r driver.Record) error {
	if err := g.use("Insert"); err != nil {
		return err
	}
	g.whole(c, r)
	err := g.tx.Insert(c, r)
	g.c.kind(context.Background(), "Insert", err)
	return err
}

func (g *guarded) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	if err := g.use("Update"); err != nil {
		return false, err
	}
	g.record(c, r, ords)
	if len(ords) == 0 || slices.Contains(ords, spec.OrdID) {
		g.c.breach("an update of %s sets nothing, or the id", c.Name)
	}
	ok, err := g.tx.Update(c, id, rev, r, ords)
	g.c.kind(context.Background(), "Update", err)
	return ok, err
}

func (g *guarded) Delete(c *spec.Collection, ids []string) (int, error) {
	if err := g.use("Delete"); err != nil {
		return 0, err
	}
	n, err := g.tx.Delete(c, ids)
	if n > len(ids) || n < 0 {
		g.c.breach("%d of %d records of %s are deleted", n, len(ids), c.Name)
	}
	g.c.kind(context.Background(), "Delete", err)
	return n, err
}

// inserter is a Tx that stores many records at once.
type inserter struct {
	*guarded
	in driver.Inserter
}

func (g *inserter) InsertAll(all []driver.Insertion) (int, error) {
	if err := g.use("InsertAll"); err != nil {
		return 0, err
	}
	g.insertions(all)
	at, err := g.in.InsertAll(all)
	g.stops("InsertAll", all, at, err)
	return at, err
}

func (g *inserter) insertions(all []driver.Insertion) {
	for _, one := range all {
		g.whole(one.C, one.R)
		for _, to := range one.Refers {
			if to.C == nil || to.ID == "" || to.Missing {
				g.c.breach("a record of %s refers to %+v", one.C.Name, to)
			}
		}
	}
}

// stops checks where the storing of records has stopped, and why.
func (g *inserter) stops(what string, all []driver.Insertion, at int, err error) {
	missing := func(one driver.Insertion) bool {
		return slices.ContainsFunc(one.Refers, func(to driver.Reference) bool { return to.Missing })
	}
	switch {
	case at < 0 || at > len(all) || fault.Is(err, fault.Unique) && at == len(all):
		g.c.breach("%s stops at %d of %d: %v", what, at, len(all), err)
	case err == nil && at < len(all) && !missing(all[at]):
		g.c.breach("%s stops at %d of %d and does not say why", what, at, len(all))
	case slices.ContainsFunc(all[:at], missing):
		g.c.breach("%s stores a record whose reference is missing", what)
	}
	g.c.kind(context.Background(), what, err)
}

// finisher is a Tx that commits together with what is left to be stored.
type finisher struct {
	inserter
	last driver.Finisher
}

func (g *finisher) Finish(u *driver.Revision, all []driver.Insertion) (int, error) {
	if err := g.use("Finish"); err != nil {
		return 0, err
	}
	if u == nil && len(all) == 0 {
		g.c.breach("there is nothing to finish")
	}
	if u != nil {
		g.record(u.C, u.R, append([]int{spec.OrdCreated}, u.Ords...))
		if len(u.Ords) == 0 || slices.Contains(u.Ords, spec.OrdID) || slices.Contains(u.Ords, spec.OrdCreated) {
			g.c.breach("a revision of %s sets nothing, or what never changes", u.C.Name)
		}
	}
	g.insertions(all)
	at, err := g.last.Finish(u, all)
	g.end()
	switch {
	case u == nil:
		g.stops("Finish", all, at, err)
	case at > 0:
		g.stops("Finish", all, at-1, err)
	default:
		g.c.kind(context.Background(), "Finish", err)
	}
	return at, err
}

func (g *finisher) UpdateAll(all []driver.Revision) (int, error) {
	if err := g.use("UpdateAll"); err != nil {
		return 0, err
	}
	for _, u := range all {
		g.record(u.C, u.R, u.Ords)
		if u.C != all[0].C || len(u.Ords) == 0 || !slices.Equal(u.Ords, all[0].Ords) {
			g.c.breach("updates of %s and %s set different fields, or none", all[0].C.Name, u.C.Name)
		}
	}
	n, err := g.last.UpdateAll(all)
	if n < 0 || n > len(all) {
		g.c.breach("%d of %d records are updated", n, len(all))
	}
	g.c.kind(context.Background(), "UpdateAll", err)
	return n, err
}

// whole checks a record that is inserted.
func (g *guarded) whole(c *spec.Collection, r driver.Record) {
	g.record(c, r, nil)
	if len(r) > spec.OrdRev && (r[spec.OrdID].Text() == "" || r[spec.OrdRev].IsNull()) {
		g.c.breach("a record of %s without id or rev is inserted", c.Name)
	}
}

// record checks that values are of the kinds of their fields; ords nil: all of them.
func (g *guarded) record(c *spec.Collection, r driver.Record, ords []int) {
	if len(r) != len(c.Fields) {
		g.c.breach("a record of %s has %d values, want %d", c.Name, len(r), len(c.Fields))
		return
	}
	for i, v := range r {
		f := c.Fields[i]
		if v.IsNull() || ords != nil && !slices.Contains(ords, i) {
			continue
		}
		if v.Kind() != f.Kind() {
			g.c.breach("%s.%s is given a %s, want a %s", c.Name, f.Name, v.Kind(), f.Kind())
		}
		if v.Kind() == expr.Decimal && int(v.Scale()) != f.Scale {
			g.c.breach("%s.%s is given a decimal of scale %d, want %d", c.Name, f.Name, v.Scale(), f.Scale)
		}
		for _, item := range v.List() {
			if item.Kind() != f.Elem.Kind() {
				g.c.breach("an item of %s.%s is a %s, want a %s", c.Name, f.Name, item.Kind(), f.Elem.Kind())
			}
		}
	}
}

// rowColumns is a row that knows its end and its kinds.
type rowColumns struct {
	c     *contract
	cols  driver.Columns
	kinds []expr.Kind
	over  bool
}

// kind checks what the engine says of an output.
func (r *rowColumns) kind(i int) {
	v := r.cols.Value(i)
	if v.IsNull() != r.cols.Null(i) {
		r.c.breach("output %d is null and is not", i)
	}
	if !v.IsNull() && v.Kind() != r.kinds[i] {
		r.c.breach("output %d is a %s, want a %s", i, v.Kind(), r.kinds[i])
	}
}

func (r *rowColumns) asked(i int, kinds ...expr.Kind) {
	switch {
	case r.over:
		r.c.breach("a row is read after its yield returned")
	case i >= len(r.kinds):
		r.c.breach("output %d of %d is read", i, len(r.kinds))
	case kinds != nil && !slices.Contains(kinds, r.kinds[i]):
		r.c.breach("output %d is a %s and is read as %v", i, r.kinds[i], kinds)
	}
}

func (r *rowColumns) Null(i int) bool { r.asked(i); return r.cols.Null(i) }
func (r *rowColumns) Int(i int) int64 {
	r.asked(i, expr.Int, expr.Bigint, expr.Bool, expr.Time, expr.Decimal)
	return r.cols.Int(i)
}
func (r *rowColumns) Float(i int) float64 { r.asked(i, expr.Float); return r.cols.Float(i) }
func (r *rowColumns) Text(i int) []byte {
	r.asked(i, expr.Text, expr.Date, expr.JSON, expr.Bytes, expr.List)
	return r.cols.Text(i)
}
func (r *rowColumns) Value(i int) expr.Value { r.asked(i); return r.cols.Value(i) }
func (r *rowColumns) Record(dst driver.Record) {
	for i := range dst {
		r.asked(i)
	}
	r.cols.Record(dst)
	for i, v := range dst {
		if one := r.cols.Value(i); v.Kind() != one.Kind() || !expr.Equal(v, one) {
			r.c.breach("Record says %v of output %d, Value %v", v, i, one)
		}
	}
}
