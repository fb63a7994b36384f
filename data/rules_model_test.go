package data_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// eyes is one caller of a world: what he may see, by looking at each record by itself.
type eyes struct {
	*world
	by data.Caller
}

func (e eyes) Field(name string) expr.Value {
	text := func(s string) expr.Value {
		if s == "" {
			return expr.Value{}
		}
		return expr.TextOf(s)
	}
	switch name {
	case "id":
		return text(e.by.ID)
	case "role":
		return text(e.by.Role)
	case "signedIn":
		return expr.BoolOf(e.by.SignedIn)
	case "mfa":
		return expr.BoolOf(e.by.MFA)
	}
	if e.by.User == nil {
		return expr.Value{}
	}
	users, _ := e.app.Collection("users")
	f, _ := users.Field(name)
	return e.by.User[f.Ord]
}

func (e eyes) Has(role string) bool {
	ranks := map[string]int{"member": 1, "staff": 2, "admin": 3}
	return e.by.Role != "" && ranks[e.by.Role] >= ranks[role]
}

// finder walks the records of a world: all of them, or those that eyes may see.
type finder struct {
	eyes
	all bool
}

func (f finder) Fetch(collection, id string) ([]expr.Value, error) {
	r := f.byID[id]
	if r == nil || !f.all && !f.sees(collection, r) {
		return nil, nil
	}
	return r.vals, nil
}

func (f finder) Referring(collection string, ord int, id string) (found [][]expr.Value, err error) {
	for _, r := range f.rows[collection] {
		if (f.all || f.sees(collection, r)) && slices.Contains(links(r.vals[ord]), id) {
			found = append(found, r.vals)
		}
	}
	return found, nil
}

// links are the ids that a reference, or a list of them, holds.
func links(v expr.Value) (ids []string) {
	if v.Kind() == expr.Text {
		return []string{v.Text()}
	}
	for _, item := range v.List() {
		ids = append(ids, item.Text())
	}
	return ids
}

func (e eyes) holds(rule *expr.Expr, r *row) bool {
	s := &expr.Scope{Now: e.now.UnixMilli(), Auth: e, Fetch: finder{e, true}}
	if r != nil {
		s.Rows = [][]expr.Value{r.vals}
	}
	ok, err := expr.Holds(rule.Root, s)
	if err != nil {
		e.t.Fatal(err)
	}
	return ok
}

// sees says whether he may read a record.
func (e eyes) sees(collection string, r *row) bool {
	if e.by.Operator {
		return true
	}
	key := e.by.Scope + r.id
	ok, known := e.seen[key]
	if !known {
		c, _ := e.app.Collection(collection)
		ok = c.Access.Read != nil && e.holds(c.Access.Read, r)
		e.seen[key] = ok
	}
	return ok
}

// names says whether he may name a field: in an answer, or (whole) where it tells of all records.
func (e eyes) names(f *spec.Field, whole bool) bool {
	switch {
	case f.Hidden:
		return false
	case f.Read == nil || e.by.Operator:
		return true
	case f.Read.Record:
		return !whole
	}
	return e.holds(f.Read, nil)
}

// print prints fields ("": all) of a record as he may read them, without the brace at the end.
func (e eyes) print(c *spec.Collection, r *row, fields string) string {
	var parts []string
	show := func(f *spec.Field) {
		if !f.Hidden && (f.Read == nil || e.by.Operator || e.holds(f.Read, r)) {
			parts = append(parts, `"`+f.Name+`":`+r.json[f.Name])
		}
	}
	if fields == "" {
		for _, f := range c.Fields {
			if f.Companion == spec.Own {
				show(f)
			}
		}
		return "{" + strings.Join(parts, ",")
	}
	show(c.Fields[spec.OrdID])
	for name := range strings.SplitSeq(fields, ",") {
		if f, _ := c.Field(name); f.Ord != spec.OrdID {
			show(f)
		}
	}
	return "{" + strings.Join(parts, ",")
}

// query is a question with all that the model must know of it.
type query struct {
	of          *spec.Collection
	filter      string
	params      map[string]*doc.Node
	named       []mention
	sort        []order
	fields      []string
	expand      []*more
	group, aggs []string
	count       bool
}

type order struct {
	f    *spec.Field
	desc bool
}

// more is a name of expand.
type more struct {
	name  string
	to    *spec.Collection
	ref   *spec.Field // a field of the record, or of those that refer to it
	inv   bool
	limit int
	sort  []order
	more  []*more
}

