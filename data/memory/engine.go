package memory

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Engine is a database in memory. Its zero value is not ready: use Open.
type Engine struct {
	state  atomic.Pointer[state]
	app    atomic.Pointer[spec.App]
	writer chan struct{} // holds one token: who has it may write
	closed atomic.Bool
}

// state is the whole database at one moment, never changed once it is in place.
type state struct {
	tables map[string]*table
}

// Open makes an empty database.
func Open() *Engine {
	e := &Engine{writer: make(chan struct{}, 1)}
	e.state.Store(&state{tables: map[string]*table{}})
	return e
}

func (e *Engine) Name() string { return "memory" }

func (e *Engine) Caps() driver.Caps {
	return driver.Caps{Transactions: true, Paths: true, Joins: true, Ordered: true}
}

func (e *Engine) Use(app *spec.App) error {
	e.app.Store(app)
	return nil
}

func (e *Engine) Write(ctx context.Context, fn func(driver.Tx) error) error {
	return e.change(ctx, func(next *state) error { return fn(e.within(next)) })
}

// within is the transaction that changes a state.
func (e *Engine) within(next *state) *tx { return &tx{view{state: next, app: e.app.Load()}} }

// change runs fn on a copy of the state, alone, and puts the copy in place if fn succeeds.
func (e *Engine) change(ctx context.Context, fn func(*state) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case e.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.writer }()
	if e.closed.Load() {
		return errClosed()
	}
	next := &state{tables: maps.Clone(e.state.Load().tables)}
	if err := fn(next); err != nil {
		return err
	}
	e.state.Store(next)
	return nil
}

func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.closed.Load() {
		return errClosed()
	}
	return fn(&view{state: e.state.Load(), app: e.app.Load()})
}

func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return e.Read(ctx, func(r driver.Reader) error { return r.Rows(ctx, s, args, yield) })
}

func (e *Engine) Check(ctx context.Context) error {
	return e.change(ctx, func(*state) error { return nil })
}

// Verify finds nothing: what is in memory is whole as long as it is there.
func (e *Engine) Verify(ctx context.Context) error {
	return e.Read(ctx, func(driver.Reader) error { return nil })
}

func (e *Engine) Close() error {
	e.writer <- struct{}{} // a write under way ends first
	e.closed.Store(true)
	<-e.writer
	return nil
}

func errClosed() error { return fault.New(fault.Unavailable, "the database is closed") }

// tx is a view that changes its state, which nobody else sees yet.
type tx struct{ view }

// Now is the process's clock: nobody else has this database.
func (t *tx) Now() (int64, error) { return time.Now().UnixMilli(), nil }

func (t *tx) table(c *spec.Collection) (*table, layout, error) {
	tab, ok := t.state.tables[c.Name]
	if !ok {
		return nil, layout{}, noTable(c.Name)
	}
	l, err := tab.layout(c)
	return tab, l, err
}

func (t *tx) Insert(c *spec.Collection, r driver.Record) error {
	tab, l, err := t.table(c)
	if err != nil {
		return err
	}
	row := make([]expr.Value, len(tab.def.Columns))
	for ord, col := range l.cols {
		row[col] = r[ord]
	}
	if _, taken := tab.rows.get(row[spec.OrdID].Text()); taken {
		return &fault.Error{Kind: fault.Unique, Index: "id"}
	}
	tab, err = tab.put(row)
	if err != nil {
		return err
	}
	t.state.tables[c.Name] = tab
	return nil
}

func (t *tx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	tab, l, err := t.table(c)
	if err != nil {
		return false, err
	}
	old, ok := tab.rows.get(id)
	if !ok || old[l.cols[spec.OrdRev]].Int() != rev {
		return false, nil
	}
	row := slices.Clone(old)
	for _, ord := range ords {
		row[l.cols[ord]] = r[ord]
	}
	tab, err = tab.put(row)
	if err != nil {
		return false, err
	}
	t.state.tables[c.Name] = tab
	return true, nil
}

func (t *tx) Delete(c *spec.Collection, ids []string) (int, error) {
	tab, ok := t.state.tables[c.Name]
	if !ok {
		return 0, noTable(c.Name)
	}
	n := 0
	for _, id := range ids {
		next, had := tab.del(id)
		tab = next
		if had {
			n++
		}
	}
	t.state.tables[c.Name] = tab
	return n, nil
}

func noTable(name string) error {
	return fault.New(fault.Internal, "memory: there is no table %q", name)
}
