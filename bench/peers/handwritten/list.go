package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
)

// question is what a list may be asked: one status, newest first, page by page.
type question struct {
	status  string
	limit   int
	expand  bool
	created int64 // where the page before ended
	id      string
}

func (a *api) listPosts(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuestion(r.URL.RawQuery)
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	if err := a.page(r.Context(), out, q); err != nil {
		replyError(w, err)
		return
	}
	replyList(w, out.b)
}

// page appends {"items":[…],"next":"…"}; it asks for one row more than it shows, to know
// whether there is a next page.
func (a *api) page(ctx context.Context, out *buffer, q question) error {
	out.b = append(out.b, `{"items":[`...)
	var created int64
	var id []byte
	n := 0
	err := a.store.posts(ctx, q, func(r cells) {
		if n++; n > q.limit {
			return
		}
		b := out.b
		if n > 1 {
			b = append(b, ',')
		}
		b = appendPostRow(b, r)
		if q.expand {
			b = append(b, `,"expand":{`...)
			if r.text(postWidth) != nil {
				b = append(b, `"author":`...)
				b = append(appendAuthorRow(b, r, postWidth), '}')
			}
			b = append(b, '}')
		}
		out.b = append(b, '}')
		if n == q.limit {
			created = r.time(1)
			id = append(id, r.text(0)...)
		}
	})
	if err != nil {
		return err
	}
	out.b = append(out.b, ']')
	if n > q.limit {
		out.b = append(out.b, `,"next":"`...)
		out.b = append(appendCursor(out.b, created, id), '"')
	}
	out.b = append(out.b, '}')
	return nil
}

func index(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func parseQuestion(raw string) (question, error) {
	q := question{limit: 30}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, problem(http.StatusBadRequest, "syntax", "", "the query cannot be read")
	}
	for name, v := range values {
		if len(v) > 1 {
			return q, problem(http.StatusBadRequest, "unknown", name, "is given twice")
		}
		switch name {
		case "status":
			q.status = v[0]
		case "sort":
			if v[0] != "-created" {
				return q, problem(http.StatusBadRequest, "unknown", name, "must be -created")
			}
		case "limit":
			q.limit, err = strconv.Atoi(v[0])
			if err != nil || q.limit < 1 || q.limit > 500 {
				return q, problem(http.StatusBadRequest, "type", name, "must be from 1 to 500")
			}
		case "expand":
			if v[0] != "author" {
				return q, problem(http.StatusBadRequest, "unknown", name, "must be author")
			}
			q.expand = true
		case "cursor":
			if q.created, q.id, err = parseCursor(v[0]); err != nil {
				return q, problem(http.StatusBadRequest, "syntax", name, "is not a cursor of this list")
			}
		default:
			return q, problem(http.StatusBadRequest, "unknown", name, "is not known")
		}
	}
	if q.status == "" {
		return q, problem(http.StatusBadRequest, "unknown", "status", "is required")
	}
	return q, nil
}

// A cursor is the creation time and the id of the last record shown.
func appendCursor(b []byte, created int64, id []byte) []byte {
	raw := make([]byte, 0, 64)
	raw = binary.BigEndian.AppendUint64(raw, uint64(created))
	raw = append(raw, id...)
	return base64.RawURLEncoding.AppendEncode(b, raw)
}

func parseCursor(s string) (created int64, id string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) < 9 {
		return 0, "", errNotFound
	}
	return int64(binary.BigEndian.Uint64(raw)), string(raw[8:]), nil
}
