package rest

import (
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
)

// put answers PUT /api/{collection}/{id}. It may create, or update: which of the two, and so which
// rule is asked, is known when the record has been looked for.
func (d *door) put(w http.ResponseWriter, r *http.Request) error {
	wr, err := d.begin(w, r, data.Update)
	if wr == nil || err != nil && d.store.Allow(wr.by, wr.collection, data.Create) != nil {
		return err
	}
	if err := wr.read(w, r, d.limit(), web.PlainJSON); err != nil {
		return err
	}
	reply, err := d.store.Put(r.Context(), wr.by, wr.collection, wr.id, wr.body, wr.options)
	if err != nil {
		return err
	}
	wr.reply(w, r, reply)
	return nil
}
