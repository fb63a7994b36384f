package data

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// The journal is one row beside the app's tables: the shape of the database as far as Apply has come,
// the plan it is working off, and who is at it. Whatever Apply changes, it changes in one transaction with the
// journal, and only if the row is as it left it (its rev): a process that was overtaken, however long it
// slept and wherever, changes nothing more.
//
// Whoever applies holds a lease. Clocks decide only when one who waits may try to take over: when the lease is
// over by his clock, or he has not seen it renewed for as long as it lasts. A clock that is ahead stops the one
// who is at work, and the other goes on with his steps; one that is behind costs nothing.

const journalTable = "_migrations"

// leaseTime is how long a process that died keeps others waiting. A living one renews its lease.
const leaseTime = 4 * time.Second

var journalShape = &tableShape{Name: journalTable, Columns: []*columnShape{
	{Column: driver.Column{Name: "id", Kind: expr.Text, MaxLen: lenID}},
	{Column: driver.Column{Name: "created", Kind: expr.Time}},
	{Column: driver.Column{Name: "updated", Kind: expr.Time}},
	{Column: driver.Column{Name: "rev", Kind: expr.Int}},
	{Column: driver.Column{Name: "shape", Kind: expr.Text}},  // JSON of shape
	{Column: driver.Column{Name: "plan", Kind: expr.Text}},   // JSON of the steps being worked off; null: none
	{Column: driver.Column{Name: "done", Kind: expr.Int}},    // how many of them are done
	{Column: driver.Column{Name: "cursor", Kind: expr.Text}}, // in a fill: the last id
	{Column: driver.Column{Name: "filled", Kind: expr.Int}},  // in a fill: how many rows
	{Column: driver.Column{Name: "holder", Kind: expr.Text}}, // who applies; null: nobody
	{Column: driver.Column{Name: "until", Kind: expr.Time}},  // how long, unless renewed
}}

var journalCollection = collectionOf(journalShape)

const (
	journalID = "00000000-0000-7000-8000-000000000000"

	ordShape = spec.OrdFirst + iota - 1
	ordPlan
	ordDone
	ordCursor
	ordFilled
	ordHolder
	ordUntil
)

// journal is the row as this process knows it.
type journal struct {
	mu    sync.Mutex // a renewal runs beside the steps, and waits while one is run
	eng   driver.Engine
	clock func() time.Time

	rev   int64
	held  string // who had the lease when the row was read
	until int64  // and how long
	journaled
}

// journaled is what the row says.
type journaled struct {
	shape  *shape
	check  string // of the key (checkOf); "" when none was noted
	plan   []Step
	done   int
	cursor string
	filled int
	holder string
}

// readJournal reads the row; ok is false when there is none, and the database is Plinth's no more than
// anybody's.
func readJournal(ctx context.Context, eng driver.Engine, tables []driver.Table) (j *journal, ok bool, err error) {
	j = &journal{eng: eng, journaled: journaled{shape: &shape{}}}
	if !slices.ContainsFunc(tables, func(t driver.Table) bool { return t.Name == journalTable }) {
		return j, false, nil
	}
	s, err := eng.Prepare(&driver.Query{From: journalCollection, Cols: allColumns(journalCollection), Sort: byIDs, Limit: -1})
	if err != nil {
		return nil, false, err
	}
	var row Record
	err = eng.Read(ctx, func(r driver.Reader) error {
		return r.Rows(ctx, s, nil, func(cols driver.Columns) error {
			row = make(Record, len(journalCollection.Fields))
			cols.Record(row)
			return nil
		})
	})
	if err != nil || row == nil {
		return j, false, err
	}
	return j, true, j.load(row)
}

func (j *journal) load(row Record) error {
	j.rev, j.done = row[spec.OrdRev].Int(), int(row[ordDone].Int())
	j.cursor, j.filled = row[ordCursor].Text(), int(row[ordFilled].Int())
	j.held, j.until = row[ordHolder].Text(), row[ordUntil].Int()
	var kept journaledShape
	if err := json.Unmarshal([]byte(row[ordShape].Text()), &kept); err != nil {
		return fault.Wrap(fault.Internal, "read the migration journal", err)
	}
	*j.shape, j.check = kept.shape, kept.Key
	if row[ordPlan].IsNull() {
		return nil
	}
	var plan []journaledStep
	if err := json.Unmarshal([]byte(row[ordPlan].Text()), &plan); err != nil {
		return fault.Wrap(fault.Internal, "read the migration journal", err)
	}
	for _, s := range plan {
		j.plan = append(j.plan, Step{Text: s.Text, Lossy: s.Lossy, do: s.Do})
	}
	return nil
}

