package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/web"
)

// batch answers POST /api/batch: several writes, all or none unless atomic is false.
func (d *door) batch(w http.ResponseWriter, r *http.Request) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	if err := nothing(r); err != nil {
		return err
	}
	var wr write
	var err error
	wr.options.Minimal = web.Minimal(r)
	if wr.options.Idempotency, err = idempotency(r); err != nil {
		return err
	}
	if wr.by, err = d.who(w, r); err != nil {
		return err
	}
	if err := wr.read(w, r, d.limit(), web.PlainJSON); err != nil {
		return err
	}
	ops, atomic, err := operations(wr.body)
	if err != nil {
		return err
	}
	results, replayed, err := d.store.Batch(r.Context(), wr.by, ops, atomic, wr.options)
	if err != nil {
		return err
	}
	personal(w)
	if wr.options.Minimal {
		w.Header()["Preference-Applied"] = minimal
	}
	if replayed != nil {
		web.JSON(w, r, http.StatusOK, replayed)
		return nil
	}
	if atomic {
		web.JSON(w, r, http.StatusOK, data.BatchBody(results))
		return nil
	}
	buf := web.Borrow()
	defer buf.Return()
	buf.B = appendResults(buf.B, w, r, results)
	web.JSON(w, r, http.StatusOK, buf.B)
	return nil
}

// appendResults prints what became of each operation; of one that failed, its problem.
func appendResults(dst []byte, w http.ResponseWriter, r *http.Request, results []data.Result) []byte {
	dst = append(dst, `{"results":[`...)
	for i, result := range results {
		if i > 0 {
			dst = append(dst, ',')
		}
		status, body := result.Status, result.Body
		if result.Err != nil {
			web.Report(w, r, result.Err)
			status = web.Status(result.Err)
			body = web.AppendProblem(nil, w, r, result.Err, web.Member{Name: "operation", JSON: strconv.AppendInt(nil, int64(i), 10)})
		}
		dst = strconv.AppendInt(append(dst, `{"status":`...), int64(status), 10)
		if body != nil {
			dst = append(append(dst, `,"body":`...), body...)
		}
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// operations reads the body of a batch.
func operations(body *doc.Node) (ops []data.Operation, atomic bool, err error) {
	if body.Kind != doc.Object {
		return nil, false, wrongType("", body, "must be an object")
	}
	atomic = true
	list := (*doc.Node)(nil)
	for i, key := range body.Keys {
		v := &body.Items[i]
		switch key {
		case "atomic":
			if v.Kind != doc.Bool {
				return nil, false, wrongType("/atomic", v, "must be true or false")
			}
			atomic = v.Bool
		case "operations":
			if v.Kind != doc.Array {
				return nil, false, wrongType("/operations", v, "must be a list")
			}
			list = v
		default:
			return nil, false, badField("/"+key, v.At, "unknown", "is not part of a batch")
		}
	}
	if list == nil {
		return nil, false, badField("/operations", body.At, "type", "is missing: the list of operations")
	}
	if len(list.Items) > data.MaxBatch {
		return nil, false, badField("/operations", list.At, "type", "has more than "+strconv.Itoa(data.MaxBatch)+" operations")
	}
	ops = make([]data.Operation, len(list.Items))
	for i := range list.Items {
		if ops[i], err = operation(&list.Items[i], "/operations/"+strconv.Itoa(i)); err != nil {
			return nil, false, err
		}
	}
	return ops, atomic, nil
}

func operation(n *doc.Node, at string) (op data.Operation, err error) {
	if n.Kind != doc.Object {
		return op, wrongType(at, n, "must be an object")
	}
	match := ""
	texts := map[string]*string{"op": &op.Op, "collection": &op.Collection, "id": &op.ID, "ifMatch": &match}
	for i, key := range n.Keys {
		v := &n.Items[i]
		if text := texts[key]; text != nil {
			if v.Kind != doc.String {
				return op, wrongType(at+"/"+key, v, "must be a string")
			}
			*text = v.Text
			continue
		}
		if key != "body" {
			return op, badField(at+"/"+key, v.At, "unknown", "is not part of an operation")
		}
		op.Body = v
	}
	needsBody, needsID := op.Op != "delete", op.Op != "create"
	switch {
	case op.Op != "create" && op.Op != "update" && op.Op != "delete":
		return op, badField(at+"/op", n.At, "type", "must be create, update or delete")
	case op.Collection == "":
		return op, badField(at+"/collection", n.At, "type", "is missing")
	case needsID && op.ID == "":
		return op, badField(at+"/id", n.At, "type", "is missing")
	case !needsID && op.ID != "":
		return op, badField(at+"/id", n.At, "unknown", "belongs into the body of a create")
	case needsBody && op.Body == nil:
		return op, badField(at+"/body", n.At, "type", "is missing")
	case !needsBody && op.Body != nil:
		return op, badField(at+"/body", op.Body.At, "unknown", "a delete has none")
	}
	if v, there := n.Get("ifMatch"); there {
		if op.IfMatch = revision(match); op.IfMatch == nil || op.Op == "create" {
			return op, wrongType(at+"/ifMatch", v, `must be a revision like "3", or "*", of an update or delete`)
		}
	}
	return op, nil
}

// revision reads a precondition: a revision, bare or in the quotes of an ETag, or *.
func revision(s string) *data.Match {
	if s == "*" {
		return &data.Match{Any: true}
	}
	if len(s) > 2 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`) {
		s = s[1 : len(s)-1]
	}
	rev, err := strconv.ParseInt(s, 10, 64)
	if err != nil || rev < 0 {
		return nil
	}
	return &data.Match{Revs: []int64{rev}}
}
