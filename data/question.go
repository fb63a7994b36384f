package data

import (
	"errors"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// asker reads the words of a question for one caller. A name that he may not know is answered as one that
// does not exist, whatever else is wrong with it.
type asker struct {
	db    *DB
	by    *Caller
	root  *spec.Collection // what is asked for; its rule decides about rows, not about names
	gates []*expr.Expr     // what made names known to him; the draft asks it of others
}

// pass says whether a caller may know all the names of a question that was compiled for another.
func (db *DB) pass(by *Caller, gates []*expr.Expr) (bool, error) {
	for _, rule := range gates {
		if ok, err := db.holds(rule, by, nil); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func unknown(param string, at int, name string) error {
	return fault.At(param, at+1, "unknown", "the name %s does not exist", name)
}

// knows says whether the caller may know a field by its name. Whole says that every record's value must
// be readable, because the answer tells of values without showing the record (filter, sort, group).
func (a *asker) knows(c *spec.Collection, f *spec.Field, whole bool) bool {
	return a.enters(c) && a.shows(f, whole)
}

// enters says whether the caller may know the names of a collection that a path reaches.
func (a *asker) enters(c *spec.Collection) bool {
	return c == a.root || a.by.Operator || a.opens(c.Access.Read)
}

// shows says whether a field by itself is his to know.
func (a *asker) shows(f *spec.Field, whole bool) bool {
	switch {
	case !visible(f, a.by):
		return false
	case a.by.Operator || f.Read == nil:
		return true
	case f.Read.Record:
		return !whole
	}
	return a.opens(f.Read)
}

// opens asks a rule as far as it needs only the caller, and remembers it.
func (a *asker) opens(rule *expr.Expr) bool {
	if rule == nil {
		return false
	}
	if rule.Record {
		return true
	}
	ok, err := a.db.holds(rule, a.by, nil)
	if ok && !slices.Contains(a.gates, rule) {
		a.gates = append(a.gates, rule)
	}
	return ok && err == nil
}

// field finds a field that the caller may name in param at a position.
func (a *asker) field(c *spec.Collection, param string, at int, name string, whole bool) (*spec.Field, error) {
	if f, ok := c.Field(name); ok && a.knows(c, f, whole) {
		return f, nil
	}
	return nil, unknown(param, at, name)
}

// namesFor is the app's names as far as the caller may know them.
type namesFor struct {
	expr.Env
	a *asker
}

func (s namesFor) Member(collection, name string) (expr.Member, bool) {
	m, ok := s.Env.Member(collection, name)
	if !ok || !s.known(collection, name) {
		return expr.Member{}, false
	}
	return m, true
}

func (s namesFor) Members(collection string) []string {
	var names []string
	for _, name := range s.Env.Members(collection) {
		if s.known(collection, name) {
			names = append(names, name)
		}
	}
	return names
}

func (s namesFor) known(collection, name string) bool {
	c, ok := s.a.db.app.Collection(collection)
	if !ok {
		return false
	}
	if i, ok := c.Inverse(name); ok {
		return s.a.enters(c) && s.a.shows(i.Field, true) // of a closed collection there are no records, which is no secret
	}
	f, ok := c.Field(name)
	return ok && s.a.knows(c, f, true)
}

// mostOrdered is how many fields a list may be sorted by, and groups be made by: a page has a leg for each (sqldb, keyset.go), and
// MariaDB has room for so many texts of any length.
const mostOrdered = 8

func tooMany(param string, at int) error {
	return fault.At(param, at+1, "syntax", "names at most %d fields", mostOrdered)
}

// sort reads "-created,title", which stands at a position of param. What comes out is complete: it ends
// with id.
func (a *asker) sort(c *spec.Collection, param string, at int, text string) ([]driver.Key, error) {
	var keys []driver.Key
	for _, word := range split(text) {
		if len(keys) == mostOrdered {
			return nil, tooMany(param, at)
		}
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
func (a *asker) fields(c *spec.Collection, param string, at int, text string) ([]*spec.Field, error) {
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
	named := false
words:
	for _, word := range split(text) {
		f, err := a.field(c, param, at, word, false)
		if err != nil {
			return nil, err
		}
		at += len(word) + 1
		for i, p := range picked {
			if p == f && i == 0 && !named {
				named = true // id is always there; naming it once is no mistake
				continue words
			}
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

// maxQuantifiers is how deep exists, all and size over other records may be nested in a filter: each level
// multiplies what one row costs.
const maxQuantifiers = 2

// filter compiles a filter for this caller: paths go only through what he may read.
func (a *asker) filter(c *spec.Collection, src string) (*expr.Expr, *expr.Node, error) {
	e, err := expr.Compile(src, namesFor{a.db.app.Env(), a}, c.Name, expr.InFilter)
	if err != nil {
		return nil, nil, filterError(err)
	}
	if quantifiers(e.Root) > maxQuantifiers {
		return nil, nil, fault.At("filter", 1, "syntax", "goes through at most %d lists of records, one in another", maxQuantifiers)
	}
	if steps(e.Root) > maxSteps {
		return nil, nil, fault.At("filter", 1, "syntax", "a path goes through at most %d references", maxSteps)
	}
	if a.by.Operator {
		return e, e.Root, nil
	}
	return e, a.guarded(e.Root), nil
}

// maxSteps bounds the references of a path: each is a question inside the last, and a database takes so many only.
const maxSteps = 10

// steps counts the references of the longest path.
func steps(n *expr.Node) int {
	longest := 0
	for _, arg := range n.Args {
		longest = max(longest, steps(arg))
	}
	if n.Op == expr.OpDeref {
		longest++
	}
	return longest
}

// quantifiers counts how deep lists of records are gone through, one in another.
func quantifiers(n *expr.Node) int {
	deepest := 0
	for _, arg := range n.Args {
		deepest = max(deepest, quantifiers(arg))
	}
	if n.Op == expr.OpInverse || n.Op == expr.OpExists || n.Op == expr.OpAll {
		if n.Op == expr.OpInverse { // counted by what goes through it, unless that is size
			return max(deepest, 1)
		}
		body := quantifiers(n.Args[1])
		return max(deepest, body+1)
	}
	return deepest
}

// comparisons counts what is asked of one row.
func comparisons(n *expr.Node) int {
	if n.Type.Kind == expr.Bool && len(n.Args) > 0 && n.Op != expr.OpAnd && n.Op != expr.OpOr && n.Op != expr.OpNot {
		return 1
	}
	count := 0
	for _, arg := range n.Args {
		count += comparisons(arg)
	}
	return count
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
