package rest

import (
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
)

// increment answers POST /api/{collection}/{id}/increment.
func (d *door) increment(w http.ResponseWriter, r *http.Request) error {
	wr, err := d.begin(w, r, data.Update)
	if err != nil {
		return err
	}
	if err := wr.read(w, r, d.limit(), web.PlainJSON); err != nil {
		return err
	}
	reply, err := d.store.Increment(r.Context(), wr.by, wr.collection, wr.id, wr.body, wr.options)
	if err != nil {
		return err
	}
	wr.reply(w, r, reply)
	return nil
}
