package data

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// WatchQuery is a list whose changes are followed, or one record of it.
type WatchQuery struct {
	Collection string
	ID         string // "": a list
	Filter     string
	Params     map[string]*doc.Node
	Fields     string // "a,b"; "": all
}

// Watch is a list as one caller sees it, with his rights as they are when it is made. It is safe for concurrent use.
//
// Whether a record belongs to it is judged at each transaction, with the records as they were before it and behind it (History),
// so that what a client is told is the same whenever he is told it; what was in between has been nobody's to see. What is shown
// of a record is, besides, what he may read at the moment at which it is shown.
type Watch struct {
	db    *DB
	k     *kind
	id    string // "": a list
	key   string
	list  *expr.Node // access rule and filter; nil: all
	rule  *expr.Node // the access rule alone; nil: all
	outs  []shown
	auth  []string // fields of the caller that the rules look at
	paths [][]hop  // from the list's records to those that it depends on
	again bool     // the rule looks at other records: it is asked again when a record is shown
}

// shown is a field of a watch and the rule that says whether it is shown; nil: always.
type shown struct {
	field  *spec.Field
	prefix []byte
	rule   *expr.Node
}

// hop is a step from a record to others.
type hop struct {
	from, to *kind
	ord      int  // the reference, or list of references: of from, or, for an inverse, of to
	inverse  bool // the others refer to the record
}

// Event is what a watch tells of a record at a transaction.
type Event struct {
	Kind   string // create update delete enter leave
	ID     string // of the record
	Record Record // to be shown by Watch.Append; nil for delete and leave, and where the caller may not read it now

	present Record // what the record is now, where a rule looks at it; nil when it is gone
}

// Watch compiles a question. Its errors are those of a list.
func (db *DB) Watch(by Caller, q *WatchQuery) (*Watch, error) {
	if _, err := db.logged(); err != nil {
		return nil, err
	}
	k, err := db.collection(by, q.Collection)
	if err != nil {
		return nil, err
	}
	if k.Access.Read == nil && !by.Operator {
		return nil, denied(&by, "read "+k.Name)
	}
	w := &Watch{db: db, k: k, id: q.ID}
	if q.ID != "" && !ValidID(q.ID) {
		return nil, fault.New(fault.NotFound, "there is no such record in %s", k.Name)
	}
	a := &asker{db: db, by: &by, root: k.Collection}
	fields, err := a.fields(k.Collection, "fields", 0, q.Fields)
	var filter *expr.Expr
	var node *expr.Node
	if q.Filter != "" {
		var bad error
		filter, node, bad = a.filter(k.Collection, q.Filter)
		err = fault.Join(err, bad)
	}
	if err != nil {
		return nil, err
	}
	scope := db.scope(&by, nil)
	if scope.Params, err = db.watchArgs(filter, q); err != nil {
		return nil, err
	}
	bind := func(n *expr.Node) *expr.Node {
		expr.Walk(n, func(m *expr.Node) bool {
			if m.Op == expr.OpAuth && !slices.Contains(w.auth, m.Name) {
				w.auth = append(w.auth, m.Name)
			}
			return true
		})
		return expr.Bind(n, scope)
	}
	if !by.Operator {
		w.rule = bind(k.Access.Read.Root)
	}
	w.list = w.rule
	if node != nil {
		w.list = bind(node)
		if w.rule != nil {
			w.list = expr.And(w.rule, w.list)
		}
	}
	for _, f := range fields {
		s := shown{field: f, prefix: k.prefix[f.Ord]}
		if f.Read != nil && !by.Operator {
			if s.rule = bind(f.Read.Root); expr.IsTrue(s.rule) {
				s.rule = nil
			} else if s.rule.Op == expr.OpLit {
				continue
			}
		}
		w.outs = append(w.outs, s)
	}
	w.depend()
	w.name()
	return w, nil
}

