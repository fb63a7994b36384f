package main

import "strconv"

// change is a row of the log: what a write leaves in its own transaction, for those who follow the log or look
// back, in the form of Plinth's. Images are the record in JSON without what is null; of a patch, old has only
// what is different, with null where there was nothing.
type change struct {
	at, rev                int64
	collection, record, op string
	old, new               string // "" is none
}

const changeColumns = "created, updated, rev, collection, record, op, old, new"

// changesOf are the rows that creates leave.
func changesOf(operations []operation) []change {
	all := make([]change, len(operations))
	for i, op := range operations {
		if p := op.post; p != nil {
			all[i] = change{at: p.created, rev: p.rev, collection: "posts", record: p.id, op: "create", new: p.image()}
		} else {
			a := op.author
			all[i] = change{at: a.created, rev: a.rev, collection: "authors", record: a.id, op: "create", new: a.image()}
		}
	}
	return all
}

// patched is the row that a patch leaves.
func patched(old, p *post, changed fields) change {
	return change{at: p.updated, rev: p.rev, collection: "posts", record: p.id, op: "update", old: p.imageBefore(old, changed), new: p.image()}
}

const roomForHead = 220 // bytes of an image beside its texts

func (p *post) image() string {
	b := make([]byte, 0, roomForHead+len(p.title)+len(p.body.value))
	b = appendHead(b, p.id, p.created, p.updated, p.rev)
	b = append(b, `,"title":`...)
	b = appendString(b, p.title)
	if !p.body.null {
		b = append(b, `,"body":`...)
		b = appendString(b, p.body.value)
	}
	if !p.status.null {
		b = append(b, `,"status":`...)
		b = appendString(b, p.status.value)
	}
	if !p.views.null {
		b = append(b, `,"views":`...)
		b = strconv.AppendInt(b, p.views.value, 10)
	}
	b = append(b, `,"author":`...)
	b = appendString(b, p.author)
	return string(append(b, '}'))
}

// imageBefore is what was different in old.
func (p *post) imageBefore(old *post, changed fields) string {
	b := make([]byte, 0, roomForHead)
	b = append(b, '{')
	if old.updated != p.updated {
		b = append(b, `"updated":"`...)
		b = appendTime(b, old.updated)
		b = append(b, `",`...)
	}
	b = append(b, `"rev":`...)
	b = strconv.AppendInt(b, old.rev, 10)
	if changed&title != 0 {
		b = append(b, `,"title":`...)
		b = appendString(b, old.title)
	}
	if changed&body != 0 {
		b = append(b, `,"body":`...)
		b = appendNullString(b, old.body)
	}
	if changed&status != 0 {
		b = append(b, `,"status":`...)
		b = appendNullString(b, old.status)
	}
	if changed&views != 0 {
		b = append(b, `,"views":`...)
		b = appendNullInt(b, old.views)
	}
	if changed&authorRef != 0 {
		b = append(b, `,"author":`...)
		b = appendString(b, old.author)
	}
	return string(append(b, '}'))
}

func (a *author) image() string {
	b := make([]byte, 0, roomForHead+len(a.name)+len(a.bio.value))
	b = appendHead(b, a.id, a.created, a.updated, a.rev)
	b = append(b, `,"name":`...)
	b = appendString(b, a.name)
	if !a.bio.null {
		b = append(b, `,"bio":`...)
		b = appendString(b, a.bio.value)
	}
	return string(append(b, '}'))
}

// orNull is text for a driver, null where it is empty.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
