package rest

import (
	"net/http"

	"github.com/bluell/plinth/data"
)

// delete answers DELETE /api/{collection}/{id}.
func (d *door) delete(w http.ResponseWriter, r *http.Request) error {
	wr, err := d.begin(w, r, data.Delete)
	if err != nil {
		return err
	}
	reply, err := d.store.Delete(r.Context(), wr.by, wr.collection, wr.id, wr.options)
	if err != nil {
		return err
	}
	wr.reply(w, r, reply)
	return nil
}
