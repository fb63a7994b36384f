package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// query answers POST /api/{collection}/query: a list whose question is in the body.
func (d *door) query(w http.ResponseWriter, r *http.Request) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	if err := nothing(r); err != nil {
		return err
	}
	by, err := d.reader(w, r)
	if err != nil {
		return err
	}
	body, err := web.ReadJSON(w, r, d.limit(), web.PlainJSON)
	if err != nil {
		return err
	}
	var q question
	if body.Kind != doc.Object {
		var wrong web.Mistakes
		wrong.Body("", body.At, "type", "must be an object")
		return wrong.Err()
	}
	if wrong := q.fromBody(body.Node); len(wrong) > 0 {
		return wrong.With(inBody(d.try(r, by, &q)))
	}
	return inBody(d.answer(w, r, by, &q))
}

// inBody tells the parts of a question as the members of the body that they are. at stays what it is: a
// position in the value.
func inBody(err error) error {
	e, ok := err.(*fault.Error)
	if !ok || e.Kind != fault.BadRequest {
		return err
	}
	told := *e
	told.Fields = slices.Clone(e.Fields)
	for i := range told.Fields {
		f := &told.Fields[i]
		if param, name, _ := strings.Cut(f.Param, "."); name != "" {
			f.Pointer = fault.Pointer(param, name)
		} else if param != "" {
			f.Pointer = fault.Pointer(param)
		}
		f.Param = ""
	}
	return &told
}

// fromBody reads the question in a body: the names are those of the address.
func (q *question) fromBody(n *doc.Node) (wrong web.Mistakes) {
	texts := map[string]*string{"filter": &q.list.Filter, "sort": &q.list.Sort, "fields": &q.list.Fields, "expand": &q.list.Expand,
		"cursor": &q.list.Cursor, "group": &q.group, "aggregate": &q.aggregate}
	for i, key := range n.Keys {
		v := &n.Items[i]
		bad := func(code, message string) { wrong.Body(fault.Pointer(key), v.At, code, message) }
		if text := texts[key]; text != nil {
			if v.Kind != doc.String {
				bad("type", "must be a string")
				continue
			}
			*text = v.Text
			continue
		}
		switch key {
		case "limit":
			if v.Kind != doc.Number || !q.limit(v.Text) {
				bad("type", badLimit)
			}
		case "count":
			if v.Kind != doc.String || !q.count(v.Text) {
				bad("type", badCount)
			}
		case "param":
			if v.Kind != doc.Object {
				bad("type", "must be an object of values by name")
				continue
			}
			q.list.Params = make(map[string]*doc.Node, len(v.Keys))
			for j, name := range v.Keys {
				q.list.Params[name] = &v.Items[j]
			}
		default:
			bad("unknown", "is not part of a question")
		}
	}
	for _, name := range q.settle(func(name string) bool { _, there := n.Get(name); return there }) {
		v, _ := n.Get(name)
		wrong.Body(fault.Pointer(name), v.At, "unknown", ofRecords)
	}
	return wrong
}
