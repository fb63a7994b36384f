package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// DB is the portable database of one app. It is safe for concurrent use.
type DB struct {
	app      *spec.App
	eng      driver.Engine
	observer Observer      // nil: nobody is told
	slow     time.Duration // from when a question is a line of the log; 0: never
	keys     *Keyring
	clock    func() time.Time
	log      *slog.Logger
	blobs    Blobs
	ids      ids
	kinds    map[string]*kind // by name of the collection
	lease    driver.Stmt      // every field of the lease whose name is argument 0, to be changed
	queue    queue            // of jobs
	teams    *teams           // nil: the app has none
	disables disables

	changes *changeLog // nil: the engine cannot keep one
	hints   *hints

	health singleflight.Group
	heavy  chan struct{} // a place for each heavy question that may run
	drafts cache[*draft] // by question

	signers sync.Pool // of *cursorSigner
}

// kind is what the database knows of a collection beside its model.
type kind struct {
	*spec.Collection
	whole     driver.Stmt // every field of the record whose id is argument 0
	wholeAll  []driver.Col
	lock      driver.Stmt // the same, to be changed
	gone      driver.Stmt // the same, to be deleted
	exists    driver.Stmt // the id alone, to be referred to
	referrers []referrer
	hooks
	byUnique map[string]driver.Stmt // every field, by the value of a unique field
	claims   []claim                // its unique indexes
	prefix   [][]byte               // by ordinal: `"name":`
	sealed   bool                   // it has encrypted fields
	files    bool                   // it has file fields
	others   bool                   // whether a record or a field may be read depends on other records
	whose    int                    // the field that names the user to whom a record gives rights: a membership's; else OrdID
	walks    bool                   // init, set or validate looks at other records: they run inside the transaction
}

// referrer is a reference (or a list of references) to a collection.
type referrer struct {
	from  *kind
	field *spec.Field
	stmt  driver.Stmt // every field of the records that refer to argument 0
	fate  driver.Stmt // the same, locked for what becomes of them when argument 0 is deleted; their ids alone, unless they are deleted too
}

