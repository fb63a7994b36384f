package main

import (
	"context"
	"net/http"
	"strings"
)

func (a *api) readPost(w http.ResponseWriter, r *http.Request) {
	a.read(w, r, a.store.post, appendPostRow)
}

func (a *api) readAuthor(w http.ResponseWriter, r *http.Request) {
	a.read(w, r, a.store.author, func(b []byte, row cells) []byte { return appendAuthorRow(b, row, 0) })
}

// read answers one record by its id.
func (a *api) read(w http.ResponseWriter, r *http.Request,
	one func(context.Context, string, func(cells)) (bool, error), appendRow func([]byte, cells) []byte) {
	out := newBuffer()
	defer out.free()
	var rev int64
	found, err := one(r.Context(), r.PathValue("id"), func(row cells) {
		out.b = append(appendRow(out.b, row), '}')
		rev = row.int(3)
	})
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
