package rest

import (
	"net/http"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// upgrades says whether a request asks for a WebSocket (RFC 6455, 4.2.1).
func upgrades(r *http.Request) bool {
	return names(r, "Upgrade", "websocket") && names(r, "Connection", "upgrade")
}

// names says whether a header that is a list has a token.
func names(r *http.Request, header, token string) bool {
	for _, line := range r.Header[header] {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

func (d *door) socket(w http.ResponseWriter, r *http.Request) error {
	by, err := d.attended(w, r)
	if err == nil {
		d.live.Socket(w, web.Endless(w, r), by)
	}
	return err
}

// listen answers GET /api/live/{channel}/{key}.
func (d *door) listen(w http.ResponseWriter, r *http.Request) error {
	if !web.Accepts(r, stream) {
		return fault.New(fault.NotAcceptable, "the answer is %s", stream)
	}
	by, err := d.attended(w, r)
	if err == nil {
		d.live.Channel(w, web.Endless(w, r), by, r.PathValue("channel"), r.PathValue("key"))
	}
	return err
}

// send answers POST /api/live/{channel}/{key}.
func (d *door) send(w http.ResponseWriter, r *http.Request) error {
	by, err := d.attended(w, r)
	if err == nil {
		d.live.Channel(w, r, by, r.PathValue("channel"), r.PathValue("key"))
	}
	return err
}

// presence answers …/presence.
func (d *door) presence(w http.ResponseWriter, r *http.Request) error {
	by, err := d.attended(w, r)
	if err == nil && r.Method != http.MethodPut {
		err = acceptsJSON(r)
	}
	if err == nil {
		d.live.Presence(w, r, by, r.PathValue("channel"), r.PathValue("key"))
	}
	return err
}

// attended is the caller, where there is somebody to hand him to.
func (d *door) attended(w http.ResponseWriter, r *http.Request) (data.Caller, error) {
	by, err := d.who(w, r)
	if err == nil && d.live == nil {
		err = noLive()
	}
	return by, err
}