// watchArgs are the values of a filter's params. Literals stand in it as they are.
func (db *DB) watchArgs(filter *expr.Expr, q *WatchQuery) ([]Value, error) {
	var lits []expr.Literal
	if filter != nil {
		var err error
		if _, lits, err = appendFilterShape(nil, q.Filter, nil); err != nil {
			return nil, err
		}
	}
	return db.filterArgs(filter, lits, q.Params)
}

// Key is the same for two watches that tell and show the same of every change.
func (w *Watch) Key() string { return w.key }

// Collection is the name of the list's collection.
func (w *Watch) Collection() string { return w.k.Name }

func (w *Watch) name() {
	key := appendWords(nil, w.k.Name, w.id)
	key = expr.AppendKey(expr.AppendKey(key, w.list), w.rule)
	for _, s := range w.outs {
		key = expr.AppendKey(appendWords(key, s.field.Name), s.rule)
	}
	slices.Sort(w.auth)
	for _, name := range w.auth { // it ends with others than those that look the same and rest on less
		key = appendWords(key, name)
	}
	w.key = string(key)
}

// Walks says whether the watch looks at other records than those of its list.
func (w *Watch) Walks() bool { return len(w.paths) > 0 }

// Depends says whether the watch may have something to tell of changes in a collection.
func (w *Watch) Depends(collection string) bool {
	if w.k.Name == collection {
		return true
	}
	for _, p := range w.paths {
		if p[len(p)-1].to.Name == collection {
			return true
		}
	}
	return false
}

// depend finds the paths on which the list's conditions reach other records.
func (w *Watch) depend() {
	root := map[int][]hop{expr.VarRecord: {}}
	w.reach(w.rule, root)
	w.again = len(w.paths) > 0
	w.reach(w.list, root)
	for _, s := range w.outs {
		w.reach(s.rule, root)
	}
	var kept [][]hop
	for _, p := range w.paths {
		if !slices.ContainsFunc(kept, func(q []hop) bool { return slices.Equal(p, q) }) {
			kept = append(kept, p)
		}
	}
	w.paths = kept
}

// reach notes the path of each step in a tree. vars are the paths to what the row variables stand for.
func (w *Watch) reach(n *expr.Node, vars map[int][]hop) (path []hop, row bool) {
	if n == nil {
		return nil, false
	}
	bound := func(m *expr.Node, at int, path []hop) {
		if m == nil {
			return
		}
		inner := make(map[int][]hop, len(vars)+1)
		for v, p := range vars {
			inner[v] = p
		}
		inner[at] = path
		w.reach(m, inner)
	}
	switch n.Op {
	case expr.OpRow:
		p, ok := vars[n.Index]
		return p, ok
	case expr.OpDeref, expr.OpInverse:
		from, ok := w.reach(n.Args[0], vars)
		if !ok {
			return nil, false
		}
		h := hop{from: w.k, to: w.db.kinds[n.Type.Ref], ord: n.Index, inverse: n.Op == expr.OpInverse}
		if len(from) > 0 {
			h.from = from[len(from)-1].to
		}
		path := append(slices.Clone(from), h)
		w.paths = append(w.paths, path)
		bound(n.Guard, n.Bind, path)
		return path, true
	case expr.OpExists, expr.OpAll:
		path, ok := w.reach(n.Args[0], vars)
		if ok {
			bound(n.Args[1], n.Bind, path)
		} else {
			w.reach(n.Args[1], vars)
		}
		return nil, false
	}
	for _, a := range n.Args {
		w.reach(a, vars)
	}
	return nil, false
}

// Ended says whether a change takes away what the watch rests on: the caller's own record is another as far as rules look
// at it, or gone.
func (w *Watch) Ended(by *Caller, c *Change) bool {
	return w.db.unmade(by, c, w.looks)
}

// unmade says whether a change makes another of a caller: his own record is gone, or differs in what he may do by it, or in
// a field that rules look at; or he belongs to other teams, as far as rules look at them.
func (db *DB) unmade(by *Caller, c *Change, looks func(field string) bool) bool {
	if t := db.teams; t != nil && by.ID != "" && c.Collection == t.Members {
		return t.moved(db, by, c, looks)
	}
	if by.ID == "" || c.ID != by.ID || c.Collection != db.app.Auth.Collection || c.Op == Create {
		return false
	}
	return c.Op == Delete || db.differ(c.Old, c.New, looks)
}

