package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Collections are what package auth keeps for itself, in the words of an app file.
const Collections = `
_keys:
  fields:
    hash:      {type: text, max: 64, required: true}
    role:      {type: text, max: 40}
    operator:  {type: bool, required: true, default: false}
    read_only: {type: bool, required: true, default: false}
    expires:   {type: time}
    label:     {type: text, max: 120}
    used:      {type: time}
_operators:
  fields:
    email: {type: email, required: true, unique: true, ci: true}
`

// remembered is how long a credential that was found in the database is believed without asking
// again: a key that is removed is dead everywhere after it.
const remembered = 5 * time.Second

// Options of New. Zero values are the defaults.
type Options struct {
	Clock func() time.Time // default time.Now
	Log   *slog.Logger     // default slog.Default()
}

// Gate says who makes a request. It is safe for concurrent use.
type Gate struct {
	db    *data.DB
	mac   []byte
	clock func() time.Time
	log   *slog.Logger
	keys  columns

	mu     sync.RWMutex
	known  map[[32]byte]*pass // by the SHA-256 of the whole token
	noting sync.WaitGroup     // notes of use that are being written
	closed bool               // no more are begun
}

// pass is a credential that was found to be good.
type pass struct {
	caller  data.Caller
	until   time.Time // when it is looked up again
	expires time.Time // zero: never
}

// columns are the ordinals of the fields of _keys.
type columns struct{ hash, role, operator, readOnly, expires, label, used int }

// New makes the gate of an app. secret is the app's own: tokens of another app, or of this app
// under another secret, are refused without a look into the database.
func New(db *data.DB, secret []byte, o Options) (*Gate, error) {
	mac, err := data.Derive(secret, "sign tokens")
	if err != nil {
		return nil, err
	}
	c, ok := db.App().Collection("_keys")
	if !ok {
		return nil, fault.New(fault.Internal, "auth.Collections is missing among the app's collections")
	}
	g := &Gate{db: db, mac: mac, clock: o.Clock, log: o.Log, keys: columnsOf(c), known: map[[32]byte]*pass{}}
	if g.clock == nil {
		g.clock = time.Now
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	return g, nil
}

func columnsOf(c *spec.Collection) columns {
	ord := func(name string) int {
		f, _ := c.Field(name)
		return f.Ord
	}
	return columns{ord("hash"), ord("role"), ord("operator"), ord("read_only"), ord("expires"), ord("label"), ord("used")}
}

// Close waits for what is being noted of the use of keys. The database is closed after it.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.noting.Wait()
}

// find looks a token up: among those that are remembered, else, when its MAC is right, in the database.
func (g *Gate) find(ctx context.Context, text string) (*pass, error) {
	if len(text) != textLen {
		return nil, refused
	}
	now := g.clock()
	sum := sumOf(text)
	g.mu.RLock()
	p := g.known[sum]
	g.mu.RUnlock()
	if p == nil || !now.Before(p.until) {
		t, ok := parse(text, g.mac)
		if !ok {
			return nil, refused
		}
		var err error
		if p, err = g.lookUp(ctx, t); err != nil {
			return nil, err
		}
		g.remember(sum, p, now)
	}
	if p == nil || !p.expires.IsZero() && !now.Before(p.expires) {
		return nil, refused
	}
	return p, nil
}

// maxRemembered bounds the memory of the gate; whatever is in use comes back with one query.
const maxRemembered = 10_000

func (g *Gate) remember(sum [32]byte, p *pass, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p == nil {
		delete(g.known, sum)
		return
	}
	if len(g.known) >= maxRemembered {
		for k, old := range g.known {
			if !now.Before(old.until) {
				delete(g.known, k)
			}
		}
		if len(g.known) >= maxRemembered {
			clear(g.known)
		}
	}
	p.until = now.Add(remembered)
	g.known[sum] = p
}

// lookUp asks the database for a key. A key that is not there, has another secret, or whose role the
// app no longer has, is nil.
func (g *Gate) lookUp(ctx context.Context, t token) (*pass, error) {
	rec, err := g.record(ctx, t.keyID())
	if err != nil || rec == nil {
		return nil, err
	}
	c := &g.keys
	if !t.hasHash(rec[c.hash].Text()) {
		return nil, nil
	}
	p := &pass{caller: data.Caller{
		SignedIn: true,
		Role:     rec[c.role].Text(),
		Operator: rec[c.operator].Bool(),
		ReadOnly: rec[c.readOnly].Bool(),
		Scope:    "key:" + t.keyID(),
	}}
	if !p.caller.Operator && !hasRole(g.db.App(), p.caller.Role) {
		return nil, nil
	}
	if v := rec[c.expires]; !v.IsNull() {
		p.expires = time.UnixMilli(v.Int())
	}
	if p.expires.IsZero() || g.clock().Before(p.expires) {
		g.noteUse(t.keyID(), rec[c.used])
	}
	return p, nil
}

// noteEvery is how exactly the last use of a key is known: it costs a write in this time.
const noteEvery = time.Hour

// noteUse writes down that a key is used, beside the request. It is for people who look for keys that
// nobody needs: when it fails, nothing but that is lost.
func (g *Gate) noteUse(id string, last expr.Value) {
	now := g.clock()
	if !last.IsNull() && now.Sub(time.UnixMilli(last.Int())) < noteEvery {
		return
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed { // a request that has outlasted its app
		return
	}
	g.noting.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.patch(ctx, id, "used", now.UTC().Format(timeFormat)); err != nil && !fault.Is(err, fault.NotFound) {
			g.log.Debug("the use of a key was not noted", "key", id, "error", err)
		}
	})
}

const timeFormat = "2006-01-02T15:04:05.000Z"
