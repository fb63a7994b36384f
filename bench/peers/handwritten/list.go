package main

import (
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
	rd, err := a.readers.take(r.Context())
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	err = rd.page(out, q)
	a.readers.give(rd)
	if err != nil {
		replyError(w, err)
		return
	}
	replyList(w, out.b)
}

// page appends {"items":[…],"next":"…"}; it asks for one row more than it shows, to know
// whether there is a next page.
func (rd *reader) page(out *buffer, q question) error {
	stmt := rd.list[index(q.expand)][index(q.id != "")]
	stmt.BindText(1, q.status)
	stmt.BindInt64(2, int64(q.limit+1))
	if q.id != "" {
		stmt.BindInt64(3, q.created)
		stmt.BindText(4, q.id)
	}
	defer stmt.Reset()

	src := &row{stmt: stmt, out: out}
	b := append(out.b, `{"items":[`...)
	var created int64
	var id []byte
	for n := 0; ; n++ {
		found, err := stmt.Step()
		if err != nil {
			return err
		}
		if !found {
			b = append(b, ']')
			break
		}
		if n == q.limit {
			b = append(b, `],"next":"`...)
			b = appendCursor(b, created, id)
			b = append(b, '"')
			break
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = appendPostRow(b, src)
		if q.expand {
			b = append(b, `,"expand":{`...)
			if src.has(postWidth) {
				b = append(b, `"author":`...)
				src.from = postWidth
				b = append(appendAuthorRow(b, src), '}')
				src.from = 0
			}
			b = append(b, '}')
		}
		b = append(b, '}')
		if n == q.limit-1 {
			created = stmt.ColumnInt64(1)
			id = append(id, src.text(0)...)
		}
	}
	out.b = append(b, '}')
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