// journaledShape is the shape as the journal keeps it, with the check of the key.
type journaledShape struct {
	shape
	Key string `json:",omitempty"`
}

// journaledStep is a step as the journal keeps it.
type journaledStep struct {
	Text  string
	Lossy bool `json:",omitempty"`
	Do    action
}

// catchUp does to the shape what the database shows to be done of the plan, beyond what the journal says:
// where tables do not change in transactions, a process may die between a step and its entry.
func (j *journal) catchUp(tables []driver.Table) {
	if j.done == len(j.plan) {
		return
	}
	if a := j.plan[j.done].do; a.Change != nil && changed(*a.Change, tables) {
		j.did(a)
	}
}

// did says that the next step of the plan is done.
func (j *journal) did(a action) {
	j.shape.apply(a)
	j.done++
	j.cursor, j.filled = "", 0
}

// changed says whether the tables show that a step was done.
func changed(s driver.Step, tables []driver.Table) bool {
	find := func(name string) *driver.Table {
		i := slices.IndexFunc(tables, func(t driver.Table) bool { return t.Name == name })
		if i < 0 {
			return nil
		}
		return &tables[i]
	}
	switch s.Kind {
	case driver.CreateTable:
		return find(s.New.Name) != nil
	case driver.RenameTable:
		return find(s.Table) == nil && find(s.To) != nil
	case driver.DropTable:
		return find(s.Table) == nil
	}
	t := find(s.Table)
	if t == nil {
		return false
	}
	column := func(name string) bool {
		return slices.ContainsFunc(t.Columns, func(c driver.Column) bool { return c.Name == name })
	}
	index := slices.ContainsFunc(t.Indexes, func(x driver.TableIndex) bool { return x.Name == s.Index.Name })
	switch s.Kind {
	case driver.AddColumn:
		return column(s.Column.Name)
	case driver.RenameColumn:
		return !column(s.Column.Name) && column(s.To)
	case driver.DropColumn:
		return !column(s.Column.Name)
	case driver.CreateIndex:
		return index
	default:
		return !index
	}
}

// acquire takes the lease: at once, or when whoever has it ends or stops renewing it. It makes the journal
// when there is none. waiting, if there is one, is called while another has it.
func acquire(ctx context.Context, eng driver.Engine, holder string, clock func() time.Time, waiting func()) (*journal, error) {
	var seen int64 // the revision of the journal, and since when
	var since time.Time
	for {
		tables, err := eng.Inspect(ctx)
		if err != nil {
			return nil, err
		}
		j, ok, err := readJournal(ctx, eng, tables)
		if err != nil {
			return nil, err
		}
		j.clock, j.holder = clock, holder
		now := clock()
		if j.rev != seen || since.IsZero() {
			seen, since = j.rev, now
		}
		switch {
		case !ok:
			err = j.begin(ctx)
		case j.held == "" || now.UnixMilli() > j.until || now.Sub(since) > leaseTime:
			err = j.take(ctx)
		default:
			err = errOvertaken
		}
		if err == nil || !fault.Is(err, fault.Conflict) {
			return j, err
		}
		// Another has it, or was faster. Whoever has come out of a long step is given the time to renew his lease.
		if waiting != nil {
			waiting()
		}
		select {
		case <-time.After(leaseTime / 20):
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "another process is changing the schema")
		}
	}
}

// take goes on where the row says that another ended, with tables that are not older than the row.
func (j *journal) take(ctx context.Context) error {
	tables, err := j.eng.Inspect(ctx)
	if err != nil {
		return err
	}
	j.catchUp(tables)
	return j.keep(ctx)
}

