package rest

import (
	"context"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/web"
)

// update answers PATCH /api/{collection}/{id}.
func (d *door) update(w http.ResponseWriter, r *http.Request) error {
	wr, err := d.begin(w, r, data.Update)
	if err != nil {
		return err
	}
	if isMultipart(r) {
		return d.upload(w, r, wr, func(ctx context.Context, by data.Caller, collection string, patch *doc.Node, o data.WriteOptions) (data.Reply, error) {
			return d.store.Update(ctx, by, collection, wr.id, patch, o)
		})
	}
	if err := d.readOrUpload(w, r, wr, web.MergePatch); err != nil {
		return err
	}
	reply, err := d.store.Update(r.Context(), wr.by, wr.collection, wr.id, wr.body, wr.options)
	if err != nil {
		return err
	}
	wr.reply(w, r, reply)
	return nil
}
