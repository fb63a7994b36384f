package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Matrix says for every kind of caller what he may do with what, whatever the records are. It is made of the rules that
// requests are decided by; the database is not asked.
type Matrix struct {
	Callers  []string // nobody, no role (a user without one), the roles, operator; key of ROLE where a key differs from a user
	Tables   []Table
	Findings []spec.Finding // cells that look as if they were not meant
}

// Table is a collection, some of its fields, or a channel.
type Table struct {
	Name       string
	Channel    bool
	Fields     []string // the fields that this is about; none: the records
	Operations []string // read create update delete; of fields the first three; of a channel listen send
	Cells      [][]Cell // by caller, then by operation
}

// Cell is one answer.
type Cell struct {
	Answer Answer
	Where  string // Where: the condition in words
	Rule   string // Where: the same as in an app file
}

// Answer is what a rule says to all callers of a kind.
type Answer string

// Of update and delete it includes that a record must be readable to be found. Always: no rule denies it, on any record. Never:
// it is denied, on every record. Where: it depends on the record, the moment, or who of them asks.
const (
	Always Answer = "always"
	Never  Answer = "never"
	Where  Answer = "where"
)

// class is a kind of callers. It is what expr.Supposed asks.
type class struct {
	name string
	who         // what all of them have
	user bool   // each has an id and a record, which are not known here
	key  string // it is a key of this role
}

// Field is auth.NAME of the class.
func (c *class) Field(name string) (v Value, known, set bool) {
	switch {
	case !c.user || name == "role" || name == "signedIn":
		return c.who.Field(name), true, false
	}
	return Value{}, false, name == "id"
}

// classes are the kinds of callers of the app: first those that are always told apart, then keys.
func (db *DB) classes() (people, keys []*class) {
	app := db.app
	add := func(name string, user bool, by Caller) *class {
		return &class{name: name, who: who{app, &by}, user: user}
	}
	people = append(people, add("nobody", false, Caller{}))
	if users, ok := app.Collection(app.Auth.Collection); ok && app.Auth.On {
		if role, ok := users.Field("role"); ok && !role.Required {
			people = append(people, add("no role", true, Caller{SignedIn: true}))
		}
		for _, r := range app.Roles {
			people = append(people, add(r, true, Caller{SignedIn: true, Role: r}))
			k := add("key of "+r, false, Caller{SignedIn: true, Role: r})
			k.key = r
			keys = append(keys, k)
		}
	}
	return append(people, add("operator", false, Caller{SignedIn: true, Operator: true})), keys
}

// cell is the answer of rules that must all hold. A rule that is missing closes, as in DB.holds.
func (c *class) cell(rules ...*expr.Expr) Cell {
	if c.by.Operator {
		return Cell{Answer: Always}
	}
	all := expr.Expr{}
	var parts []*expr.Node
	for _, r := range rules {
		if r == nil {
			return Cell{Answer: Never}
		}
		all.Reads = append(all.Reads, r.Reads...)
		parts = append(parts, expr.Suppose(r.Root, c))
	}
	switch n := expr.Tidy(expr.And(parts...)); {
	case expr.IsTrue(n):
		return Cell{Answer: Always}
	case expr.IsFalse(n):
		return Cell{Answer: Never}
	default:
		return Cell{Where, all.Words(n), all.Written(n)}
	}
}

// open is a rule that is not there where its absence closes nothing.
var open = &expr.Expr{Root: expr.True()}

func orOpen(rule *expr.Expr) *expr.Expr {
	if rule == nil {
		return open
	}
	return rule
}

// row are the answers to a class about the records of a collection, or about one of its fields.
func (c *class) row(col *spec.Collection, f *spec.Field) []Cell {
	a := col.Access
	// What is changed or deleted must be readable to be found; no read rule at all is no obstacle (work.find).
	found := orOpen(a.Read)
	if f == nil {
		return []Cell{c.cell(a.Read), c.cell(a.Create), c.cell(found, a.Update), c.cell(found, a.Delete)}
	}
	never := Cell{Answer: Never}
	row := []Cell{never, never, never}
	if visible(f, c.by) {
		row[0] = c.cell(a.Read, orOpen(f.Read))
	}
	if writable(f, c.by) {
		row[1] = c.cell(a.Create, orOpen(f.Write))
		if !f.Fixed {
			row[2] = c.cell(found, a.Update, orOpen(f.Write))
		}
	}
	return row
}

