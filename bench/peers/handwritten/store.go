package main

import (
	"context"
	"iter"
	"strings"
)

// store is a database with the posts and their authors. It answers a write after it is on disk.
type store interface {
	// post and author give one record's row to yield, if it is there.
	post(ctx context.Context, id string, yield func(cells)) (found bool, err error)
	author(ctx context.Context, id string, yield func(cells)) (found bool, err error)

	// posts gives the rows that a question finds to yield, one more than its limit at most. An expanded
	// one has the author's columns behind its own.
	posts(ctx context.Context, q question, yield func(cells)) error

	// create stores all records or none.
	create(ctx context.Context, operations []operation) error

	// patch loads a post, lets edit change it and stores the fields that edit names, with the new rev.
	// edit may be asked again, if others were faster. Nothing is stored where edit names no field.
	patch(ctx context.Context, id string, edit func(*post) (fields, error)) error

	close()
}

// cells are the columns of a row.
type cells interface {
	text(col int) []byte // until the next call; nil is null
	int(col int) int64   // of a column that is never null
	time(col int) int64  // in ms since 1970, as int

	appendInt(b []byte, col int) []byte // or null
	appendTime(b []byte, col int) []byte
}

const (
	postColumns   = "p.id, p.created, p.updated, p.rev, p.title, p.body, p.status, p.views, p.author"
	authorColumns = "a.id, a.created, a.updated, a.rev, a.name, a.bio"

	fromPosts   = " FROM posts p"
	withAuthors = " FROM posts p LEFT JOIN authors a ON a.id = p.author"
	newest      = " ORDER BY p.created DESC, p.id DESC LIMIT "
)

// patchable are the fields that a patch may name, in the order of their bits.
var patchable = []string{"title", "body", "status", "views", "author"}

// set gives "title = ?, views = ?" for changed fields, with what stands for the n-th of their values.
func set(changed fields, value func(n int) string) string {
	var parts []string
	for i, column := range patchable {
		if changed&(1<<i) != 0 {
			parts = append(parts, column+" = "+value(len(parts)))
		}
	}
	return strings.Join(parts, ", ")
}

// changes appends the values of changed fields in the order of set.
func (p *post) changes(values []any, changed fields) []any {
	if changed&title != 0 {
		values = append(values, p.title)
	}
	if changed&body != 0 {
		values = append(values, p.body.any())
	}
	if changed&status != 0 {
		values = append(values, p.status.any())
	}
	if changed&views != 0 {
		values = append(values, p.views.any())
	}
	if changed&authorRef != 0 {
		values = append(values, p.author)
	}
	return values
}

// any is the value for a driver.
func (n nullable[T]) any() any {
	if n.null {
		return nil
	}
	return n.value
}

func (n nullable[T]) pointer() *T {
	if n.null {
		return nil
	}
	return &n.value
}

// postOf reads a post's row.
func postOf(r cells) post {
	var p post
	p.id = string(r.text(0))
	p.created, p.updated, p.rev = r.time(1), r.time(2), r.int(3)
	p.title = string(r.text(4))
	p.body, p.status = nullText(r, 5), nullText(r, 6)
	if p.views.null = r.text(7) == nil; !p.views.null {
		p.views.value = r.int(7)
	}
	p.author = string(r.text(8))
	return p
}

func nullText(r cells, col int) nullable[string] {
	text := r.text(col)
	return nullable[string]{value: string(text), null: text == nil}
}

// runs cuts operations where the collection changes.
func runs(operations []operation) iter.Seq[[]operation] {
	return func(yield func([]operation) bool) {
		for from, to := 0, 0; from < len(operations); from = to {
			for to = from; to < len(operations) && (operations[to].post == nil) == (operations[from].post == nil); {
				to++
			}
			if !yield(operations[from:to]) {
				return
			}
		}
	}
}