// Open makes the database of an app on an engine whose schema is up to date (see Plan).
func Open(ctx context.Context, app *spec.App, eng driver.Engine, o Options) (*DB, error) {
	keys, err := NewKeyring(o.Key)
	if err != nil {
		return nil, err
	}
	db := &DB{app: app, eng: eng, keys: keys, clock: o.Clock, log: o.Log, blobs: o.Blobs, kinds: map[string]*kind{},
		heavy: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	if db.clock == nil {
		db.clock = time.Now
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	db.hints = newHints(eng, db.log)
	if db.observer = o.Observer; db.observer != nil {
		db.eng = observedEngine{eng, db.observer}
	}
	db.slow = o.Slow
	if err := eng.Use(app); err != nil {
		return nil, err
	}
	for _, c := range app.Collections {
		db.kinds[c.Name] = &kind{Collection: c, wholeAll: allColumns(c), walks: walks(c)}
	}
	var kinds errgroup.Group
	kinds.SetLimit(runtime.GOMAXPROCS(0)) // this is a tenth of a start
	for _, k := range db.kinds {
		kinds.Go(func() error { return db.prepareKind(k) })
	}
	if err := kinds.Wait(); err != nil {
		return nil, err
	}
	if err := db.openTeams(); err != nil {
		return nil, err
	}
	if db.changes, err = newChangeLog(db); err != nil {
		return nil, err
	}
	if err := db.hook(o.Hooks); err != nil {
		return nil, err
	}
	if k := db.kinds["_leases"]; k != nil {
		name, _ := k.Field("name")
		if db.lease, err = eng.Prepare(equalTo(k, name.Ord, driver.LockWrite)); err != nil {
			return nil, err
		}
	}
	if err := db.openQueue(); err != nil {
		return nil, err
	}
	db.queue.forget = o.Forget
	return db, nil
}

func (db *DB) prepareKind(k *kind) error {
	var err error
	if k.whole, err = db.eng.Prepare(equalTo(k, spec.OrdID, driver.Unlocked)); err != nil {
		return err
	}
	if k.lock, err = db.eng.Prepare(equalTo(k, spec.OrdID, driver.LockWrite)); err != nil {
		return err
	}
	if k.gone, err = db.eng.Prepare(equalTo(k, spec.OrdID, driver.LockGone)); err != nil {
		return err
	}
	k.others = leaves(k.Access.Read)
	exists := equalTo(k, spec.OrdID, driver.LockStay)
	exists.Cols = exists.Cols[:1]
	if k.exists, err = db.eng.Prepare(exists); err != nil {
		return err
	}
	if err = db.claims(k); err != nil {
		return err
	}
	k.byUnique = map[string]driver.Stmt{}
	for _, f := range k.Fields {
		if f.Unique {
			if k.byUnique[f.Name], err = db.eng.Prepare(equalTo(k, comparedBy(f), driver.Unlocked)); err != nil {
				return err
			}
		}
		k.prefix = append(k.prefix, append(doc.AppendString(nil, f.Name), ':'))
		k.sealed = k.sealed || f.Encrypted
		k.files = k.files || f.Type == spec.File
		k.others = k.others || leaves(f.Read)
	}
	for _, c := range db.app.Collections { // in the order of the app file: it says who is told of, and locked, first
		from := db.kinds[c.Name]
		for _, f := range from.Fields {
			if f.To != k.Name {
				continue
			}
			stmt, err := db.eng.Prepare(equalTo(from, f.Ord, driver.Unlocked))
			if err != nil {
				return err
			}
			fate := equalTo(from, f.Ord, fateOf(f))
			if f.OnDelete != spec.Cascade {
				fate.Cols = fate.Cols[:1]
			}
			r := referrer{from: from, field: f, stmt: stmt}
			if r.fate, err = db.eng.Prepare(fate); err != nil {
				return err
			}
			k.referrers = append(k.referrers, r)
		}
	}
	return nil
}

// fateOf is how the records that refer by f are locked when the one they refer to is deleted.
func fateOf(f *spec.Field) driver.Lock {
	switch f.OnDelete {
	case spec.Cascade:
		return driver.LockGone
	case spec.Clear:
		return driver.LockWrite
	default:
		return driver.LockStay
	}
}

// equalTo asks for every field of the records of k whose field ord equals (or, a list, contains)
// argument 0.
func equalTo(k *kind, ord int, lock driver.Lock) *driver.Query {
	f := k.Fields[ord]
	field := fieldNode(f)
	arg := &expr.Node{Op: expr.OpParam, Index: 0, Type: expr.Type{Kind: f.Kind()}}
	op, args := expr.OpEq, []*expr.Node{field, arg}
	if f.Type == spec.List {
		arg.Type = expr.Type{Kind: f.Elem.Kind(), Ref: f.To}
		op, args = expr.OpIn, []*expr.Node{arg, field}
	}
	return &driver.Query{
		From: k.Collection, Cols: k.wholeAll, Limit: -1, Lock: lock,
		Where: &expr.Node{Op: op, Type: expr.Type{Kind: expr.Bool}, Args: args},
		Sort:  []driver.Key{{Ord: spec.OrdID}},
	}
}

// fieldNode is a field of the record a query is about.
func fieldNode(f *spec.Field) *expr.Node {
	t := f.ExprType()
	t.Kind = f.Kind()
	return &expr.Node{Op: expr.OpField, Type: t, Index: f.Ord, Name: f.Name,
		Args: []*expr.Node{{Op: expr.OpRow, Index: expr.VarRecord, Type: expr.Type{Kind: expr.Row}}}}
}

func allColumns(c *spec.Collection) []driver.Col {
	cols := make([]driver.Col, len(c.Fields))
	for i := range c.Fields {
		cols[i].Ord = i
	}
	return cols
}

// walks says whether what is computed of a new record looks at other records.
func walks(c *spec.Collection) bool {
	for _, f := range c.Fields {
		if leaves(f.Init) || leaves(f.Set) {
			return true
		}
	}
	for _, v := range c.Validate {
		if leaves(v.Rule) {
			return true
		}
	}
	return false
}

// leaves says whether an expression looks at other records than its own.
func leaves(e *expr.Expr) bool { return e != nil && e.Walks }

// App is the app that the database serves.
func (db *DB) App() *spec.App { return db.app }

// Transactions says whether the database has them: see Series.
func (db *DB) Transactions() bool { return db.eng.Caps().Transactions }

// Keys are the keys derived from the app's secret.
func (db *DB) Keys() *Keyring { return db.keys }

// Close ends the engine after the writes under way.
func (db *DB) Close() error { return db.eng.Close() }

// Ready says whether the database can be read (err is nil) and written. A damaged one counts as one that
// cannot be read: what is still whole is served, but nobody should rely on it.
//
// Whoever asks while another does is told the same: a look writes, anybody may ask, and those who ask often shall not keep others from
// writing.
func (db *DB) Ready(ctx context.Context) (write bool, err error) {
	looked := db.health.DoChan("", func() (write any, err error) {
		defer func() {
			if p := recover(); p != nil {
				write, err = false, fmt.Errorf("panic: %v", p)
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), readyTime) // not of who came first, who may go
		defer cancel()
		return db.ready(ctx)
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case l := <-looked:
		return l.Val.(bool), l.Err
	}
}

// readyTime is the longest time in which it is known whether the database can be read and written.
const readyTime = 30 * time.Second

func (db *DB) ready(ctx context.Context) (write bool, err error) {
	err = db.eng.Check(ctx)
	if err == nil {
		return true, nil
	}
	var damage *driver.Damage
	if errors.As(err, &damage) {
		db.log.Error("the database is damaged: restore a backup", "error", err)
		return false, err
	}
	db.log.Error("the database cannot be written", "error", err)
	return false, db.eng.Read(ctx, func(rd driver.Reader) error { // a question: only an answer shows that there is one
		k := db.kinds["_answers"]
		_, err := k.record(ctx, rd, k.whole, "00000000-0000-7000-8000-000000000000")
		return err
	})
}

// Backup writes a consistent copy of the database while it is in use.
func (db *DB) Backup(ctx context.Context, w io.Writer, progress func(done, total int)) error {
	return db.eng.Backup(ctx, w, progress)
}

func (db *DB) now() time.Time { return db.clock() }

// collection finds a collection that the caller may name.
func (db *DB) collection(by Caller, name string) (*kind, error) {
	k, ok := db.kinds[name]
	if !ok || k.System && !by.system {
		return nil, fault.New(fault.NotFound, "there is no collection %q", name)
	}
	return k, nil
}

// cache holds what was compiled, by text. It forgets everything when it is full, which bounds what
// a client can make it hold; whatever is in use comes back at once.
type cache[T any] struct {
	mu    sync.RWMutex
	m     map[string]T
	spent int
}

const (
	cacheSize  = 4096     // entries
	cacheCost  = 32 << 20 // bytes, as far as they can be told
	entryCost  = 8 << 10  // bytes of an entry without its text
	letterCost = 200      // bytes that a letter of a filter becomes: nodes, statement, variants
	mostShapes = 64       // variants of one draft
)

func (c *cache[T]) find(key []byte) (T, bool) {
	c.mu.RLock()
	v, ok := c.m[string(key)]
	c.mu.RUnlock()
	return v, ok
}

func (c *cache[T]) keep(key []byte, v T) {
	c.mu.Lock()
	c.spend(entryCost + letterCost*len(key))
	c.m[string(key)] = v
	c.mu.Unlock()
}

// charge says that something that is kept has become larger.
func (c *cache[T]) charge(cost int) {
	c.mu.Lock()
	c.spend(cost)
	c.mu.Unlock()
}

func (c *cache[T]) spend(cost int) {
	if c.spent += cost; c.m == nil || len(c.m) >= cacheSize || c.spent > cacheCost {
		c.m, c.spent = make(map[string]T), cost
	}
}