// Matrix makes the matrix of the app.
func (db *DB) Matrix() *Matrix {
	people, keys := db.classes()
	every := slices.Concat(people, keys)
	m := &Matrix{}
	for _, col := range db.app.Collections {
		if col.System {
			continue
		}
		records := table(Table{Name: col.Name, Operations: []string{"read", "create", "update", "delete"}}, every,
			func(c *class) []Cell { return c.row(col, nil) })
		m.Tables = append(m.Tables, records)
		first := len(m.Tables)
		for _, f := range col.Fields {
			if f.Companion != spec.Own || f.Read == nil && f.Write == nil && !f.Hidden {
				continue
			}
			t := table(Table{Name: col.Name, Operations: []string{"read", "create", "update"}}, every, func(c *class) []Cell { return c.row(col, f) })
			if slices.EqualFunc(t.Cells, records.Cells, func(a, b []Cell) bool { return slices.Equal(a, b[:3]) }) {
				continue
			}
			at := slices.IndexFunc(m.Tables[first:], func(o Table) bool { return slices.EqualFunc(o.Cells, t.Cells, slices.Equal) })
			if at >= 0 {
				m.Tables[first+at].Fields = append(m.Tables[first+at].Fields, f.Name)
				continue
			}
			t.Fields = []string{f.Name}
			m.Tables = append(m.Tables, t)
		}
	}
	for _, ch := range db.app.Channels {
		m.Tables = append(m.Tables, table(Table{Name: ch.Name, Channel: true, Operations: []string{"listen", "send"}}, every,
			func(c *class) []Cell { return []Cell{c.cell(ch.Read), c.cell(ch.Write)} }))
	}
	m.Findings = db.suspect(people, m.Tables)
	kept := m.drop(every)
	for _, c := range kept {
		m.Callers = append(m.Callers, c.name)
	}
	return m
}

func table(t Table, every []*class, row func(*class) []Cell) Table {
	for _, c := range every {
		t.Cells = append(t.Cells, row(c))
	}
	return t
}

// drop leaves out keys that may do what a user of their role may.
func (m *Matrix) drop(every []*class) []*class {
	var kept []*class
	for i := len(every) - 1; i >= 0; i-- {
		c := every[i]
		like := slices.IndexFunc(every, func(o *class) bool { return c.key != "" && o.key == "" && o.by.Role == c.key })
		differs := like < 0
		for _, t := range m.Tables {
			differs = differs || !slices.Equal(t.Cells[i], t.Cells[like])
		}
		if differs {
			kept = append([]*class{c}, kept...)
			continue
		}
		for j := range m.Tables {
			m.Tables[j].Cells = slices.Delete(m.Tables[j].Cells, i, i+1)
		}
	}
	return kept
}

