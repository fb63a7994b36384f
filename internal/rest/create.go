package rest

import (
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
)

// create answers POST /api/{collection}.
func (d *door) create(w http.ResponseWriter, r *http.Request) error {
	wr, err := d.begin(w, r, data.Create)
	if err != nil {
		return err
	}
	if isMultipart(r) {
		return d.upload(w, r, wr, d.store.Create)
	}
	if err := d.readOrUpload(w, r, wr, web.PlainJSON); err != nil {
		return err
	}
	reply, err := d.store.Create(r.Context(), wr.by, wr.collection, wr.body, wr.options)
	if err != nil {
		return err
	}
	wr.reply(w, r, reply)
	return nil
}
