package mongo

import (
	"maps"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// plan is a query as MongoDB is asked it: a find where that says it all, else a pipeline.
type plan struct {
	q       *driver.Query
	from    string // the collection that is asked
	filter  any    // find
	sort    bson.D
	project bson.D
	stages  []any // pipeline; nil: find
	outputs []output

	each    bool     // asked once for each parent, whose id is the first output
	nested  bool     // a row is the field _r of what is answered
	alone   bool     // found by the id alone: what a deleted record has left is found too, and passed over
	once    bool     // a row that is named twice in a list is answered twice, one after the other
	touches []string // collections that are looked at
	parent  *expr.Node
}

// output is one output of a query.
type output struct {
	name string // of the field in what is answered
	kind expr.Kind
	elem expr.Kind
	sc   uint8
	sum  string // the field that says of how many values it is the sum; none: null
	top  bool   // beside the row, where rows are nested
}

// abilities are what a server may lack.
type abilities struct {
	joins        bool // $lookup with a pipeline, $expr, and an $elemMatch that means one item
	transactions bool
	partial      bool // partial indexes
}

// compile makes the plan of a query, purely. It is whole, or fault.Capability says what cannot be asked.
func compile(can abilities, collections []*spec.Collection, q *driver.Query) (*plan, error) {
	c := &compiler{carries: can.carries(), from: q.From, tables: collections, vars: map[int]variable{}, touched: map[string]bool{q.From.Name: true}}
	c.cur = &scope{of: q.From, name: c.next("v"), joined: map[string]string{}}
	c.vars[expr.VarRecord] = variable{scope: c.cur}
	p := &plan{q: q, from: q.From.Name}
	switch {
	case len(q.Joins) > 0:
		c.refuse("records beside rows")
	case q.Per != nil && (q.Count || len(q.Group) > 0 || len(q.Aggregates) > 0 || q.After != nil || q.Limit >= 0):
		c.refuse("counts, groups and pages of several parents at once")
	case q.Count:
		p.count(c)
	case len(q.Group) > 0 || len(q.Aggregates) > 0:
		p.groups(c)
	case q.Per != nil:
		p.per(c, can)
	default:
		p.list(c)
	}
	switch {
	case c.err != nil || can.joins:
	case c.lookups:
		c.refuse("paths to other records ($lookup)")
	case c.expressions:
		c.refuse("what only an expression says ($expr)")
	}
	p.touches = slices.Sorted(maps.Keys(c.touched))
	return p, c.err
}

// where splits a condition: what the documents alone decide comes first, where indexes serve it, and what
// needs a lookup after the lookups.
func (p *plan) where(c *compiler, more ...any) (early bson.A, late bson.A) {
	early = bson.A(more)
	var split func(n *expr.Node)
	split = func(n *expr.Node) {
		if n.Op == expr.OpAnd {
			for _, a := range n.Args {
				split(a)
			}
			return
		}
		walks := c.walks
		filter := c.cond(n, true)
		if c.walks == walks {
			early = append(early, filter)
		} else {
			late = append(late, filter)
		}
	}
	if p.q.Where != nil {
		split(p.q.Where)
	}
	if c.carries {
		early = append(early, lives())
	}
	return early, late
}

// all is the conjunction of filters.
func all(filters bson.A) any {
	switch len(filters) {
	case 0:
		return bson.D{}
	case 1:
		return filters[0]
	default:
		return op("$and", filters)
	}
}

// matched are the stages that find the rows. What sorts them comes before lookups: an index gives the order then.
func matched(c *compiler, early, late bson.A, sort bson.D) []any {
	var stages []any
	if len(early) > 0 {
		stages = append(stages, op("$match", all(early)))
	}
	if len(sort) > 0 {
		stages = append(stages, op("$sort", sort))
	}
	stages = append(stages, c.cur.stages...)
	c.cur.stages = nil
	if len(late) > 0 {
		stages = append(stages, op("$match", all(late)))
	}
	return stages
}

func (p *plan) limit(stages []any) []any {
	if p.q.Limit < 0 {
		return stages
	}
	return append(stages, op("$limit", number{p.q.Limit}))
}

func (p *plan) count(c *compiler) {
	early, late := p.where(c)
	p.stages = append(p.limit(matched(c, early, late, nil)), op("$count", "n"))
	p.outputs = []output{{name: "n", kind: expr.Int}}
}

func (p *plan) output(name string, f *spec.Field) {
	p.outputs = append(p.outputs, output{name: name, kind: f.Kind(), elem: f.Elem.Kind(), sc: uint8(f.Scale)})
}

func direction(desc bool) int32 {
	if desc {
		return -1
	}
	return 1
}

// order is a sort; what comes before it is its first key.
func (p *plan) order(c *compiler, before ...string) bson.D {
	d := bson.D{}
	add := func(name string, desc bool) {
		if !slices.ContainsFunc(d, func(e bson.E) bool { return e.Key == name }) {
			d = append(d, bson.E{Key: name, Value: direction(desc)})
		}
	}
	for _, name := range before {
		add(name, false)
	}
	for _, k := range p.q.Sort {
		add(stored(c.field(p.q.From, k.Ord).Name), k.Desc)
	}
	return d
}

// columns adds the outputs and says what is selected for them. A field that a condition guards leaves the
// database only where it holds.
func (p *plan) columns(c *compiler, also ...string) (project bson.D, computed bool) {
	project = bson.D{}
	add := func(name string, v any) {
		if !slices.ContainsFunc(project, func(e bson.E) bool { return e.Key == name }) {
			project = append(project, bson.E{Key: name, Value: v})
		}
	}
	for i, col := range p.q.Cols {
		f := c.field(p.q.From, col.Ord)
		name := stored(f.Name)
		if col.If == nil {
			add(name, int32(1))
			p.output(name, f)
			continue
		}
		computed = true
		yes, as := "_y"+strconv.Itoa(i), "_c"+strconv.Itoa(i)
		add(yes, c.truth(col.If))
		add(as, op("$cond", bson.A{c.truth(col.If), "$" + name, "$$REMOVE"}))
		p.outputs = append(p.outputs, output{name: yes, kind: expr.Bool})
		p.output(as, f)
	}
	if p.q.Lock != driver.Unlocked {
		also = append(also, "rev")
	}
	for _, name := range also {
		add(name, int32(1))
	}
	add("_id", int32(1))
	return project, computed
}

func (p *plan) list(c *compiler) {
	var page []any
	if a := p.q.After; a != nil {
		if len(a.Args) != len(p.q.Sort) || len(a.Null) != len(p.q.Sort) {
			c.refuse("a page without all of its keys")
			return
		}
		page = append(page, behind(p.q.From, p.q.Sort, a))
	}
	early, late := p.where(c, page...)
	sort := p.order(c)
	p.finish(c, early, late, sort, p.q.Limit)
}

// finish makes a find of what a find can say, and else a pipeline.
func (p *plan) finish(c *compiler, early, late bson.A, sort bson.D, limit int, also ...string) {
	walks := c.walks
	found := matched(c, early, late, sort)
	if limit >= 0 {
		found = append(found, op("$limit", number{limit}))
	}
	project, computed := p.columns(c, also...)
	if !computed && c.walks == walks && walks == 0 {
		if one, ok := byID(c, early); ok {
			early, sort = bson.A{one}, nil
			if p.alone = c.carries; p.alone {
				project = append(project, bson.E{Key: emptied, Value: int32(1)})
			}
		}
		p.filter, p.sort, p.project = all(early), sort, project
		return
	}
	p.stages = append(append(found, c.cur.stages...), op("$project", project))
}

// byID is the test that finds one record by its id, where that is the whole of a filter. Servers have a short way for a
// filter that names nothing else (MongoDB's IDHACK); FerretDB 1 reads every document for any other.
func byID(c *compiler, filters bson.A) (test, bool) {
	if c.carries { // the last says that it lives
		filters = filters[:len(filters)-1]
	}
	if len(filters) != 1 {
		return test{}, false
	}
	one, ok := filters[0].(test)
	return one, ok && one.path == "_id" && one.op == expr.OpEq && one.want
}

// groups: the fields of a group are the _id of what $group answers.
func (p *plan) groups(c *compiler) {
	early, late := p.where(c)
	group := bson.D{{Key: "_id", Value: nil}}
	sort, by := bson.D{}, bson.D{}
	for i, ord := range p.q.Group {
		f := c.field(p.q.From, ord)
		name := "g" + strconv.Itoa(i)
		by = append(by, bson.E{Key: name, Value: "$" + stored(f.Name)})
		sort = append(sort, bson.E{Key: "_id." + name, Value: int32(1)})
		p.output("_id."+name, f)
	}
	if len(by) > 0 {
		group[0].Value = by
	}
	for i, a := range p.q.Aggregates {
		group = append(group, p.aggregate(c, a, "a"+strconv.Itoa(i))...)
	}
	stages := append(matched(c, early, late, nil), op("$group", group))
	if len(sort) > 0 {
		stages = append(stages, op("$sort", sort))
	}
	p.stages = p.limit(stages)
}

func (p *plan) aggregate(c *compiler, a driver.Aggregate, name string) bson.D {
	if a.Func == "count" && a.Ord < 0 {
		p.outputs = append(p.outputs, output{name: name, kind: expr.Int})
		return bson.D{{Key: name, Value: op("$sum", int64(1))}}
	}
	c.expressions = true
	f := c.field(p.q.From, a.Ord)
	path := "$" + stored(f.Name)
	there := op("$sum", op("$cond", bson.A{op("$ne", bson.A{op("$ifNull", bson.A{path, nil}), nil}), int64(1), int64(0)}))
	switch k := f.Kind(); {
	case a.Func == "count":
		p.outputs = append(p.outputs, output{name: name, kind: expr.Int})
		return bson.D{{Key: name, Value: there}}
	case a.Func == "sum" && (k == expr.Int || k == expr.Bigint || k == expr.Decimal):
		p.outputs = append(p.outputs, output{name: name, kind: expr.Text, sum: name + "n"})
		return bson.D{{Key: name, Value: op("$sum", op("$toDecimal", path))}, {Key: name + "n", Value: there}}
	case a.Func == "min", a.Func == "max":
		p.output(name, f)
		return bson.D{{Key: name, Value: op("$"+a.Func, path)}}
	case a.Func == "sum":
		c.refuse("the sum of " + f.Name)
	default:
		c.refuse("the aggregate " + a.Func)
	}
	return nil
}

// per answers for many parents. With a limit each parent has a lookup of its own, which stops there: a hot
// parent's other rows are not read.
func (p *plan) per(c *compiler, can abilities) {
	per := p.q.Per
	f := c.field(p.q.From, per.Ord)
	name := stored(f.Name)
	first := output{name: name, kind: expr.Text}
	switch {
	case per.Limit >= 0 && per.Ord != spec.OrdID && (!can.joins || f.To == ""):
		p.each = true
		p.outputs = []output{first}
		p.parent = &expr.Node{Op: expr.OpParam, Index: per.Arg, Type: expr.Type{Kind: expr.Text}}
		early, late := p.where(c, test{path: name, op: expr.OpEq, arg: p.parent, want: true})
		p.finish(c, early, late, p.order(c), per.Limit)
	case per.Limit >= 0 && per.Ord != spec.OrdID:
		p.lookup(c, name, f.To)
	case f.Kind() == expr.List:
		mine := is(name, "$in", texts{per.Arg})
		first.name = "_p"
		p.once = true
		p.outputs = []output{first}
		early, late := p.where(c, mine)
		stages := append(matched(c, early, late, nil), op("$set", field("_p", "$"+name)), op("$unwind", "$_p"),
			op("$match", is("_p", "$in", texts{per.Arg})), op("$sort", p.order(c, "_p")))
		project, _ := p.columns(c, "_p")
		p.stages = append(append(stages, c.cur.stages...), op("$project", project))
	default:
		p.outputs = []output{first}
		early, late := p.where(c, is(name, "$in", texts{per.Arg}))
		p.finish(c, early, late, p.order(c, name), -1, name)
	}
}

// lookup asks the collection of the parents, and looks up each one's rows.
func (p *plan) lookup(c *compiler, name, parents string) {
	p.from, p.nested = parents, true
	c.touched[parents] = true
	p.outputs = []output{{name: "_id", kind: expr.Text, top: true}}
	rows := c.cur
	early, late := p.where(c)
	stages := append(matched(c, early, late, p.order(c)), op("$limit", number{p.q.Per.Limit}))
	project, _ := p.columns(c)
	rows.stages = append(append(stages, rows.stages...), op("$project", project))
	one := is("_id", "$in", texts{p.q.Per.Arg})
	if c.carries {
		one = append(one, lives()...)
	}
	p.stages = []any{
		op("$match", one),
		op("$project", field("_id", int32(1))),
		c.lookup(rows, "_id", name, "_r"),
		op("$unwind", "$_r"),
	}
}

// nothing says that the arguments ask for no rows at all.
func (p *plan) nothing(args []expr.Value) bool {
	none := func(arg int) bool { return arg >= 0 && args[arg].Int() <= 0 }
	return none(p.q.Limit) || p.q.Per != nil && (none(p.q.Per.Limit) || len(args[p.q.Per.Arg].List()) == 0)
}

// asked is a plan for its arguments: what is sent.
type asked struct {
	from                  string
	filter, sort, project bson.D // find
	limit                 int64
	pipeline              []bson.D // nil: find
}

// ask fills a plan.
func (p *plan) ask(args []expr.Value, shown bool) (asked, error) {
	f := &filling{args: args, shown: shown}
	a := asked{from: p.from, sort: p.sort, project: p.project}
	if p.stages != nil {
		a.pipeline = f.documents(p.stages)
	} else {
		a.filter, _ = f.fill(p.filter).(bson.D)
		limit := p.q.Limit
		if p.each {
			limit = p.q.Per.Limit
		}
		if limit >= 0 && !shown {
			a.limit = args[limit].Int()
		}
	}
	return a, fault.Wrap(fault.BadRequest, "bind", f.err)
}