func orderText(keys []order) string {
	var words []string
	for _, k := range keys {
		if k.desc {
			words = append(words, "-"+k.f.Name)
		} else {
			words = append(words, k.f.Name)
		}
	}
	return strings.Join(words, ",")
}

func moreText(all []*more) string {
	var words []string
	for _, m := range all {
		var opts []string
		if m.limit > 0 {
			opts = append(opts, fmt.Sprintf("limit=%d", m.limit))
		}
		if len(m.sort) > 0 {
			opts = append(opts, "sort="+orderText(m.sort))
		}
		if len(m.more) > 0 {
			opts = append(opts, "expand="+moreText(m.more))
		}
		word := m.name
		if opts != nil {
			word += "(" + strings.Join(opts, ",") + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

// sortable are the fields that have an order.
func sortable(c *spec.Collection) (all []*spec.Field) {
	for _, f := range c.Fields {
		if f.Companion == spec.Own && !f.Encrypted && f.Type != spec.List && f.Type != spec.JSON {
			all = append(all, f)
		}
	}
	return all
}

// value is what a field is ordered and grouped by.
func value(f *spec.Field, r *row) expr.Value {
	if f.FoldOrd >= 0 {
		return r.vals[f.FoldOrd]
	}
	return r.vals[f.Ord]
}

// ask makes a random question about a collection.
func (w *world) ask(c *randomCollection) *query {
	t, sc := w.t, w.spec(c)
	q := &query{of: sc, params: map[string]*doc.Node{}, count: often(t, 50)}
	if often(t, 75) {
		q.named = []mention{}
		q.filter = w.condition([]*randomCollection{c}, []string{""}, 1+upTo(t, 3), &q.named)
		if strings.Contains(q.filter, "param.t") {
			q.params["t"] = doc.NewString(one(t, []string{"a", "b", ann.ID}))
		}
		if strings.Contains(q.filter, "param.n") {
			q.params["n"] = doc.NewInt(int64(upTo(t, 9) - 1))
		}
	}
	q.sort = w.order(sc)
	if often(t, 30) {
		for _, f := range sc.Fields {
			if f.Companion == spec.Own && often(t, 40) {
				q.fields = append(q.fields, f.Name)
			}
		}
	}
	if often(t, 60) {
		w.names = 0
		q.expand = w.more(c, 2)
	}
	groups := sortable(sc)
	for range upTo(t, 3) {
		if f := one(t, groups); !slices.Contains(q.group, f.Name) {
			q.group = append(q.group, f.Name)
		}
	}
	q.aggs = []string{"count"}
	for _, f := range groups {
		if f.Type == spec.Int || f.Type == spec.Decimal {
			q.aggs = append(q.aggs, "sum("+f.Name+")")
		}
		if f.Type != spec.Bool && often(t, 30) {
			q.aggs = append(q.aggs, one(t, []string{"min(", "max("})+f.Name+")")
		}
	}
	return q
}

func (w *world) spec(c *randomCollection) *spec.Collection {
	sc, _ := w.app.Collection(c.name)
	return sc
}

func (w *world) order(c *spec.Collection) (keys []order) {
	for range upTo(w.t, 3) {
		f := one(w.t, sortable(c))
		if !slices.ContainsFunc(keys, func(k order) bool { return k.f == f }) {
			keys = append(keys, order{f, often(w.t, 50)})
		}
	}
	return keys
}

// room says whether one more name is expanded: one question may have 20.
func (w *world) room() bool {
	if w.names == 20 || often(w.t, 50) {
		return false
	}
	w.names++
	return true
}

func (w *world) more(c *randomCollection, depth int) (all []*more) {
	for _, f := range c.fields {
		if f.to != nil && w.room() {
			ref, _ := w.spec(c).Field(f.name)
			m := &more{name: f.name, to: w.spec(f.to), ref: ref}
			if depth > 1 {
				m.more = w.more(f.to, depth-1)
			}
			all = append(all, m)
		}
	}
	for _, i := range c.inverses {
		if w.room() {
			ref, _ := w.spec(i.of).Field(i.by.name)
			m := &more{name: i.name, to: w.spec(i.of), ref: ref, inv: true, limit: upTo(w.t, 4), sort: w.order(w.spec(i.of))}
			if depth > 1 {
				m.more = w.more(i.of, depth-1)
			}
			all = append(all, m)
		}
	}
	return all
}

// interrogate asks everything as every caller.
func (w *world) interrogate() {
	for _, c := range w.cols {
		questions := []*query{{of: w.spec(c), count: true, aggs: []string{"count"}}}
		for range 3 {
			questions = append(questions, w.ask(c))
		}
		first := upTo(w.t, len(w.callers)) // what is compiled for one caller serves the others
		for i := range w.callers {
			e := eyes{w, w.callers[(first+i)%len(w.callers)]}
			for _, q := range questions {
				e.list(c, q)
				e.groups(c, q)
			}
			for _, r := range w.rows[c.name] {
				e.one(c, r, questions[1])
			}
		}
	}
}

// asked is one question of both engines: they answer alike.
func (e eyes) asked(what string, ask func(db *data.DB) ([]byte, error)) (string, error) {
	one, err1 := ask(e.sqlite)
	two, err2 := ask(e.mem)
	if string(one) != string(two) || fmt.Sprint(err1) != fmt.Sprint(err2) {
		e.fail(what, "SQLite: %s %v\nmemory: %s %v", one, err1, two, err2)
	}
	return string(one), err1
}

func (e eyes) fail(what, format string, args ...any) {
	e.t.Helper()
	var rows strings.Builder
	for _, c := range e.cols {
		for _, r := range e.rows[c.name] {
			fmt.Fprintf(&rows, "%s %v\n", c.name, r.json)
		}
	}
	e.t.Fatalf("%q (%s) asks %s\n%s\n%s\n%s", e.by.Role, e.by.Scope, what, fmt.Sprintf(format, args...), e.yaml, rows.String())
}

// refused says whether an error is the one that is expected; true when there is nothing to compare.
func (e eyes) refused(what string, err error, want fault.Kind, refuse bool) bool {
	if refuse != (err != nil) || refuse && fault.Of(err) != want {
		var f *fault.Error
		errors.As(err, &f)
		e.fail(what, "got %v %+v, want it refused: %v (%v)", err, f, refuse, want)
	}
	return refuse
}

// closed is the answer of a collection without a read rule.
func (e eyes) closed(c *spec.Collection) (fault.Kind, bool) {
	if c.Access.Read != nil || e.by.Operator {
		return 0, false
	}
	if !e.by.SignedIn {
		return fault.Unauthenticated, true
	}
	return fault.Denied, true
}

// mayFilter says whether he may name all that a filter names.
func (e eyes) mayFilter(q *query) bool {
	for _, m := range q.named {
		f, _ := e.spec(m.of).Field(m.f.name)
		if !e.enters(q.of, e.spec(m.in)) || !e.names(f, true) {
			return false
		}
	}
	return true
}

// enters says whether he may use the names of a collection: not of one that a path reaches and that is
// closed to him, whatever its records.
func (e eyes) enters(root, c *spec.Collection) bool {
	switch {
	case c == root || e.by.Operator:
		return true
	case c.Access.Read == nil:
		return false
	}
	return c.Access.Read.Record || e.holds(c.Access.Read, nil)
}

// may says whether he may ask a list.
func (e eyes) may(c *spec.Collection, q *query) bool {
	ok := e.mayFilter(q) && e.mayExpand(q.of, q.of, q.expand) && e.maySort(q.of, q.of, q.sort)
	for _, name := range q.fields {
		f, _ := c.Field(name)
		ok = ok && e.names(f, false)
	}
	return ok
}

func (e eyes) maySort(root, c *spec.Collection, keys []order) bool {
	for _, k := range keys {
		if !e.enters(root, c) || !e.names(k.f, true) {
			return false
		}
	}
	return true
}

func (e eyes) mayExpand(root, c *spec.Collection, all []*more) bool {
	for _, m := range all {
		if !e.enters(root, c) || !e.names(m.ref, true) || !e.maySort(root, m.to, m.sort) || !e.mayExpand(root, m.to, m.more) {
			return false
		}
	}
	return true
}

// matching are the records that he sees and a filter holds for.
func (e eyes) matching(c *spec.Collection, q *query) (found []*row) {
	var filter *expr.Expr
	s := &expr.Scope{Now: e.now.UnixMilli(), Auth: e, Fetch: finder{e, e.by.Operator}}
	if q.filter != "" {
		var err error
		if filter, err = expr.Compile(q.filter, e.app.Env(), c.Name, expr.InFilter); err != nil {
			e.fail(q.filter, "%v", err)
		}
		_, lits, err := expr.Shape(q.filter)
		if err != nil {
			e.fail(q.filter, "%v", err)
		}
		s.Params, err = filter.Args(nil, lits,
			func(name string, t expr.Type) (expr.Value, error) { return expr.ParseText(t, q.params[name].Text) },
			func(_, text string) (string, error) { return "key of " + text, nil })
		if err != nil {
			e.fail(q.filter, "%v", err)
		}
	}
	for _, r := range e.rows[c.Name] {
		ok := e.sees(c.Name, r)
		if ok && filter != nil {
			s.Rows = [][]expr.Value{r.vals}
			var err error
			if ok, err = expr.Holds(filter.Root, s); err != nil {
				e.fail(q.filter, "%v", err)
			}
		}
		if ok {
			found = append(found, r)
		}
	}
	return found
}

func ordered(rows []*row, keys []order) {
	desc := len(keys) > 0 && keys[len(keys)-1].desc
	slices.SortFunc(rows, func(a, b *row) int {
		for _, k := range keys {
			if c := expr.Compare(value(k.f, a), value(k.f, b)); c != 0 {
				if k.desc {
					return -c
				}
				return c
			}
		}
		if desc {
			return cmp.Compare(b.id, a.id)
		}
		return cmp.Compare(a.id, b.id)
	})
}

// whole prints a record with what is expanded in it.
func (e eyes) whole(c *spec.Collection, r *row, fields string, all []*more) string {
	text := e.print(c, r, fields)
	if len(all) == 0 {
		return text + "}"
	}
	var parts []string
	for _, m := range all {
		var items []string
		var found []*row
		if m.inv {
			for _, o := range e.rows[m.to.Name] {
				if slices.Contains(links(o.vals[m.ref.Ord]), r.id) {
					found = append(found, o)
				}
			}
			ordered(found, m.sort)
		} else {
			for _, id := range links(r.vals[m.ref.Ord]) {
				found = append(found, e.byID[id])
			}
		}
		for _, o := range found {
			if e.sees(m.to.Name, o) && (m.limit == 0 || len(items) < m.limit) {
				items = append(items, e.whole(m.to, o, "", m.more))
			}
		}
		if !m.inv && m.ref.Type == spec.Ref {
			if len(items) > 0 {
				parts = append(parts, `"`+m.name+`":`+items[0])
			}
			continue
		}
		parts = append(parts, `"`+m.name+`":[`+strings.Join(items, ",")+"]")
	}
	return text + `,"expand":{` + strings.Join(parts, ",") + "}}"
}

// list asks a list, in pages, and compares it with the model.
func (e eyes) list(rc *randomCollection, q *query) {
	c := e.spec(rc)
	ask := &data.ListQuery{Collection: c.Name, Filter: q.filter, Params: q.params, Sort: orderText(q.sort), Fields: strings.Join(q.fields, ","),
		Expand: moreText(q.expand), Count: q.count, Limit: 1 + len(q.filter)%3}
	kind, refuse := e.closed(c)
	if !refuse && !e.may(c, q) {
		kind, refuse = fault.BadRequest, true
	}
	var want []*row
	if !refuse {
		want = e.matching(c, q)
		ordered(want, q.sort)
	}
	for at := 0; ; at += ask.Limit {
		what := fmt.Sprintf("list %+v", *ask)
		got, err := e.asked(what, func(db *data.DB) ([]byte, error) { return db.List(context.Background(), e.by, ask, nil) })
		if e.refused(what, err, kind, refuse) {
			return
		}
		var items []string
		for _, r := range want[min(at, len(want)):min(at+ask.Limit, len(want))] {
			items = append(items, e.whole(c, r, ask.Fields, q.expand))
		}
		expected := `{"items":[` + strings.Join(items, ",") + "]"
		n, err := doc.Parse([]byte(got), doc.Limits{})
		if err != nil {
			e.fail(what, "%v: %s", err, got)
		}
		next, more := n.Get("next")
		if more {
			expected += `,"next":"` + next.Text + `"`
		}
		if q.count {
			expected += `,"total":` + strconv.Itoa(len(want))
		}
		if expected += "}"; got != expected || more != (at+ask.Limit < len(want)) {
			e.fail(what, "got  %s\nwant %s", got, expected)
		}
		if !more {
			return
		}
		ask.Cursor = next.Text
	}
}

// one reads one record.
func (e eyes) one(rc *randomCollection, r *row, q *query) {
	c := e.spec(rc)
	view := data.View{Fields: strings.Join(q.fields, ","), Expand: moreText(q.expand)}
	what := fmt.Sprintf("get %s %s %+v", c.Name, r.id, view)
	got, err := e.asked(what, func(db *data.DB) ([]byte, error) {
		out, _, err := db.Get(context.Background(), e.by, data.Target{Collection: c.Name, ID: r.id}, view, nil)
		return out, err
	})
	kind, refuse := e.closed(c)
	switch {
	case refuse:
	case !e.may(c, &query{of: c, fields: q.fields, expand: q.expand}):
		kind, refuse = fault.BadRequest, true
	case !e.sees(c.Name, r):
		kind, refuse = fault.NotFound, true
	}
	if e.refused(what, err, kind, refuse) {
		return
	}
	if want := e.whole(c, r, view.Fields, q.expand); got != want {
		e.fail(what, "got  %s\nwant %s", got, want)
	}
}

// groups asks a summary.
func (e eyes) groups(rc *randomCollection, q *query) {
	c := e.spec(rc)
	ask := &data.GroupQuery{Collection: c.Name, Filter: q.filter, Params: q.params, Group: strings.Join(q.group, ","), Aggregate: strings.Join(q.aggs, ",")}
	what := fmt.Sprintf("groups %+v", *ask)
	got, err := e.asked(what, func(db *data.DB) ([]byte, error) { return db.Groups(context.Background(), e.by, ask, nil) })
	kind, refuse := e.closed(c)
	ok := e.mayFilter(q)
	field := func(name string) *spec.Field {
		f, _ := c.Field(name)
		ok = ok && e.names(f, true)
		return f
	}
	var by []*spec.Field
	for _, name := range q.group {
		by = append(by, field(name))
	}
	aggs := make([]*spec.Field, len(q.aggs))
	for i, a := range q.aggs[1:] {
		_, name, _ := strings.Cut(a, "(")
		aggs[i+1] = field(strings.TrimSuffix(name, ")"))
	}
	if !refuse && !ok {
		kind, refuse = fault.BadRequest, true
	}
	if e.refused(what, err, kind, refuse) {
		return
	}
	var sets [][]*row
	if len(by) == 0 {
		sets = [][]*row{e.matching(c, q)}
	} else {
		for _, r := range e.matching(c, q) {
			at := slices.IndexFunc(sets, func(s []*row) bool { return compareGroups(by, s[0], r) == 0 })
			if at < 0 {
				sets = append(sets, nil)
				at = len(sets) - 1
			}
			sets[at] = append(sets[at], r)
		}
		slices.SortFunc(sets, func(a, b []*row) int { return compareGroups(by, a[0], b[0]) })
	}
	var items []string
	for _, s := range sets {
		var parts []string
		for _, f := range by {
			parts = append(parts, fmt.Sprintf(`"%s":%s`, f.Name, data.AppendJSON(nil, value(f, s[0]))))
		}
		for i, a := range q.aggs {
			parts = append(parts, fmt.Sprintf(`"%s":%s`, a, aggregated(a, aggs[i], s)))
		}
		items = append(items, "{"+strings.Join(parts, ",")+"}")
	}
	if want := `{"groups":[` + strings.Join(items, ",") + "]}"; got != want {
		e.fail(what, "got  %s\nwant %s", got, want)
	}
}

func compareGroups(by []*spec.Field, a, b *row) int {
	for _, f := range by {
		if c := expr.Compare(value(f, a), value(f, b)); c != 0 {
			return c
		}
	}
	return 0
}

// aggregated is an aggregate of some records, as JSON.
func aggregated(word string, f *spec.Field, rows []*row) string {
	if f == nil {
		return strconv.Itoa(len(rows))
	}
	var sum int64
	var best expr.Value
	for _, r := range rows {
		v := value(f, r)
		if v.IsNull() {
			continue
		}
		switch c := expr.Compare(v, best); {
		case strings.HasPrefix(word, "sum"):
			sum += v.Int()
			best = expr.IntOf(sum)
			if f.Type == spec.Decimal {
				best = expr.DecimalOf(sum, uint8(f.Scale))
			}
		case best.IsNull(), c < 0 && strings.HasPrefix(word, "min"), c > 0 && strings.HasPrefix(word, "max"):
			best = v
		}
	}
	return string(data.AppendJSON(nil, best))
}