// Same says whether a watch that was made for one caller is one for another too, as far as rules look at him.
func (w *Watch) Same(a, b *Caller) bool {
	return a.ID == b.ID && a.Role == b.Role && a.Operator == b.Operator && a.SignedIn == b.SignedIn && a.MFA == b.MFA && !w.db.differ(a.User, b.User, w.looks) && w.db.sameTeams(a, b, w.looks)
}

// looks says whether the rules look at a field of the caller.
func (w *Watch) looks(field string) bool { return slices.Contains(w.auth, field) }

// differ says whether two states of a user's record differ in what he may do by it, or in a field that rules look at.
func (db *DB) differ(a, b Record, looks func(field string) bool) bool {
	users := db.kinds[db.app.Auth.Collection]
	if users == nil || a == nil || b == nil {
		return (a == nil) != (b == nil)
	}
	for _, f := range users.Fields {
		looked := f.Name == "role" || f.Name == "verified" || f.Name == "disabled" || looks(f.Name)
		if looked && !same(a[f.Ord], b[f.Ord]) {
			return true
		}
	}
	return false
}

// mostAffected bounds the records of a list that one transaction may bring in or out.
const mostAffected = 10_000

// Transactions are changes that follow one another in the log, by the transaction that they are of. The first and the last may
// be a part of theirs.
func Transactions(all []*Change) iter.Seq[[]*Change] {
	return func(yield func([]*Change) bool) {
		for from, i := 0, 1; i <= len(all); i++ {
			if i == len(all) || all[i].First != all[from].First {
				if !yield(all[from:i]) {
					return
				}
				from = i
			}
		}
	}
}

// Events appends what the watch tells of a transaction, always the same and in the same order: one event at most of each
// record. The changes are all those of the transaction whose collections the model has. Where it changes, or affects, more records
// than can be looked at together the error is fault.TooLarge.
func (w *Watch) Events(h *History, transaction []*Change, dst []Event) ([]Event, error) {
	var own map[string]*span // the records of the list that have changed; nil: one at most has
	if len(transaction) > 1 {
		own = w.spans(transaction)
	}
	c := transaction[len(transaction)-1]
	walks := false
	for i, one := range transaction {
		walks = walks || len(w.paths) > 0 && w.Depends(one.Collection)
		if w.k.Name != one.Collection || w.id != "" && w.id != one.ID {
			continue
		}
		old := one.Old
		if own != nil {
			s := own[one.ID]
			if s.last != i {
				continue
			}
			old = transaction[s.first].Old
		}
		e, err := w.event(h, c, one.ID, old, one.New)
		if err != nil {
			return dst, err
		}
		if e.Kind != "" {
			dst = append(dst, e)
		}
	}
	if !walks {
		return dst, nil
	}
	ids, err := w.affected(h, transaction)
	if err != nil {
		return dst, err
	}
	for _, id := range ids {
		if own[id] != nil || len(transaction) == 1 && w.k.Name == c.Collection && id == c.ID || w.id != "" && id != w.id {
			continue
		}
		rec, err := h.at(c.Last).Fetch(w.k.Name, id)
		if err != nil {
			return dst, err
		}
		if rec == nil {
			continue
		}
		if rec, err = w.db.opened(w.k, rec); err != nil {
			return dst, err
		}
		e, err := w.event(h, c, id, rec, rec)
		if err != nil {
			return dst, err
		}
		if e.Kind == "update" { // the record is the same; is what is shown of it?
			if e.Kind, err = w.reshown(h, c, rec); err != nil {
				return dst, err
			}
		}
		if e.Kind != "" {
			dst = append(dst, e)
		}
	}
	return dst, nil
}

// span is which changes of a transaction are the first and the last of a record.
type span struct{ first, last int }

func (w *Watch) spans(transaction []*Change) map[string]*span {
	own := map[string]*span{}
	for i, c := range transaction {
		if c.Collection != w.k.Name {
			continue
		}
		if s := own[c.ID]; s != nil {
			s.last = i
		} else {
			own[c.ID] = &span{i, i}
		}
	}
	return own
}

