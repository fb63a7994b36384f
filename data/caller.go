package data

import (
	"slices"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// who is a caller as rules see him.
type who struct {
	app *spec.App
	by  *Caller
}

// Field is auth.NAME.
func (w who) Field(name string) Value {
	switch name {
	case "id":
		return textOrNull(w.by.ID)
	case "role":
		return textOrNull(w.by.Role)
	case "signedIn":
		return expr.BoolOf(w.by.SignedIn)
	case "mfa":
		return expr.BoolOf(w.by.MFA)
	}
	if v, ok := w.team(name); ok {
		return v
	}
	if w.by.User == nil {
		return Value{}
	}
	users, ok := w.app.Collection(w.app.Auth.Collection)
	if !ok {
		return Value{}
	}
	f, ok := users.Field(name)
	if !ok {
		return Value{}
	}
	return w.by.User[f.Ord]
}

// Has is auth.has("role"): that role or a later one of the app's list.
func (w who) Has(role string) bool {
	from := slices.Index(w.app.Roles, role)
	return from >= 0 && slices.Contains(w.app.Roles[from:], w.by.Role)
}

func textOrNull(s string) Value {
	if s == "" {
		return Value{}
	}
	return expr.TextOf(s)
}

// scope is what a rule may know when it is asked in Go.
func (db *DB) scope(by *Caller, fetch expr.Fetcher, rows ...[]Value) *expr.Scope {
	return &expr.Scope{Rows: rows, Now: db.now().UnixMilli(), Auth: who{db.app, by}, Fetch: fetch}
}

// holds answers a rule for a caller. A missing rule holds for operators only.
func (db *DB) holds(rule *expr.Expr, by *Caller, fetch expr.Fetcher, rows ...[]Value) (bool, error) {
	if by.Operator {
		return true, nil
	}
	if rule == nil {
		return false, nil
	}
	if rule.Root.Op == expr.OpLit {
		return rule.Root.Val.Bool(), nil
	}
	return expr.Holds(rule.Root, db.scope(by, fetch, rows...))
}

// denied is the answer to a caller whom a rule refuses.
func denied(by *Caller, what string) error {
	if !by.SignedIn {
		return fault.New(fault.Unauthenticated, "sign in to %s", what)
	}
	return fault.New(fault.Denied, "you may not %s", what)
}

// ruleOf is the rule of an operation.
func ruleOf(c *spec.Collection, op Op) *expr.Expr {
	switch op {
	case Read:
		return c.Access.Read
	case Create:
		return c.Access.Create
	case Update:
		return c.Access.Update
	default:
		return c.Access.Delete
	}
}

var opWords = [...]string{"read", "create", "update", "delete"}

func (op Op) String() string { return opWords[op] }

// Allow decides what needs only the caller, so that it is decided before a body is read: nil, or
// fault.Unauthenticated, fault.Denied, or fault.NotFound for a collection that is not there.
func (db *DB) Allow(by Caller, collection string, op Op) error {
	k, err := db.collection(by, collection)
	if err != nil {
		return err
	}
	if op != Read && by.ReadOnly {
		return fault.New(fault.Denied, "this key is read-only")
	}
	if by.Operator {
		return nil
	}
	rule := ruleOf(k.Collection, op)
	switch {
	case rule == nil:
		return denied(&Caller{SignedIn: by.SignedIn}, opWords[op]+" "+k.Name)
	case op == Read || rule.Record || rule.Input || expr.IsTrue(rule.Root):
		return nil // open, or asked of each record
	}
	asks := by // only here does the caller leave the stack
	ok, err := db.holds(rule, &asks, nil)
	if err == nil && !ok {
		err = denied(&asks, opWords[op]+" "+k.Name)
	}
	return err
}

// Sight says what a caller could do with a collection before any record is looked at: a rule that
// looks at the record counts as yes.
func (db *DB) Sight(by Caller, collection string) Sight {
	k, err := db.collection(by, collection)
	if err != nil {
		return Sight{}
	}
	could := func(rule *expr.Expr) bool {
		if by.Operator {
			return true
		}
		if rule == nil {
			return false
		}
		if rule.Record || rule.Input {
			return true
		}
		ok, err := db.holds(rule, &by, nil)
		return err == nil && ok
	}
	s := Sight{Read: could(k.Access.Read),
		Create:   !by.ReadOnly && could(k.Access.Create),
		Update:   !by.ReadOnly && could(k.Access.Update),
		Delete:   !by.ReadOnly && could(k.Access.Delete),
		Readable: make([]bool, len(k.Fields)), Writable: make([]bool, len(k.Fields))}
	for _, f := range k.Fields {
		s.Readable[f.Ord] = visible(f, &by) && (f.Read == nil || could(f.Read))
		s.Writable[f.Ord] = writable(f, &by) && (f.Write == nil || could(f.Write)) && !by.ReadOnly
	}
	return s
}

// visible says whether a field can occur in answers at all.
func visible(f *spec.Field, by *Caller) bool {
	return f.Companion == spec.Own && (!f.Hidden || by.system)
}

// writable says whether a field can be named in a body at all.
func writable(f *spec.Field, by *Caller) bool {
	return f.Companion == spec.Own && f.Ord >= spec.OrdFirst && f.Set == nil && (!f.Hidden || f.Write != nil || by.system)
}
