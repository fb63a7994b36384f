package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
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
	if wr.by.ReadOnly { // whatever the operations are: so it is told before they are read
		return fault.New(fault.Denied, "this key is read-only")
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
	buf := web.Borrow()
	defer buf.Return()
	if atomic {
		buf.B = data.AppendBatch(buf.B, results)
	} else {
		buf.B = appendResults(buf.B, w, r, results)
	}
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
	var wrong web.Mistakes
	atomic = true
	var list *doc.Node
	if body.Kind != doc.Object {
		wrong.Body("", body.At, "type", "must be an object")
		return nil, false, wrong.Err()
	}
	for i, key := range body.Keys {
		v := &body.Items[i]
		bad := func(code, message string) { wrong.Body(fault.Pointer(key), v.At, code, message) }
		switch key {
		case "atomic":
			if atomic = v.Bool; v.Kind != doc.Bool {
				bad("type", "must be true or false")
			}
		case "operations":
			switch list = v; {
			case v.Kind != doc.Array:
				bad("type", "must be a list")
			case len(v.Items) > data.MaxBatch:
				bad("type", "has more than "+strconv.Itoa(data.MaxBatch)+" operations")
				return nil, false, wrong.Err()
			}
		default:
			bad("unknown", "is not part of a batch")
		}
	}
	if list == nil {
		wrong.Body("/operations", body.At, "type", "is missing: the list of operations")
		return nil, false, wrong.Err()
	}
	ops = make([]data.Operation, len(list.Items))
	for i := range list.Items {
		ops[i] = operation(&list.Items[i], "/operations/"+strconv.Itoa(i), &wrong)
	}
	return ops, atomic, wrong.Err()
}

// operation reads one, which stands at a place of the body.
func operation(n *doc.Node, at string, wrong *web.Mistakes) (op data.Operation) {
	if n.Kind != doc.Object {
		wrong.Body(at, n.At, "type", "must be an object")
		return op
	}
	texts := map[string]*string{"op": &op.Op, "collection": &op.Collection, "id": &op.ID}
	for i, key := range n.Keys {
		v := &n.Items[i]
		bad := func(code, message string) { wrong.Body(at+fault.Pointer(key), v.At, code, message) }
		switch text := texts[key]; {
		case text != nil:
			if *text = v.Text; v.Kind != doc.String {
				bad("type", "must be a string")
			}
		case key == "ifMatch":
			if op.IfMatch = revision(v); op.IfMatch == nil {
				bad("type", `must be a revision like "3", or "*"`)
			}
		case key == "body":
			op.Body = v
		default:
			bad("unknown", "is not part of an operation")
		}
	}
	creates, changes, deletes := op.Op == "create", op.Op == "update", op.Op == "delete"
	if !creates && !changes && !deletes {
		wrong.Body(at+"/op", n.At, "type", "must be create, update or delete")
		return op
	}
	for _, part := range []struct {
		name          string
		needed, taken bool
	}{{"collection", true, true}, {"id", !creates, !creates}, {"body", !deletes, !deletes}, {"ifMatch", false, !creates}} {
		switch v, there := n.Get(part.name); {
		case part.needed && (!there || v.Kind == doc.String && v.Text == ""):
			wrong.Body(at+"/"+part.name, n.At, "type", "is missing")
		case there && !part.taken:
			wrong.Body(at+"/"+part.name, v.At, "unknown", "is no part of a "+op.Op)
		}
	}
	return op
}

// revision reads a precondition: a revision, bare or in the quotes of an ETag, or *. It is nil for
// anything else.
func revision(n *doc.Node) *data.Match {
	s := n.Text
	if n.Kind == doc.String && s == "*" {
		return &data.Match{Any: true}
	}
	if len(s) > 2 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`) {
		s = s[1 : len(s)-1]
	}
	rev, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n.Kind != doc.String || rev < 0 || strconv.FormatInt(rev, 10) != s {
		return nil
	}
	return &data.Match{Revs: []int64{rev}}
}
