package main

import (
	"net/http"
	"strings"

	"zombiezen.com/go/sqlite"
)

func (a *api) readPost(w http.ResponseWriter, r *http.Request) {
	a.read(w, r, func(rd *reader) *sqlite.Stmt { return rd.post }, appendPostRow)
}

func (a *api) readAuthor(w http.ResponseWriter, r *http.Request) {
	a.read(w, r, func(rd *reader) *sqlite.Stmt { return rd.author }, appendAuthorRow)
}

// read answers one record by its id.
func (a *api) read(w http.ResponseWriter, r *http.Request, pick func(*reader) *sqlite.Stmt, appendRow func([]byte, *row) []byte) {
	rd, err := a.readers.take(r.Context())
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()

	stmt := pick(rd)
	stmt.BindText(1, r.PathValue("id"))
	found, err := stmt.Step()
	var rev int64
	if found {
		out.b = append(appendRow(out.b, &row{stmt: stmt, out: out}), '}')
		rev = stmt.ColumnInt64(3)
	}
	stmt.Reset()
	a.readers.give(rd)

	switch {
	case err != nil:
		replyError(w, err)
	case !found:
		replyError(w, errNotFound)
	default:
		etag := quotedRev(rev)
		if match := r.Header["If-None-Match"]; match != nil && strings.Contains(match[0], etag) {
			h := w.Header()
			h["Etag"] = []string{etag}
			w.WriteHeader(http.StatusNotModified)
			return
		}
		replyRecord(w, http.StatusOK, etag, out.b)
	}
}
