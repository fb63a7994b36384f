package live

import (
	"context"
	"errors"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Log is GET /api/changes, for operators: a page of the log of changes behind ?after=POSITION (absent: the oldest that are
// kept), {"changes":[…],"next":"POSITION"}; or, as a stream, those that come, behind Last-Event-ID, after, or from now on.
func (h *Hub) Log(w http.ResponseWriter, r *http.Request, by data.Caller) {
	var p web.Params
	wrong := p.Query(r, "after")
	after, named := p.Get("after")
	following := web.Names(r, "text/event-stream")
	if last := r.Header.Get("Last-Event-ID"); following && last != "" {
		after, named = last, true
	}
	var at data.Position
	err := wrong.Err()
	switch {
	case err != nil:
	case named:
		if at, err = data.ParsePosition(after); err != nil {
			err = fault.At("after", 1, "syntax", "%q is no position in the log", after)
		}
	case following:
		at, err = h.db.Head(r.Context())
	default:
		at, err = h.db.Oldest(r.Context())
	}
	if err != nil {
		web.Problem(w, r, err)
		return
	}
	if following && r.Method == http.MethodHead {
		stream(w.Header())
		w.WriteHeader(http.StatusOK)
		return
	}
	if following {
		h.tail(w, r, by, at, !named)
		return
	}
	all, next, err := h.db.Changes(r.Context(), at)
	var old *data.TooOld
	if errors.As(err, &old) {
		err = fault.At("after", 1, "range", "%s", old.Error())
	}
	body := []byte(`{"changes":[`)
	for i, c := range all {
		if err != nil {
			break
		}
		if i > 0 {
			body = append(body, ',')
		}
		body, err = h.db.AppendChange(body, at.Epoch, c)
	}
	if err != nil {
		web.Problem(w, r, err)
		return
	}
	body = append(doc.AppendString(append(body, `],"next":`...), next.String()), '}')
	w.Header()["Cache-Control"] = []string{"no-store"}
	web.JSON(w, r, http.StatusOK, body)
}

// tail sends changes as they come. Few ask for it: each follows the log for itself.
func (h *Hub) tail(w http.ResponseWriter, r *http.Request, by data.Caller, at data.Position, fresh bool) {
	c := newClient(&view{form: sse{}}, by, nil)
	c.again = h.recognise(r)
	if err := h.connect(w, c); err != nil {
		web.Problem(w, r, err)
		return
	}
	ctx, cancel := context.WithCancel(h.ctx)
	follow := func() {
		defer cancel()
		c.send(c.form.greeting())
		if fresh {
			c.send(ready(c.form, place{Position: at}, alone))
		}
		err := h.db.Follow(ctx, at, func(all []*data.Change, to data.Position) error {
			for _, change := range all {
				e := head{kind: "change", id: place{Position: data.Position{Epoch: to.Epoch, Number: change.Position}}, hasID: true, sub: alone, name: "change"}
				b, err := h.db.AppendChange(c.form.open(nil, e), to.Epoch, change)
				if err != nil {
					return err
				}
				if err := c.wait(ctx, c.form.close(b, 0, e)); err != nil {
					return err
				}
			}
			return nil
		})
		var old *data.TooOld
		if errors.As(err, &old) {
			c.resync("the log of changes does not go on from here")
		} else {
			if ctx.Err() == nil && !errors.Is(err, errGone) {
				h.log.Error("the log of changes cannot be followed", "error", err)
			}
			c.cut()
		}
	}
	if !taken(c) {
		defer c.written()
		defer context.AfterFunc(r.Context(), cancel)()
	}
	c.ends(cancel)
	if err := h.hold(c, false); err != nil {
		c.cut()
		return
	}
	h.running.Go(func() { h.watch(c) })
	if taken(c) {
		go func() {
			defer h.release(c)
			follow()
		}()
		return
	}
	defer h.release(c)
	follow()
}
