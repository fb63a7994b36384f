package main

import "net/http"

func (a *api) createPost(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		replyError(w, err)
		return
	}
	p, err := newPost(body)
	if err == nil {
		err = a.store.create(r.Context(), []operation{{post: p}})
	}
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	out.b = appendPost(out.b, p)
	replyCreated(w, "/api/posts/"+p.id, out.b)
}

func (a *api) createAuthor(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		replyError(w, err)
		return
	}
	au, err := newAuthor(body)
	if err == nil {
		err = a.store.create(r.Context(), []operation{{author: au}})
	}
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	out.b = appendAuthor(out.b, au)
	replyCreated(w, "/api/authors/"+au.id, out.b)
}

func replyCreated(w http.ResponseWriter, location string, body []byte) {
	w.Header()["Location"] = []string{location}
	replyRecord(w, http.StatusCreated, `"1"`, body)
}

// What a database refuses.
var (
	errNoAuthor = problem(http.StatusUnprocessableEntity, "ref", "author", "is not an author")
	errTaken    = problem(http.StatusConflict, "unique", "id", "is taken")
)
