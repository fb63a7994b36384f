package data

import (
	"errors"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// asker reads the words of a question: which names it may use, and on what condition.
type asker struct {
	db    *DB
	by    *Caller
	gates []gate
}

// gate is a field that a question names although not everybody may read it. Its rule needs only the
// caller; where it does not hold, the field is as unknown as one that does not exist.
type gate struct {
	rule *expr.Expr
	err  error
}

// pass evaluates the gates for a caller.
func (db *DB) pass(by *Caller, gates []gate) error {
	for i := range gates {
		ok, err := db.holds(gates[i].rule, by, nil)
		if err != nil {
			return err
		}
		if !ok {
			return gates[i].err
		}
	}
	return nil
}

// unknown is the answer for a name that does not exist, and for one that the caller may not know.
func unknown(param string, at int, name string) error {
	return fault.At(param, at+1, "unknown", "there is no field %q", name)
}

// field finds a field that the caller may name in param at a position. Whole says that every
// record's value must be readable, because the answer tells of values without showing the record
// (filter, sort, group).
func (a *asker) field(c *spec.Collection, param string, at int, name string, whole bool) (*spec.Field, error) {
	f, ok := c.Field(name)
	if !ok || !visible(f, a.by) {
		return nil, unknown(param, at, name)
	}
	if f.Read == nil || a.by.Operator {
		return f, nil
	}
	if !f.Read.Record {
		a.gates = append(a.gates, gate{f.Read, unknown(param, at, name)})
	} else if whole {
		return nil, unknown(param, at, name)
	}
	return f, nil
}

// sort reads "-created,title". What comes out is complete: it ends with id.
func (a *asker) sort(c *spec.Collection, param, text string) ([]driver.Key, error) {
	var keys []driver.Key
	at := 0
	for _, word := range split(text) {
		name, desc := strings.CutPrefix(word, "-")
		f, err := a.field(c, param, at, name, true)
		if err != nil {
			return nil, err
		}
		ord, err := orderBy(f, param, at)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if k.Ord == ord {
				return nil, fault.At(param, at+1, "syntax", "%q is named twice", name)
			}
		}
		keys = append(keys, driver.Key{Ord: ord, Desc: desc})
		at += len(word) + 1
	}
	for i, k := range keys {
		if k.Ord == spec.OrdID {
			return keys[:i+1], nil
		}
	}
	desc := len(keys) > 0 && keys[len(keys)-1].Desc
	return append(keys, driver.Key{Ord: spec.OrdID, Desc: desc}), nil
}

// orderBy is the ordinal by which a field is ordered and grouped.
func orderBy(f *spec.Field, param string, at int) (int, error) {
	switch {
	case f.Encrypted:
		return 0, fault.At(param, at+1, "type", "%q is encrypted and has no order", f.Name)
	case f.Type == spec.List || f.Type == spec.JSON || f.Type == spec.File:
		return 0, fault.At(param, at+1, "type", "%q has no order", f.Name)
	case f.FoldOrd >= 0:
		return f.FoldOrd, nil
	}
	return f.Ord, nil
}

// fields reads "a,b": the fields of an answer, id always among them. "" is all of them.
func (a *asker) fields(c *spec.Collection, param, text string) ([]*spec.Field, error) {
	if text == "" {
		var all []*spec.Field
		for _, f := range c.Fields {
			if visible(f, a.by) {
				all = append(all, f)
			}
		}
		return all, nil
	}
	picked := []*spec.Field{c.Fields[spec.OrdID]}
	at := 0
	for _, word := range split(text) {
		f, err := a.field(c, param, at, word, false)
		if err != nil {
			return nil, err
		}
		at += len(word) + 1
		if f.Ord == spec.OrdID {
			continue
		}
		for _, p := range picked {
			if p == f {
				return nil, fault.At(param, at-len(word), "syntax", "%q is named twice", word)
			}
		}
		picked = append(picked, f)
	}
	return picked, nil
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// filter compiles a filter for this caller: paths go only through what he may read.
func (a *asker) filter(c *spec.Collection, src string) (*expr.Expr, *expr.Node, error) {
	e, err := expr.Compile(src, a.db.app.Env(), c.Name, expr.InFilter)
	if err != nil {
		return nil, nil, filterError(err)
	}
	if a.by.Operator {
		return e, e.Root, nil
	}
	for _, use := range expr.Uses(e, c.Name) {
		of, ok := a.db.app.Collection(use.Collection)
		if !ok || use.Inverse || of.Fields[use.Ord].Companion != spec.Own {
			continue // a companion is asked through the field that it belongs to
		}
		if _, err := a.field(of, "filter", use.Pos, use.Name, true); err != nil {
			return nil, nil, err
		}
	}
	return e, a.guarded(e.Root), nil
}

// guarded puts the read rule of each collection that a path reaches as a guard on the step that
// reaches it.
func (a *asker) guarded(root *expr.Node) *expr.Node {
	fresh := expr.MaxVar(root) + 1
	return expr.Guard(root, &fresh, func(collection string) *expr.Node {
		c, ok := a.db.app.Collection(collection)
		if !ok || c.Access.Read == nil {
			return expr.False()
		}
		return c.Access.Read.Root
	})
}

// filterError gives an error of the compiler the place that clients know.
func filterError(err error) error {
	var e *expr.Error
	if !errors.As(err, &e) {
		return err
	}
	msg := e.Msg
	if e.Suggest != "" {
		msg += ` (did you mean "` + e.Suggest + `"?)`
	}
	return fault.At("filter", e.At+1, e.Code, "%s", msg)
}
