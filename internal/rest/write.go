package rest

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// write is one request that changes something: what every such act reads, in the order in which it
// is checked.
type write struct {
	by         data.Caller
	collection string
	id         string
	body       *doc.Node
	options    data.WriteOptions
}

// begin reads what needs no body: parameters, headers, the caller, and what he may do at all.
func (d *door) begin(w http.ResponseWriter, r *http.Request, op data.Op) (*write, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	if len(r.Header["Accept"]) > 0 {
		if err := acceptsJSON(r); err != nil {
			return nil, err
		}
	}
	wr := &write{collection: r.PathValue("collection"), id: r.PathValue("id")}
	wr.options.Minimal = web.Minimal(r)
	var err error
	if wr.options.IfMatch, err = web.IfMatch(r); err != nil {
		return nil, err
	}
	if wr.options.IfNoneMatch, err = web.IfNoneMatch(r); err != nil {
		return nil, err
	}
	if wr.options.Idempotency, err = idempotency(r); err != nil {
		return nil, err
	}
	if wr.by, err = d.who(w, r); err != nil {
		return nil, err
	}
	return wr, d.store.Allow(wr.by, wr.collection, op)
}

func idempotency(r *http.Request) (*data.Idempotency, error) {
	key, err := web.IdempotencyKey(r)
	if err != nil || key == "" {
		return nil, err
	}
	return &data.Idempotency{Key: key, Method: r.Method, Path: r.URL.EscapedPath()}, nil
}

// read takes the JSON body.
func (wr *write) read(w http.ResponseWriter, r *http.Request, limit int64, types []string) error {
	body, err := web.ReadJSON(w, r, limit, types)
	if err != nil {
		return err
	}
	wr.body = body.Node
	if wr.options.Idempotency != nil {
		wr.options.Idempotency.Fingerprint = body.Sum
	}
	return nil
}

// readOrUpload takes the JSON body where one with files could stand too, which whoever sends another type is told.
func (d *door) readOrUpload(w http.ResponseWriter, r *http.Request, wr *write, types []string) error {
	err := wr.read(w, r, d.limit(), types)
	if fault.Is(err, fault.MediaType) && d.takesFiles(wr) {
		return web.ContentType(r, slices.Concat(types, multipartForm))
	}
	return err
}

// limit is how large a JSON body may be.
func (d *door) limit() int64 { return d.store.App().Server.Limits.Body }

var minimal = []string{"return=minimal"}

// reply answers with what became of a write.
func (wr *write) reply(w http.ResponseWriter, r *http.Request, reply data.Reply) {
	personal(w)
	h := w.Header()
	if reply.Status == http.StatusNoContent {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	web.Tag(h, reply.Rev)
	if reply.Status == http.StatusCreated {
		h["Location"] = []string{"/api/" + wr.collection + "/" + reply.ID}
	}
	if wr.options.Minimal {
		h["Preference-Applied"] = minimal
		status := reply.Status
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return
	}
	web.JSON(w, r, reply.Status, reply.Body)
}

// fail is web.Problem that knows which operation of a batch failed.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var b *data.BatchError
	if errors.As(err, &b) {
		web.Problem(w, r, err, web.Member{Name: "operation", JSON: strconv.AppendInt(nil, int64(b.Operation), 10)})
		return
	}
	web.Problem(w, r, err)
}
