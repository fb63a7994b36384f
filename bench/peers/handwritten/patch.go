package main

import (
	"net/http"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

func (a *api) patchPost(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		replyError(w, err)
		return
	}
	var change, stored post
	given, err := decodePost(body, &change, false)
	if err == nil {
		id, match := r.PathValue("id"), r.Header.Get("If-Match")
		err = a.writer.do(func(w *writer) error {
			return w.patchPost(id, match, &change, given, &stored)
		})
	}
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	out.b = appendPost(out.b, &stored)
	replyRecord(w, http.StatusOK, quotedRev(stored.rev), out.b)
}

// patchPost loads the post into p, applies what differs and stores it. A patch that changes
// nothing writes nothing.
func (w *writer) patchPost(id, match string, change *post, given fields, p *post) error {
	if err := w.loadPost(id, p); err != nil {
		return err
	}
	if match != "" && match != "*" && !strings.Contains(match, quotedRev(p.rev)) {
		return problem(http.StatusPreconditionFailed, "", "", "the record was changed in the meantime")
	}
	changed := merge(p, change, given)
	if changed == 0 {
		return nil
	}
	p.rev++
	p.updated = max(time.Now().UnixMilli(), p.updated)

	s, err := w.update(changed)
	if err != nil {
		return err
	}
	s.BindText(1, p.id)
	s.BindInt64(2, p.updated)
	s.BindInt64(3, p.rev)
	at := 4
	if changed&title != 0 {
		s.BindText(at, p.title)
		at++
	}
	if changed&body != 0 {
		bindText(s, at, p.body)
		at++
	}
	if changed&status != 0 {
		bindText(s, at, p.status)
		at++
	}
	if changed&views != 0 {
		bindInt(s, at, p.views)
		at++
	}
	if changed&authorRef != 0 {
		s.BindText(at, p.author)
	}
	return conflict(exec(s))
}

func merge(p, change *post, given fields) (changed fields) {
	if given&title != 0 && p.title != change.title {
		p.title = change.title
		changed |= title
	}
	if given&body != 0 && p.body != change.body {
		p.body = change.body
		changed |= body
	}
	if given&status != 0 && p.status != change.status {
		p.status = change.status
		changed |= status
	}
	if given&views != 0 && p.views != change.views {
		p.views = change.views
		changed |= views
	}
	if given&authorRef != 0 && p.author != change.author {
		p.author = change.author
		changed |= authorRef
	}
	return changed
}

func (w *writer) loadPost(id string, p *post) error {
	s := w.post
	s.BindText(1, id)
	defer s.Reset()
	found, err := s.Step()
	if err != nil {
		return err
	}
	if !found {
		return errNotFound
	}
	*p = post{
		id: id, created: s.ColumnInt64(1), updated: s.ColumnInt64(2), rev: s.ColumnInt64(3),
		title: s.ColumnText(4), body: nullText(s, 5), status: nullText(s, 6),
		views:  nullable[int64]{value: s.ColumnInt64(7), null: s.ColumnIsNull(7)},
		author: s.ColumnText(8),
	}
	return nil
}

func nullText(s *sqlite.Stmt, col int) nullable[string] {
	if s.ColumnIsNull(col) {
		return nullable[string]{null: true}
	}
	return nullable[string]{value: s.ColumnText(col)}
}

// update gives the statement that sets exactly the changed fields, so that the indexes of
// the others are left alone.
func (w *writer) update(changed fields) (*sqlite.Stmt, error) {
	if s := w.updatePost[changed]; s != nil {
		return s, nil
	}
	sql := "UPDATE posts SET updated = ?2, rev = ?3"
	for i, column := range []string{"title", "body", "status", "views", "author"} {
		if changed&(1<<i) != 0 {
			sql += ", " + column + " = ?"
		}
	}
	s, err := w.conn.Prepare(sql + " WHERE id = ?1")
	w.updatePost[changed] = s
	return s, err
}