// event is what becomes of a record of the list by the transaction of a change.
func (w *Watch) event(h *History, c *Change, id string, old, rec Record) (e Event, err error) {
	e.ID = id
	was, is := false, false
	if old != nil {
		if was, err = w.holds(w.list, h.at(c.First-1), c, old); err != nil {
			return e, err
		}
	}
	if rec != nil {
		if is, err = w.holds(w.list, h.at(c.Last), c, rec); err != nil {
			return e, err
		}
	}
	switch {
	case was && rec == nil:
		e.Kind = "delete"
	case was && !is:
		e.Kind = "leave"
	case is && old == nil:
		e.Kind = "create"
	case is && !was:
		e.Kind = "enter"
	case is:
		e.Kind = "update"
	}
	if is {
		e.Record = rec
		if may, err := w.shows(h, c, &e); err != nil || !may {
			e.Record = nil
			return e, err
		}
	}
	return e, nil
}

// shows says whether the caller may read the record of an event now: as it was, for who is told of it may come late, and as
// it is, for what it says may be nobody's any more.
func (w *Watch) shows(h *History, c *Change, e *Event) (bool, error) {
	if w.again {
		if may, err := w.holds(w.rule, h.now(), c, e.Record); err != nil || !may {
			return false, err
		}
	}
	asks := w.rule != nil && w.rule.Op != expr.OpLit // the rule, and not only those of fields
	if !asks && !slices.ContainsFunc(w.outs, func(s shown) bool { return s.rule != nil }) {
		return true, nil
	}
	var err error
	if e.present, err = h.present(w.k, e.ID); err != nil || !asks {
		return err == nil, err
	}
	if e.present == nil { // nobody can say whether it would be his to read
		return false, nil
	}
	return w.holds(w.rule, h.now(), c, e.present)
}

// reshown is "update" where the transaction of a change makes other fields of a record visible, "" where it does not.
func (w *Watch) reshown(h *History, c *Change, rec Record) (string, error) {
	for _, s := range w.outs {
		if s.rule == nil {
			continue
		}
		was, err := w.holds(s.rule, h.at(c.First-1), c, rec)
		if err != nil {
			return "", err
		}
		is, err := w.holds(s.rule, h.at(c.Last), c, rec)
		if err != nil {
			return "", err
		}
		if was != is {
			return "update", nil
		}
	}
	return "", nil
}

func (w *Watch) holds(n *expr.Node, fetch expr.Fetcher, c *Change, rec Record) (bool, error) {
	switch {
	case n == nil:
		return true, nil
	case n.Op == expr.OpLit:
		return n.Val.Bool(), nil
	}
	return expr.Holds(n, &expr.Scope{Rows: [][]Value{rec}, Now: c.At.UnixMilli(), Fetch: fetch})
}

