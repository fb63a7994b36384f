package mongo

import (
	"fmt"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// scope is one pipeline: that of the query, or one inside a $lookup. Its documents are the records of a
// collection, to which lookups add what paths lead to, under names that no field has (_j0, _j1).
type scope struct {
	outer  *scope
	of     *spec.Collection
	name   string            // by which inner pipelines know its documents
	stages []any             // as far as it is written
	joined map[string]string // by path: under which name a record is that was looked up
	needs  []*scope          // outer scopes that it looks at
}

// variable is what a row variable of the IR stands for: the documents of a scope, or the items of a list of
// plain values: a name in an expression, or a field of a scope's documents, each of which has one item.
type variable struct {
	scope *scope
	item  string
	field string
}

func (v variable) record() bool { return v.scope != nil && v.field == "" }

// compiler translates the expressions of one query. The first thing that it cannot translate ends up in err.
type compiler struct {
	from   *spec.Collection   // the query's
	tables []*spec.Collection // of the app
	vars   map[int]variable
	cur    *scope
	made   int // names
	walks  int // uses of what a path leads to

	carries     bool // a document may be what a deleted record has left
	expressions bool // something can be said in the aggregation language only
	lookups     bool
	touched     map[string]bool
	err         error
}

func (c *compiler) refuse(what string) {
	if c.err == nil {
		c.err = lacks(what)
	}
}

// lacks is the refusal of what a server, or this engine, cannot do.
func lacks(what string) *fault.Error {
	return &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database cannot be asked for " + what}
}

func (c *compiler) next(prefix string) string {
	c.made++
	return prefix + strconv.Itoa(c.made)
}

func (c *compiler) table(name string) *spec.Collection {
	c.touched[name] = true
	if name == c.from.Name {
		return c.from
	}
	for _, t := range c.tables {
		if t.Name == name {
			return t
		}
	}
	c.refuse("the collection " + name)
	return &spec.Collection{Name: name}
}

// bind makes a variable known while inside runs.
func (c *compiler) bind(index int, v variable, inside func()) {
	had, was := c.vars[index]
	c.vars[index] = v
	inside()
	if was {
		c.vars[index] = had
	} else {
		delete(c.vars, index)
	}
}

func (c *compiler) field(of *spec.Collection, ord int) *spec.Field {
	if ord < 0 || ord >= len(of.Fields) {
		c.refuse("an unknown field of " + of.Name)
		return &spec.Field{}
	}
	return of.Fields[ord]
}

// stored is the name under which a column is stored.
func stored(column string) string {
	if column == "id" {
		return "_id"
	}
	return column
}

// record finds where the record of a row node is: in the documents of a scope, under a prefix.
func (c *compiler) record(row *expr.Node) (s *scope, prefix string, of *spec.Collection) {
	switch row.Op {
	case expr.OpRow:
		if v, ok := c.vars[row.Index]; ok && v.record() {
			return v.scope, "", v.scope.of
		}
	case expr.OpDeref:
		return c.follow(row)
	}
	c.refuse("this record variable")
	return c.cur, "", &spec.Collection{}
}

// follow looks up the one record that a reference leads to. It is done once for each path, in the scope
// where the path begins.
func (c *compiler) follow(n *expr.Node) (*scope, string, *spec.Collection) {
	s, prefix, from := c.record(n.Args[0])
	c.walks++
	of := c.table(n.Type.Ref)
	local := prefix + stored(c.field(from, n.Index).Name)
	key := fmt.Sprintf("%s %p", local, n.Guard)
	if as, ok := s.joined[key]; ok {
		return s, as + ".", of
	}
	as := c.next("_j")
	inside := c.inside(s, of)
	if n.Guard != nil {
		c.enter(inside, n.Bind, func() { c.restrict(n.Guard, true) })
	}
	s.stages = append(s.stages, c.lookup(inside, local, "_id", as),
		op("$unwind", bson.D{{Key: "path", Value: "$" + as}, {Key: "preserveNullAndEmptyArrays", Value: true}}))
	s.joined[key] = as
	return s, as + ".", of
}

// inside is the scope of a lookup's pipeline.
func (c *compiler) inside(outer *scope, of *spec.Collection) *scope {
	s := &scope{outer: outer, of: of, name: c.next("v"), joined: map[string]string{}}
	if c.carries {
		s.stages = append(s.stages, op("$match", lives()))
	}
	return s
}

// enter compiles in another scope, whose documents are a variable.
func (c *compiler) enter(s *scope, bind int, inside func()) {
	c.within(s, bind, variable{scope: s}, inside)
}

func (c *compiler) within(s *scope, bind int, v variable, inside func()) {
	before := c.cur
	c.cur = s
	c.bind(bind, v, inside)
	c.cur = before
}

// restrict adds a condition to the pipeline of the current scope.
func (c *compiler) restrict(n *expr.Node, want bool) {
	filter := c.cond(n, want)
	c.cur.stages = append(c.cur.stages, op("$match", filter))
}

// lookup is the stage that adds the documents of a scope to its outer one's.
func (c *compiler) lookup(inside *scope, local, foreign, as string) bson.D {
	c.lookups = true
	d := bson.D{{Key: "from", Value: inside.of.Name}, {Key: "localField", Value: local}, {Key: "foreignField", Value: foreign}}
	if len(inside.needs) > 0 {
		let := bson.D{}
		for _, s := range inside.needs {
			from := "$$" + s.name
			if s == inside.outer {
				from = "$$ROOT"
			}
			let = append(let, bson.E{Key: s.name, Value: from})
		}
		d = append(d, bson.E{Key: "let", Value: let})
	}
	if len(inside.stages) > 0 {
		d = append(d, bson.E{Key: "pipeline", Value: bson.A(inside.stages)})
	}
	return op("$lookup", append(d, bson.E{Key: "as", Value: as}))
}

// path is how an expression of the current scope names a field of a scope's documents.
func (c *compiler) path(s *scope, name string) string {
	if s == c.cur {
		return "$" + name
	}
	for in := c.cur; in != nil && in != s; in = in.outer {
		known := false
		for _, n := range in.needs {
			known = known || n == s
		}
		if !known {
			in.needs = append(in.needs, s)
		}
	}
	return "$$" + s.name + "." + name
}

// ranged looks up the records of a range for which a condition is want, and says under which name they are
// in the documents of the current scope. body nil: all of them.
func (c *compiler) ranged(n *expr.Node, bind int, body *expr.Node, want bool) string {
	c.walks++
	if c.itemInside(n, body) {
		c.refuse("a walk to other records for each item of a list")
		return ""
	}
	s, prefix, from := c.record(n.Args[0])
	of := c.table(n.Type.Ref)
	local, foreign := prefix+"_id", "_id"
	if n.Op == expr.OpInverse {
		foreign = stored(c.field(of, n.Index).Name)
	} else {
		local = prefix + stored(c.field(from, n.Index).Name)
	}
	// A document without the local field would be joined with those that lack the foreign one.
	if s != c.cur || n.Op == expr.OpInverse && prefix != "" {
		none := any("")
		if n.Op != expr.OpInverse {
			none = bson.A{}
		}
		local = c.key(s, local, none)
	}
	inside := c.inside(c.cur, of)
	if n.Guard != nil { // else Bind says nothing
		c.enter(inside, n.Bind, func() { c.restrict(n.Guard, true) })
	}
	if body != nil {
		c.enter(inside, bind, func() { c.restrict(body, want) })
	}
	inside.stages = append(inside.stages, op("$project", field("_id", int32(1))))
	as := c.next("_j")
	c.cur.stages = append(c.cur.stages, c.lookup(inside, local, foreign, as))
	return as
}

// key puts a field of a scope's documents, or what stands for nothing, into those of the current one.
func (c *compiler) key(s *scope, name string, none any) string {
	key := c.next("_k")
	c.cur.stages = append(c.cur.stages, op("$set", field(key, op("$ifNull", bson.A{c.path(s, name), none}))))
	return key
}

// unwound looks up a record itself, once for each item of its list for which a condition is want: where a
// condition on an item asks for other records, which an expression cannot.
func (c *compiler) unwound(n *expr.Node, want bool) string {
	c.walks++
	over := n.Args[0]
	if over.Op != expr.OpField || c.itemInside(n) {
		c.refuse("a walk to other records for each item of this list")
		return ""
	}
	s, prefix, of := c.record(over.Args[0])
	c.touched[of.Name] = true
	local, list := prefix+"_id", stored(c.field(of, over.Index).Name)
	if s != c.cur {
		local = c.key(s, local, "")
	}
	inside := c.inside(c.cur, of)
	inside.stages = append(inside.stages, op("$unwind", "$"+list))
	c.within(inside, n.Bind, variable{scope: inside, field: list}, func() { c.restrict(n.Args[1], want) })
	inside.stages = append(inside.stages, op("$project", field("_id", int32(1))))
	as := c.next("_j")
	c.cur.stages = append(c.cur.stages, c.lookup(inside, local, "_id", as))
	return as
}

// walksFrom says whether a condition on the items of a list asks for other records by an item.
func walksFrom(n *expr.Node) bool {
	if n.Args[0].Op == expr.OpInverse || n.Args[0].Op == expr.OpDeref {
		return false
	}
	found := false
	expr.Walk(n.Args[1], func(m *expr.Node) bool {
		if (m.Op == expr.OpExists || m.Op == expr.OpAll) && (m.Args[0].Op == expr.OpInverse || m.Args[0].Op == expr.OpDeref) {
			expr.Walk(m, func(r *expr.Node) bool {
				found = found || r.Op == expr.OpRow && r.Index == n.Bind
				return !found
			})
		}
		return !found
	})
	return found
}

// itemInside says whether something depends on an item of a list of plain values: a stage cannot.
func (c *compiler) itemInside(nodes ...*expr.Node) bool {
	found := false
	for _, n := range nodes {
		expr.Walk(n, func(n *expr.Node) bool {
			if n.Op == expr.OpRow {
				v, ok := c.vars[n.Index]
				found = found || ok && v.item != ""
			}
			return !found
		})
	}
	return found
}
