package main

import (
	"net/http"
	"strings"
	"time"
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
		match := r.Header.Get("If-Match")
		err = a.store.patch(r.Context(), r.PathValue("id"), func(p *post) (changed fields, err error) {
			changed, err = p.edit(match, &change, given)
			stored = *p
			return changed, err
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

// edit applies what differs. A patch that changes nothing makes no new revision.
func (p *post) edit(match string, change *post, given fields) (fields, error) {
	if match != "" && match != "*" && !strings.Contains(match, quotedRev(p.rev)) {
		return 0, problem(http.StatusPreconditionFailed, "", "", "the record was changed in the meantime")
	}
	changed := merge(p, change, given)
	if changed != 0 {
		p.rev++
		p.updated = max(time.Now().UnixMilli(), p.updated)
	}
	return changed, nil
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