// suspect points out what the rules say and their author may not have meant.
func (db *DB) suspect(people []*class, tables []Table) []spec.Finding {
	var out []spec.Finding
	find := func(pos spec.Pos, name, op, format string, args ...any) {
		out = append(out, spec.Finding{Pos: pos, Collection: name, Operation: op, Message: fmt.Sprintf(format, args...)})
	}
	for _, t := range tables {
		col, ok := db.app.Collection(t.Name)
		if !ok || t.Channel || len(t.Fields) > 0 {
			continue
		}
		who := func(fits func(c *class, cells []Cell) bool) string {
			var names []string
			for i, c := range people {
				if !c.by.Operator && fits(c, t.Cells[i]) {
					names = append(names, c.name)
				}
			}
			return strings.Join(names, ", ")
		}
		shut := who(func(_ *class, cells []Cell) bool {
			return !slices.ContainsFunc(cells, func(c Cell) bool { return c.Answer != Never })
		})
		if everybody := who(func(*class, []Cell) bool { return true }); shut == everybody {
			if !col.Made { // nobody wrote it down: that it is closed is what is expected
				find(col.Pos, col.Name, "", "%s is closed to everyone but operators", col.Name)
			}
			continue
		}
		for i, op := range []Op{Create, Update, Delete} {
			if names := who(func(_ *class, cells []Cell) bool { return cells[Read].Answer == Never && cells[op].Answer != Never }); names != "" {
				find(col.Pos, col.Name, op.String(), "%s: these may %s records and read none: %s", col.Name, op, names)
			}
			rule := ruleOf(col, op)
			dead := who(func(c *class, cells []Cell) bool {
				return i > 0 && rule != nil && cells[op].Answer == Never && c.cell(rule).Answer != Never
			})
			if dead != "" {
				find(col.Pos, col.Name, op.String(), "%s: the %s rule would let these, who may read no record and so are answered 404: %s", col.Name, op, dead)
			}
		}
		personal := func(c *class, write bool) bool {
			return slices.ContainsFunc(col.Fields, func(f *spec.Field) bool {
				if !f.Personal {
					return false
				}
				row := c.row(col, f)
				return write && row[2].Answer == Always || !write && row[0].Answer == Always
			})
		}
		if names := who(func(c *class, _ []Cell) bool { return !c.by.SignedIn && personal(c, false) }); names != "" {
			find(col.Pos, col.Name, Read.String(), "%s: personal fields of every record are read by %s", col.Name, names)
		}
		if names := who(func(c *class, _ []Cell) bool { return !c.by.SignedIn && personal(c, true) }); names != "" {
			find(col.Pos, col.Name, Update.String(), "%s: personal fields of every record are changed by %s", col.Name, names)
		}
	}
	for i, c := range people {
		if c.by.Role == "" || db.mentions(c.by.Role) {
			continue
		}
		if before := people[i-1]; before.by.Role != "" || before.name == "no role" {
			find(db.rolePos(), "", "", "no rule mentions the role %s: it may do what %s may", c.name, map[bool]string{true: "a user without a role", false: before.name}[before.by.Role == ""])
		}
	}
	if db.app.Auth.On && db.app.Auth.Register == "open" {
		col, _ := db.app.Collection(db.app.Auth.Collection)
		find(col.Pos, col.Name, Create.String(), "%s: whoever registers is created too (auth.register is open), which its create rule does not decide", col.Name)
	}
	return out
}

func (db *DB) rolePos() spec.Pos {
	if col, ok := db.app.Collection(db.app.Auth.Collection); ok && col.Made {
		return col.Pos // that of the auth section
	}
	return spec.Pos{File: spec.FileName, Line: 1, Column: 1}
}

// mentions says whether a rule of the app names a role.
func (db *DB) mentions(role string) bool {
	var rules []*expr.Expr
	for _, c := range db.app.Collections {
		a := c.Access
		rules = append(rules, a.Read, a.Create, a.Update, a.Delete)
		for _, f := range c.Fields {
			rules = append(rules, f.Read, f.Write)
		}
	}
	for _, c := range db.app.Channels {
		rules = append(rules, c.Read, c.Write)
	}
	return slices.ContainsFunc(rules, func(r *expr.Expr) bool {
		return r != nil && looksFor(r.Root, func(n *expr.Node) bool {
			switch n.Op {
			case expr.OpHas:
				return n.Name == role
			case expr.OpEq, expr.OpNe, expr.OpIn:
				return looksFor(n, func(m *expr.Node) bool { return m.Op == expr.OpAuth && m.Name == "role" }) &&
					looksFor(n, func(m *expr.Node) bool { return m.Op == expr.OpLit && (m.Val.Text() == role || holdsText(m.Val, role)) })
			}
			return false
		})
	})
}

func holdsText(list Value, text string) bool {
	return slices.ContainsFunc(list.List(), func(v Value) bool { return v.Text() == text })
}