// begin makes the journal; a conflict when another has.
func (j *journal) begin(ctx context.Context) error {
	create := driver.Step{Kind: driver.CreateTable, New: journalShape.def()}
	if err := retrying(ctx, func() error { return j.eng.Apply(ctx, create, nil) }); err != nil {
		return err
	}
	err := retrying(ctx, func() error {
		return j.eng.Write(ctx, func(tx driver.Tx) error {
			row, err := j.row()
			if err != nil {
				return err
			}
			row[spec.OrdID], row[spec.OrdCreated], row[spec.OrdRev] = expr.TextOf(journalID), row[spec.OrdUpdated], expr.IntOf(0)
			return tx.Insert(journalCollection, row)
		})
	})
	if fault.Is(err, fault.Unique) {
		return errOvertaken
	}
	return err
}

// row is the journal as a row, with the lease renewed.
func (j *journal) row() (Record, error) {
	row := make(Record, len(journalCollection.Fields))
	now := j.clock()
	text, err := json.Marshal(journaledShape{*j.shape, j.check})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "write the migration journal", err)
	}
	row[spec.OrdUpdated] = expr.TimeOf(now.UnixMilli())
	row[spec.OrdRev] = expr.IntOf(j.rev + 1)
	row[ordShape] = expr.TextOf(string(text))
	row[ordDone], row[ordFilled] = expr.IntOf(int64(j.done)), expr.IntOf(int64(j.filled))
	row[ordCursor] = textOrNull(j.cursor)
	if row[ordHolder] = textOrNull(j.holder); j.holder != "" {
		row[ordUntil] = expr.TimeOf(now.Add(leaseTime).UnixMilli())
	}
	if j.plan != nil {
		plan := make([]journaledStep, len(j.plan))
		for i, s := range j.plan {
			plan[i] = journaledStep{s.Text, s.Lossy, s.do}
		}
		if text, err = json.Marshal(plan); err != nil {
			return nil, fault.Wrap(fault.Internal, "write the migration journal", err)
		}
		row[ordPlan] = expr.TextOf(string(text))
	}
	return row, nil
}

var errOvertaken = fault.New(fault.Conflict, "another process has taken over the change of the schema")

// entry is what a write of the journal changes. Its revision is the fence.
var entry = []int{spec.OrdUpdated, spec.OrdRev, ordShape, ordPlan, ordDone, ordCursor, ordFilled, ordHolder, ordUntil}

// write sets columns of the row, if it is as this process left it, and keeps others from it until the
// transaction ends; a conflict when another has taken it over.
func (j *journal) write(tx driver.Tx, ords []int) error {
	row, err := j.row()
	if err != nil {
		return err
	}
	mine, err := tx.Update(journalCollection, journalID, j.rev, row, ords)
	if err == nil && !mine {
		err = errOvertaken
	}
	return err
}

// commit runs do, which runs the fence it is given in a transaction of the engine.
func (j *journal) commit(ctx context.Context, do func(fence func(driver.Tx) error) error) error {
	err := retrying(ctx, func() error {
		return do(func(tx driver.Tx) error { return j.write(tx, entry) })
	})
	if err == nil {
		j.rev++
	}
	return err
}

// change is commit with what set says in the journal. Where it fails the journal is as it was.
func (j *journal) change(ctx context.Context, set func(), do func(fence func(driver.Tx) error) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.journaled
	j.shape = was.shape.clone()
	set()
	err := j.commit(ctx, do)
	if err != nil {
		j.journaled = was
	}
	return err
}

// alone is a transaction of the journal's row and nothing else.
func (j *journal) alone(ctx context.Context) func(fence func(driver.Tx) error) error {
	return func(fence func(driver.Tx) error) error { return j.eng.Write(ctx, fence) }
}

// keep takes the lease, or renews it.
func (j *journal) keep(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commit(ctx, j.alone(ctx))
}

// release gives the lease up.
func (j *journal) release(ctx context.Context) error {
	return j.change(ctx, func() { j.holder = "" }, j.alone(ctx))
}

// renew keeps the lease while there is planning or settling, until stop is called. A step under way keeps it by its fence:
// the row of the journal stays locked.
func (j *journal) renew(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(leaseTime / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if j.keep(ctx) != nil {
					return // the next step finds out why
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// retrying runs fn again while it loses against other transactions.
func retrying(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if !fault.Is(err, fault.Retry) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, "change the schema", err)
		}
	}
}
