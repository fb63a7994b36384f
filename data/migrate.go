package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Step is one step of a schema change.
type Step struct {
	Text  string   `json:"text"`  // for people: add field "phone" (text) to contacts
	SQL   []string `json:"sql"`   // what the database is told; empty for values that are computed
	Lossy bool     `json:"lossy"` // something that was entered is lost

	do action
	// Where in the database of now the step's values are, for counting them; "" when they are not there yet.
	table, column string
	of            *tableShape // CreateIndex: the table as it will be
}

// Migration is what leads from the database as it is to the app's schema. It is complete when it has
// no steps.
type Migration struct {
	Steps []Step
	Fresh bool     // the database has no tables but, perhaps, an empty journal: nobody has used it yet
	Drift []string // what was changed outside Plinth, for people; what was added there is left alone

	app   *spec.App
	key   []byte
	found []driver.Table
	keyed bool // the database knows its key
	held  bool // another process has the lease of the journal
	rev   int64
}

// Losses names the steps that lose something, for people; "" when nothing is lost.
func (m *Migration) Losses() string {
	var steps []string
	for _, s := range m.Steps {
		if s.Lossy {
			steps = append(steps, s.Text)
		}
	}
	switch len(steps) {
	case 0:
		return ""
	case 1:
		return steps[0] + ": this loses data"
	}
	return strings.Join(steps, "; ") + ": these " + strconv.Itoa(len(steps)) + " steps lose data"
}

// Found are the tables that there were when this was planned.
func (m *Migration) Found() []driver.Table { return m.found }

