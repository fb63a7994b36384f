package rest

import (
	"net/http"
	"strconv"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

const stream = "text/event-stream"

// list answers GET /api/{collection}: records, groups, or a stream.
func (d *door) list(w http.ResponseWriter, r *http.Request) error {
	if len(r.Header["Accept"]) > 0 {
		if web.Names(r, stream) {
			return d.stream(w, r, "")
		}
		if err := acceptsJSON(r); err != nil {
			return err
		}
	}
	var q question
	wrong := q.fromQuery(r)
	by, err := d.reader(w, r)
	if len(wrong) > 0 {
		if err == nil {
			err = d.try(r, by, &q)
		}
		return wrong.With(err)
	}
	if err != nil {
		return err
	}
	return d.answer(w, r, by, &q)
}

// reader is the caller, when he may read the collection in the path as far as it is known without a
// look at records.
func (d *door) reader(w http.ResponseWriter, r *http.Request) (data.Caller, error) {
	by, err := d.who(w, r)
	if err != nil {
		return by, err
	}
	return by, d.store.Allow(by, r.PathValue("collection"), data.Read)
}

// answer asks a question of the collection in the path.
func (d *door) answer(w http.ResponseWriter, r *http.Request, by data.Caller, q *question) error {
	buf := web.Borrow()
	defer buf.Return()
	if err := d.ask(r, by, q, buf); err != nil {
		return err
	}
	personal(w)
	web.JSON(w, r, http.StatusOK, buf.B)
	return nil
}

func (d *door) ask(r *http.Request, by data.Caller, q *question, buf *web.Buffer) (err error) {
	q.list.Collection = r.PathValue("collection")
	if q.grouped {
		g := data.GroupQuery{Collection: q.list.Collection, Filter: q.list.Filter, Params: q.list.Params, Group: q.group, Aggregate: q.aggregate}
		buf.B, err = d.store.Groups(r.Context(), by, &g, buf.B)
	} else {
		buf.B, err = d.store.List(r.Context(), by, &q.list, buf.B)
	}
	return err
}

// try asks a question of which a part could not be read, for what is wrong with the rest.
func (d *door) try(r *http.Request, by data.Caller, q *question) error {
	q.list.Limit, q.list.Count = 1, false
	buf := web.Borrow()
	defer buf.Return()
	return d.ask(r, by, q, buf)
}

// question is a list or, with group or aggregate, a summary of one.
type question struct {
	list             data.ListQuery
	group, aggregate string
	grouped          bool
}

var questions = []string{"filter", "sort", "fields", "expand", "limit", "cursor", "count", "group", "aggregate", "param.*"}

// fromQuery reads the question in the address.
func (q *question) fromQuery(r *http.Request) (wrong web.Mistakes) {
	if r.URL.RawQuery == "" {
		return nil
	}
	var p web.Params
	wrong = p.Query(r, questions...)
	q.list.Filter, _ = p.Get("filter")
	q.list.Sort, _ = p.Get("sort")
	q.list.Fields, _ = p.Get("fields")
	q.list.Expand, _ = p.Get("expand")
	q.list.Cursor, _ = p.Get("cursor")
	q.group, _ = p.Get("group")
	q.aggregate, _ = p.Get("aggregate")
	if text, there := p.Get("limit"); there && !q.limit(text) {
		wrong.Param("limit", 1, "type", badLimit)
	}
	if text, there := p.Get("count"); there && !q.count(text) {
		wrong.Param("count", 1, "type", badCount)
	}
	p.Each("param.", func(name, value string) {
		if q.list.Params == nil {
			q.list.Params = make(map[string]*doc.Node)
		}
		q.list.Params[name] = doc.NewString(value)
	})
	for _, name := range q.settle(func(name string) bool { _, there := p.Get(name); return there }) {
		wrong.Param(name, 0, "unknown", ofRecords)
	}
	return wrong
}

const (
	badLimit  = "must be a whole number from 1 to 500"
	badCount  = `must be "exact"`
	ofRecords = "does not go with group and aggregate"
)

func (q *question) limit(text string) bool {
	n, err := strconv.Atoi(text)
	q.list.Limit = n
	return err == nil && n >= 1 && n <= 500 && text[0] != '+'
}

func (q *question) count(text string) bool {
	q.list.Count = text == "exact"
	return q.list.Count
}

// settle decides between records and groups; it returns the names that are there and do not go with
// groups.
func (q *question) settle(there func(string) bool) (wrong []string) {
	q.grouped = there("group") || there("aggregate")
	if !q.grouped {
		return nil
	}
	for _, name := range []string{"sort", "fields", "expand", "limit", "cursor", "count"} {
		if there(name) {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

// stream hands a request for a live answer on.
func (d *door) stream(w http.ResponseWriter, r *http.Request, id string) error {
	by, err := d.reader(w, r)
	if err != nil {
		return err
	}
	if d.live == nil {
		return noLive()
	}
	d.live.Stream(w, web.Endless(w, r), by, r.PathValue("collection"), id)
	return nil
}

// multiplex answers GET /api/live.
func (d *door) multiplex(w http.ResponseWriter, r *http.Request) error {
	if upgrades(r) {
		return d.socket(w, r)
	}
	if !web.Accepts(r, stream) {
		return fault.New(fault.NotAcceptable, "the answer is %s", stream)
	}
	by, err := d.who(w, r)
	if err != nil {
		return err
	}
	if d.live == nil {
		return noLive()
	}
	d.live.Multiplex(w, web.Endless(w, r), by)
	return nil
}

// changes answers GET /api/changes.
func (d *door) changes(w http.ResponseWriter, r *http.Request) error {
	by, err := d.who(w, r)
	switch {
	case err != nil:
		return err
	case !by.SignedIn:
		return fault.New(fault.Unauthenticated, "sign in to read the log of changes")
	case !by.Operator:
		return fault.New(fault.Denied, "the log of changes is for operators")
	case d.live == nil:
		return noLive()
	}
	if web.Names(r, stream) {
		r = web.Endless(w, r)
	} else if err := acceptsJSON(r); err != nil {
		return err
	}
	d.live.Log(w, r, by)
	return nil
}

func noLive() error {
	return &fault.Error{Kind: fault.Lacking, Op: "live", Msg: "this server sends no live updates"}
}