// Append prints the record of an event: of it what the caller may read at the moment, and might then.
func (w *Watch) Append(dst []byte, h *History, c *Change, e Event) ([]byte, error) {
	dst = append(dst, '{')
	for i, s := range w.outs {
		if s.rule != nil {
			ok, err := w.holds(s.rule, h.at(c.Last), c, e.Record) // as it was, with what it leads to
			if ok && err == nil {
				ok, err = w.holds(s.rule, h.now(), c, e.Record)
			}
			if ok = ok && e.present != nil; ok && err == nil {
				ok, err = w.holds(s.rule, h.now(), c, e.present)
			}
			if err != nil {
				return dst, err
			}
			if !ok {
				continue
			}
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, s.prefix...)
		var err error
		if dst, err = w.db.appendValue(dst, w.k.Collection, s.field, e.ID, e.Record[s.field.Ord]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// affected are the records of the list from which a path leads to a changed record, before the transaction or after it, in
// order.
func (w *Watch) affected(h *History, transaction []*Change) ([]string, error) {
	found := map[string]bool{}
	for _, p := range w.paths {
		last := p[len(p)-1]
		var changed []string
		for _, c := range transaction {
			if c.Collection == last.to.Name {
				changed = append(changed, c.ID)
			}
		}
		if len(changed) == 0 {
			continue
		}
		for _, at := range []instant{h.at(transaction[0].First - 1), h.at(transaction[0].Last)} {
			ids := changed
			for i := len(p) - 1; i >= 0 && len(ids) > 0; i-- {
				var err error
				if ids, err = p[i].back(at, ids); err != nil {
					return nil, err
				}
				if len(ids) > mostAffected {
					return nil, errAffected
				}
			}
			for _, id := range ids {
				found[id] = true
			}
		}
	}
	if len(found) > mostAffected {
		return nil, errAffected
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

var errAffected = fault.New(fault.TooLarge, "a transaction affects more than %d records of a live list", mostAffected)

// back are the records from which a hop leads to some of the records with these ids.
func (p hop) back(at instant, ids []string) ([]string, error) {
	seen := map[string]bool{}
	var out []string
	add := func(id string) {
		if id != "" && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	for _, id := range ids {
		if !p.inverse {
			all, err := at.Referring(p.from.Name, p.ord, id)
			if err != nil {
				return nil, err
			}
			for _, r := range all {
				add(r[spec.OrdID].Text())
			}
			continue
		}
		rec, err := at.Fetch(p.to.Name, id)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			continue
		}
		add(rec[p.ord].Text())
		for _, item := range rec[p.ord].List() {
			add(item.Text())
		}
	}
	return out, nil
}

// opened is a record as it is stored, made plain.
func (db *DB) opened(k *kind, rec Record) (Record, error) {
	if !k.sealed {
		return rec, nil
	}
	rec = append(Record(nil), rec...)
	return rec, db.keys.open(k.Collection, rec)
}

// Present reads the records that are in a watched list now, some hundreds at a time: next is "" at the end. at is a
// position of which the first page has all that was committed up to it.
func (db *DB) Present(ctx context.Context, by Caller, q *WatchQuery, cursor string) (records [][]byte, next string, at Position, err error) {
	l, err := db.logged()
	if err != nil {
		return nil, "", at, err
	}
	if at, err = db.Head(ctx); err != nil {
		return nil, "", at, err
	}
	list := &ListQuery{Collection: q.Collection, Filter: q.Filter, Params: q.Params, Fields: q.Fields, Limit: maxLimit, Cursor: cursor}
	if q.ID != "" {
		one, _, err := db.Get(ctx, by, Target{Collection: q.Collection, ID: q.ID}, View{Fields: q.Fields}, nil)
		if fault.Is(err, fault.NotFound) {
			return nil, "", at, nil
		}
		return [][]byte{one}, "", at, err
	}
	p, err := db.page(ctx, &by, list)
	if err != nil {
		return nil, "", at, err
	}
	ctx, done, err := db.patience(ctx, &by, p.draft)
	if err != nil {
		return nil, "", at, err
	}
	defer done()
	if db.slow > 0 {
		defer db.slowly(ctx, &by, asking{q.Filter, "", "", ""}, p, time.Now())
	}
	err = db.eng.Read(ctx, func(rd driver.Reader) error {
		if l.ordered {
			if at.Number, err = l.last(ctx, rd); err != nil {
				return err
			}
		}
		if p.v.none {
			return nil
		}
		set, err := db.fetch(ctx, rd, p.draft, p.v, p.scope, p.args, p)
		if err != nil {
			return err
		}
		defer set.release()
		p.rows = len(set.rows)
		for i := range set.rows {
			one, err := set.append(nil, i)
			if err != nil {
				return err
			}
			records = append(records, one)
		}
		return nil
	})
	if p.more {
		next = string(db.appendCursor(nil, list, p.last))
	}
	return records, next, at, err
}

// String is for logs: the list without its values.
func (w *Watch) String() string {
	names := make([]string, len(w.outs))
	for i, s := range w.outs {
		names[i] = s.field.Name
	}
	return w.k.Name + "(" + strings.Join(names, ",") + ")"
}