// Plan compares an app with a database and finds the steps between them. It changes nothing, and it
// reads the rows that a step depends on: values that do not convert, duplicates under a new unique
// index and texts too long for a new index are found here, the last two as an error of kind Conflict.
//
// A plan that was interrupted is found too: what is left of it is part of the plan, as far as the app
// still wants it. key is the app's secret; it may be nil when the app has no encrypted fields. One that
// is not the key of the database is refused.
func Plan(ctx context.Context, app *spec.App, eng driver.Engine, key []byte) (*Migration, error) {
	for {
		tables, err := eng.Inspect(ctx)
		if err != nil {
			return nil, err
		}
		j, ok, err := readJournal(ctx, eng, tables)
		if err != nil {
			return nil, err
		}
		if !ok {
			if err := notOurs(app, tables); err != nil {
				return nil, err
			}
		}
		if err := j.suits(key); err != nil {
			return nil, err
		}
		j.catchUp(tables)
		m, err := plan(ctx, app, eng, key, j.shape, tables)
		if err == nil {
			m.tell(eng)
			m.found, m.keyed, m.held, m.rev = tables, j.check != "", ok && j.held != "", j.rev
			m.Fresh = !ok && !slices.ContainsFunc(tables, func(t driver.Table) bool { return t.Name != journalTable })
		}
		if err == nil || !moved(ctx, eng, j.rev) {
			return m, err
		}
		select { // tables changed while they were looked at
		case <-time.After(leaseTime / 20):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// PlanAlone is Plan when no other process is changing the schema, or whoever was does not renew its lease any
// more: of several servers that are started together one sets the database up. waiting is called while it waits.
func PlanAlone(ctx context.Context, app *spec.App, eng driver.Engine, key []byte, waiting func()) (*Migration, error) {
	var seen int64 // the revision of the journal, and since when
	var since time.Time
	for {
		m, err := Plan(ctx, app, eng, key)
		if err != nil || len(m.Steps) == 0 || !m.held {
			return m, err
		}
		if m.rev != seen || since.IsZero() {
			seen, since = m.rev, time.Now()
		}
		if time.Since(since) > leaseTime {
			return m, nil
		}
		waiting()
		select {
		case <-time.After(leaseTime / 20):
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, "wait for the schema", ctx.Err())
		}
	}
}

// moved says whether another process is changing the schema, or has since the journal was read.
func moved(ctx context.Context, eng driver.Engine, rev int64) bool {
	tables, err := eng.Inspect(ctx)
	if err != nil {
		return false
	}
	j, ok, err := readJournal(ctx, eng, tables)
	return err == nil && ok && (j.rev != rev || j.held != "" && time.Now().UnixMilli() < j.until)
}

// notOurs refuses a database without a journal whose tables are in the way.
func notOurs(app *spec.App, tables []driver.Table) error {
	for _, t := range tables {
		if _, ok := app.Collection(t.Name); ok {
			return fault.New(fault.Conflict, "the database has a table %q that Plinth did not make: use an empty database", t.Name)
		}
	}
	return nil
}

func plan(ctx context.Context, app *spec.App, eng driver.Engine, key []byte, now *shape, tables []driver.Table) (*Migration, error) {
	m := &Migration{app: app, key: key, Drift: drift(now, tables)}
	want := shapeOf(app)
	m.Steps = diff(now, want)
	if err := inTheWay(m.Steps, now, tables); err != nil {
		return nil, err
	}
	keys, err := keyring(key)
	if err != nil {
		return nil, err
	}
	sv := &surveyor{app: app, eng: eng, keys: keys, now: now}
	if err := sv.survey(ctx, m.Steps); err != nil {
		return nil, err
	}
	return m, nil
}

// inTheWay refuses steps that would make what others have made already: an engine would take it for its own, done
// before, whatever is in it.
func inTheWay(steps []Step, now *shape, tables []driver.Table) error {
	for _, s := range steps {
		if s.do.Change == nil {
			continue
		}
		for _, t := range tables {
			switch c := s.do.Change; {
			case c.Kind == driver.CreateTable && t.Name == c.New.Name && now.table(t.Name) == nil:
				return fault.New(fault.Conflict, "the database has a table %q that Plinth did not make: rename it there, or name the collection otherwise", t.Name)
			case c.Kind == driver.AddColumn && t.Name == s.table && now.table(t.Name).column(c.Column.Name) == nil &&
				slices.ContainsFunc(t.Columns, func(is driver.Column) bool { return is.Name == c.Column.Name }):
				return fault.New(fault.Conflict, "the table %q has a column %q that Plinth did not make: rename it there, or name the field otherwise", t.Name, c.Column.Name)
			}
		}
	}
	return nil
}

// tell adds what the database is told.
func (m *Migration) tell(eng driver.Engine) {
	var changes []driver.Step
	for _, s := range m.Steps {
		if s.do.Change != nil {
			changes = append(changes, *s.do.Change)
		}
	}
	var told [][]string
	if len(changes) > 0 {
		told = eng.Statements(changes...)
	}
	for i := range m.Steps {
		s := &m.Steps[i]
		if s.do.Change != nil {
			s.SQL, told = told[0], told[1:]
		}
		if s.SQL == nil {
			s.SQL = []string{}
		}
	}
}

func keyring(key []byte) (*Keyring, error) {
	if len(key) == 0 {
		return nil, nil
	}
	return NewKeyring(key)
}

// ApplyOptions come with Apply.
type ApplyOptions struct {
	AllowLoss bool
	// Progress is called in long work: rows done of all, and what is being done. Total is 0 while
	// another process is waited for.
	Progress func(done, total int, text string)
	// Settle is how long values wait to be computed for a column that an older version of the app does not
	// know to keep: until then each server that runs it has noticed, and writes no more (see plinth.Serve).
	// 0 where nobody else uses the database.
	Settle time.Duration

	clock func() time.Time
	batch int                     // rows of a backfill in one transaction
	after func(text string) error // tests end here what a crash would end
}

// Apply runs the steps. Each is journaled, so that after a crash the next Plan and Apply go on from where
// it ended. Of two processes that apply at once one does the work and the other waits; both return
// when the schema is the app's. One that was suspended until another took over changes nothing more, and ends
// with an error of kind Conflict. Steps that lose something run only with AllowLoss.
//
// An older version of the app may go on beside added fields and collections. It should be stopped before
// fields are renamed, converted or dropped.
func (m *Migration) Apply(ctx context.Context, eng driver.Engine, o ApplyOptions) error {
	if err := m.permit(o); err != nil {
		return err
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.batch == 0 {
		o.batch = batchRows
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	var tokens ids
	j, err := acquire(ctx, eng, tokens.next(o.clock()), o.clock, func() { o.Progress(0, 0, "another process is changing the schema: waiting") })
	if err != nil {
		return err
	}
	r := &run{m: m, eng: eng, o: o, j: j}
	if err := r.all(ctx); err != nil {
		if !r.crashed {
			_ = j.release(context.WithoutCancel(ctx)) // else others wait until it ends by itself
		}
		return err
	}
	return nil
}

func (m *Migration) permit(o ApplyOptions) error {
	if lost := m.Losses(); lost != "" && !o.AllowLoss {
		return fault.New(fault.Invalid, "%s; allow it with --allow-loss", lost)
	}
	return nil
}

// run is one Apply that holds the lease.
type run struct {
	m       *Migration
	eng     driver.Engine
	o       ApplyOptions
	j       *journal
	keys    *Keyring
	crashed bool
	settled bool
}

func (r *run) all(ctx context.Context) error {
	if err := r.j.keepKey(ctx, r.m.key); err != nil {
		return err
	}
	tables, err := r.eng.Inspect(ctx)
	if err != nil {
		return err
	}
	stop := r.j.renew(ctx)
	defer stop()
	// Another may have been here since the plan was made, and an interrupted one leaves its cursor.
	cursorOf, now := r.interrupted(), r.j.shape.clone()
	m, err := plan(ctx, r.m.app, r.eng, r.m.key, now, tables)
	if err != nil {
		return err
	}
	if err := m.permit(r.o); err != nil {
		return err
	}
	if r.keys, err = keyring(r.m.key); err != nil {
		return err
	}
	if len(m.Steps) > 0 {
		err := r.j.change(ctx, func() {
			r.j.shape, r.j.plan, r.j.done = now, m.Steps, 0
			if first := m.Steps[0].do.Fill; first == nil || cursorOf == nil || *first != *cursorOf {
				r.j.cursor, r.j.filled = "", 0
			}
		}, r.j.alone(ctx))
		if err != nil {
			return err
		}
	}
	if err := r.mark("plan"); err != nil {
		return err
	}
	for i := range m.Steps {
		if err := r.step(ctx, i); err != nil {
			return halfWay(i, m.Steps, err)
		}
	}
	stop()
	err = r.j.change(ctx, func() {
		r.j.journaled = journaled{shape: shapeOf(r.m.app), check: r.j.check}
	}, r.j.alone(ctx))
	if err != nil {
		return err
	}
	return r.mark("end")
}

// halfWay says of a step that failed that those before it are done.
func halfWay(i int, steps []Step, err error) error {
	if i == 0 || errors.Is(err, errOvertaken) {
		return err
	}
	return fmt.Errorf("step %d of %d failed: those before it are done, and the next apply begins with it: %s: %w", i+1, len(steps), steps[i].Text, err)
}

// interrupted is the fill at which an earlier Apply ended, if it was one.
func (r *run) interrupted() *fill {
	if r.j.done < len(r.j.plan) {
		return r.j.plan[r.j.done].do.Fill
	}
	return nil
}

// mark is where tests pull the plug.
func (r *run) mark(text string) error {
	if r.o.after == nil {
		return nil
	}
	err := r.o.after(text)
	r.crashed = r.crashed || err != nil
	return err
}

func (r *run) step(ctx context.Context, i int) error {
	s := r.j.plan[i]
	r.o.Progress(i, len(r.j.plan), s.Text)
	if s.do.Fill != nil {
		if err := r.settle(ctx, s.do.Fill); err != nil {
			return err
		}
		if err := r.fill(ctx, s.Text, s.do.Fill); err != nil {
			return err
		}
	}
	err := r.j.change(ctx, func() { r.j.did(s.do) }, func(fence func(driver.Tx) error) error {
		if s.do.Fill != nil {
			return r.eng.Write(ctx, fence)
		}
		return r.eng.Apply(ctx, *s.do.Change, fence)
	})
	if err != nil {
		return r.explain(ctx, s, err)
	}
	return r.mark("noted " + s.Text)
}

// settle waits once, before the first fill whose work an older writer would undo. One who leaves a default
// out does no harm.
func (r *run) settle(ctx context.Context, f *fill) error {
	if r.settled || r.m.Fresh || f.Kind == fillDefault || r.o.Settle <= 0 {
		return nil
	}
	r.settled = true
	r.o.Progress(0, 0, "servers that run the app as it was are given time to notice")
	select {
	case <-time.After(r.o.Settle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fill works off a fill in batches, from the journal's cursor on.
func (r *run) fill(ctx context.Context, text string, f *fill) error {
	err := r.j.change(ctx, func() {
		if col := r.j.shape.table(f.Table).column(f.Column); f.Kind == fillReseal && !slices.Contains(col.Sealed, f.Place) {
			col.Sealed = append([]string{f.Place}, col.Sealed...) // from now on values are sealed for either place
		}
	}, r.j.alone(ctx))
	if err != nil {
		return err
	}
	fl, err := newFiller(r.eng, r.m.app, r.keys, r.j.shape, f)
	if err != nil {
		return err
	}
	fl.loss = r.o.AllowLoss
	q := fl.query()
	q.Lock = driver.LockWrite
	stmt, err := r.eng.Prepare(q)
	if err != nil {
		return err
	}
	total, err := countRows(ctx, r.eng, fl.from, nil)
	if err != nil {
		return err
	}
	for n := 1; n > 0; {
		if n, err = r.batch(ctx, fl, stmt); err != nil {
			return err
		}
		r.o.Progress(r.j.filled, max(total, r.j.filled), text)
		if err := r.mark("batch of " + f.words()); err != nil {
			return err
		}
	}
	return nil
}

// batch fills the rows behind the cursor in one transaction with the journal, and says how many there were.
func (r *run) batch(ctx context.Context, fl *filler, stmt driver.Stmt) (n int, err error) {
	cursor, filled := r.j.cursor, r.j.filled
	err = r.j.change(ctx, func() {}, func(fence func(driver.Tx) error) error {
		return r.eng.Write(ctx, func(tx driver.Tx) error {
			if err := r.j.write(tx, []int{spec.OrdUpdated}); err != nil { // before the rows of another are touched
				return err
			}
			var err error
			if r.j.cursor, n, err = fl.batch(ctx, tx, stmt, cursor, r.o.batch); err != nil {
				return err
			}
			r.j.filled = filled + n
			return fence(tx)
		})
	})
	return n, err
}

// explain says which values stand in the way of a unique index.
func (r *run) explain(ctx context.Context, s Step, err error) error {
	c := s.do.Change
	if c == nil || c.Kind != driver.CreateIndex || !fault.Is(err, fault.Unique) {
		return err
	}
	sv := &surveyor{app: r.m.app, eng: r.eng, keys: r.keys, now: r.j.shape.clone()}
	if found := sv.duplicates(ctx, sv.now.table(c.Table), c.Index, "change the records, or take the index out of the app file"); found != nil {
		return found
	}
	return err
}

// countRows counts the rows that hold; a nil condition is all.
func countRows(ctx context.Context, eng driver.Engine, c *spec.Collection, where *expr.Node) (int, error) {
	s, err := eng.Prepare(&driver.Query{From: c, Where: where, Count: true, Limit: -1})
	if err != nil {
		return 0, err
	}
	n := 0
	err = eng.Read(ctx, func(r driver.Reader) error {
		return r.Rows(ctx, s, nil, func(cols driver.Columns) error {
			n = int(cols.Int(0))
			return nil
		})
	})
	return n, err
}

// plural is "1 value" or "3 values".
func plural(n int, what string) string {
	s := plain(expr.IntOf(int64(n))) + " " + what
	if n != 1 {
		s += "s"
	}
	return s
}

// fieldWords are the fields of an index, for people.
func fieldWords(x *spec.Index) string {
	names := make([]string, len(x.Fields))
	for i, f := range x.Fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}
