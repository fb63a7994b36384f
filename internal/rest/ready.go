package rest

import (
	"net/http"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// healthy answers GET /healthz: the process is there.
func healthy(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, r, http.StatusOK, []byte(`{"ok":true}`))
	return nil
}

// ready answers GET /readyz: 503 when the database cannot be read; whether it can be written is told.
func (d *door) ready(w http.ResponseWriter, r *http.Request) error {
	write, err := d.store.Ready(r.Context())
	if err != nil {
		return &fault.Error{Kind: fault.Unavailable, Msg: "the database cannot be read", Err: err}
	}
	w.Header().Set("Cache-Control", "no-store")
	body := `{"write":false}`
	if write {
		body = `{"write":true}`
	}
	web.JSON(w, r, http.StatusOK, []byte(body))
	return nil
}
