package main

import (
	"net/http"

	"zombiezen.com/go/sqlite"
)

func (a *api) createPost(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		replyError(w, err)
		return
	}
	p, err := newPost(body)
	if err == nil {
		err = a.writer.do(func(w *writer) error { return w.addPost(p) })
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
		err = a.writer.do(func(w *writer) error { return w.addAuthor(au) })
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

func (w *writer) addPost(p *post) error {
	s := w.insertPost
	s.BindText(1, p.id)
	s.BindInt64(2, p.created)
	s.BindInt64(3, p.updated)
	s.BindInt64(4, p.rev)
	s.BindText(5, p.title)
	bindText(s, 6, p.body)
	bindText(s, 7, p.status)
	bindInt(s, 8, p.views)
	s.BindText(9, p.author)
	return conflict(exec(s))
}

func (w *writer) addAuthor(a *author) error {
	s := w.insertAuthor
	s.BindText(1, a.id)
	s.BindInt64(2, a.created)
	s.BindInt64(3, a.updated)
	s.BindInt64(4, a.rev)
	s.BindText(5, a.name)
	bindText(s, 6, a.bio)
	return conflict(exec(s))
}

// conflict turns what the database refuses into an answer.
func conflict(err error) error {
	switch sqlite.ErrCode(err) {
	case sqlite.ResultConstraintForeignKey:
		return problem(http.StatusUnprocessableEntity, "ref", "author", "is not an author")
	case sqlite.ResultConstraintUnique:
		return problem(http.StatusConflict, "unique", "id", "is taken")
	}
	return err
}
