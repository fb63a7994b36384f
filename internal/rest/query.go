package rest

import (
	"net/http"

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
	if err := q.fromBody(body.Node); err != nil {
		return err
	}
	return d.answer(w, r, by, &q)
}

func (q *question) fromBody(n *doc.Node) error {
	if n.Kind != doc.Object {
		return wrongType("", n, "must be an object")
	}
	texts := map[string]*string{"filter": &q.list.Filter, "sort": &q.list.Sort, "fields": &q.list.Fields, "expand": &q.list.Expand,
		"cursor": &q.list.Cursor, "group": &q.group, "aggregate": &q.aggregate}
	for i, key := range n.Keys {
		v := &n.Items[i]
		if text := texts[key]; text != nil {
			if v.Kind != doc.String {
				return wrongType("/"+key, v, "must be a string")
			}
			*text = v.Text
			continue
		}
		switch key {
		case "limit":
			if v.Kind != doc.Number {
				return wrongType("/limit", v, "must be a number")
			}
			if err := q.limit(v.Text); err != nil {
				return err
			}
		case "count":
			if v.Kind != doc.String {
				return wrongType("/count", v, `must be "exact"`)
			}
			if err := q.count(v.Text); err != nil {
				return err
			}
		case "param":
			if v.Kind != doc.Object {
				return wrongType("/param", v, "must be an object of values by name")
			}
			q.list.Params = make(map[string]*doc.Node, len(v.Keys))
			for j, name := range v.Keys {
				q.list.Params[name] = &v.Items[j]
			}
		default:
			return badField("/"+key, n.Items[i].At, "unknown", "is not part of a question")
		}
	}
	return q.settle(func(name string) bool { _, there := n.Get(name); return there })
}

// badField is a 400 about a place in a body that is no record.
func badField(pointer string, at int, code, message string) error {
	return &fault.Error{Kind: fault.BadRequest, Msg: "the body is not as it should be: " + pointer + " " + message,
		Fields: []fault.Field{{Pointer: pointer, At: at + 1, Code: code, Message: message}}}
}

func wrongType(pointer string, n *doc.Node, message string) error {
	return badField(pointer, n.At, "type", message)
}
