package rest

import (
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
)

// read answers GET /api/{collection}/{id}.
func (d *door) read(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if len(r.Header["Accept"]) > 0 {
		if web.Names(r, stream) {
			return d.stream(w, r, id)
		}
		if err := acceptsJSON(r); err != nil {
			return err
		}
	}
	return d.record(w, r, data.Target{Collection: r.PathValue("collection"), ID: id})
}

// readBy answers GET /api/{collection}/by/{field}/{value}: one record by a unique field. The value
// was percent-decoded once, by the router.
func (d *door) readBy(w http.ResponseWriter, r *http.Request) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	return d.record(w, r, data.Target{Collection: r.PathValue("collection"), By: r.PathValue("field"), Value: r.PathValue("value")})
}

var views = []string{"fields", "expand"}

func (d *door) record(w http.ResponseWriter, r *http.Request, t data.Target) error {
	var view data.View
	var wrong web.Mistakes
	if r.URL.RawQuery != "" {
		var p web.Params
		wrong = p.Query(r, views...)
		view.Fields, _ = p.Get("fields")
		view.Expand, _ = p.Get("expand")
	}
	match, err := web.IfMatch(r)
	if err != nil {
		return err
	}
	noneMatch, err := web.IfNoneMatch(r)
	if err != nil {
		return err
	}
	by, err := d.reader(w, r)
	buf := web.Borrow()
	defer buf.Return()
	var rev int64
	if err == nil {
		buf.B, rev, err = d.store.Get(r.Context(), by, t, view, buf.B)
	}
	if len(wrong) > 0 {
		return wrong.With(err)
	}
	if err != nil {
		return err
	}
	personal(w)
	if view != (data.View{}) { // what is expanded changes without this record's rev: no tag, no conditions
		web.JSON(w, r, http.StatusOK, buf.B)
		return nil
	}
	web.Tag(w.Header(), rev)
	if match != nil {
		if err := match.Check(rev); err != nil {
			return err
		}
	}
	if noneMatch != nil && noneMatch.Check(rev) == nil {
		web.NotModified(w, r, len(buf.B))
		return nil
	}
	web.JSON(w, r, http.StatusOK, buf.B)
	return nil
}
