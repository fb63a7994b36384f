package data

import (
	"context"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Channel is a channel with a key as one caller sees it: what the app's rules say of him. It is safe for concurrent use.
type Channel struct {
	Presence bool // who listens is seen by the others, unless it is a read-only key

	db  *DB
	by  Caller
	c   *spec.Channel
	key string // "": none
}

// mostKey is how long the key of a channel may be.
const mostKey = 100

// Channel finds a channel. Nothing is asked of its rules yet.
func (db *DB) Channel(by Caller, name, key string) (*Channel, error) {
	c, ok := db.app.Channel(name)
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no channel %q", name)
	}
	switch {
	case c.To != "" && !ValidID(key):
		return nil, fault.New(fault.NotFound, "the key of %s is the id of one of %s, as in %s/ID", name, c.To, name)
	case key != "" && !validKey(key):
		return nil, fault.New(fault.NotFound, "the key of a channel has 1 to %d of A-Z a-z 0-9 . _ ~ -, and is not presence", mostKey)
	}
	return &Channel{Presence: c.Presence && !by.ReadOnly, db: db, by: by, c: c, key: key}, nil
}

// validKey says whether a key is written as in an address, unescaped (RFC 3986, 2.3). Dots alone are a path's own.
func validKey(key string) bool {
	if len(key) > mostKey || key == "." || key == ".." || key == "presence" {
		return false
	}
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// Name is the channel with its key: room/42.
func (c *Channel) Name() string {
	if c.key == "" {
		return c.c.Name
	}
	return c.c.Name + "/" + c.key
}

// MayListen asks the read rule: nil, or fault.Unauthenticated or fault.Denied.
func (c *Channel) MayListen(ctx context.Context) error { return c.may(ctx, c.c.Read, "listen to ") }

// MaySend asks the write rule.
func (c *Channel) MaySend(ctx context.Context) error {
	if c.by.ReadOnly {
		return fault.New(fault.Denied, "this key is read-only")
	}
	return c.may(ctx, c.c.Write, "send to ")
}

func (c *Channel) may(ctx context.Context, rule *expr.Expr, what string) error {
	ok := false
	ask := func(fetch expr.Fetcher) (err error) {
		ok, err = c.db.holds(rule, &c.by, fetch, []Value{textOrNull(c.key)})
		return err
	}
	var err error
	if rule.Walks && !c.by.Operator {
		err = c.db.eng.Read(ctx, func(rd driver.Reader) error { return ask(fetcher{c.db, ctx, rd}) })
	} else {
		err = ask(nil)
	}
	if err == nil && !ok {
		err = denied(&c.by, what+c.Name())
	}
	return err
}

// Heard says what a caller could do with a channel, before any key is looked at: a rule that looks at the key counts as yes.
func (db *DB) Heard(by Caller, name string) (listen, send bool) {
	c, ok := db.app.Channel(name)
	if !ok {
		return false, false
	}
	could := func(rule *expr.Expr) bool {
		if by.Operator || rule.Record {
			return true
		}
		ok, err := db.holds(rule, &by, nil)
		return ok && err == nil
	}
	return could(c.Read), could(c.Write) && !by.ReadOnly
}

// Walks says whether MayListen looks at records.
func (c *Channel) Walks() bool { return c.c.Read.Walks && !c.by.Operator }

// Changes says whether the answer of MayListen may change with a change in a collection.
func (c *Channel) Changes(collection string) bool {
	return c.Walks() && slices.ContainsFunc(c.c.Read.Reads, func(r expr.Read) bool { return r.To == collection || r.Collection == collection })
}

// Passes says whether the answer of MayListen may change with time alone.
func (c *Channel) Passes() bool {
	return !c.by.Operator && looksFor(c.c.Read.Root, func(n *expr.Node) bool { return n.Op == expr.OpNow })
}

// Ended says whether a change takes away what the channel's rules rest on: see Watch.Ended.
func (c *Channel) Ended(change *Change) bool {
	return c.db.unmade(&c.by, change, func(field string) bool {
		asks := func(n *expr.Node) bool { return n.Op == expr.OpAuth && n.Name == field }
		return looksFor(c.c.Read.Root, asks) || looksFor(c.c.Write.Root, asks)
	})
}

func looksFor(root *expr.Node, fits func(*expr.Node) bool) (found bool) {
	expr.Walk(root, func(n *expr.Node) bool {
		found = found || fits(n)
		return !found
	})
	return found
}
