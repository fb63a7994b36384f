package main

import (
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// nullable is null until it is given a value.
type nullable[T any] struct {
	value T
	null  bool
}

type post struct {
	id                    string
	created, updated, rev int64
	title                 string
	body, status          nullable[string]
	views                 nullable[int64]
	author                string
}

type author struct {
	id                    string
	created, updated, rev int64
	name                  string
	bio                   nullable[string]
}

// fields is a set of fields of one record.
type fields uint8

const (
	title fields = 1 << iota
	body
	status
	views
	authorRef
	idField
	name
	bio
)

func init() { uuid.EnableRandPool() }

// newID makes a UUIDv7: ids made later sort later.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// checklist collects what is wrong with a record, to say all of it at once.
type checklist struct {
	given  fields
	errors []fieldError
}

func (c *checklist) add(field, code, message string) {
	c.errors = append(c.errors, fieldError{Pointer: "/" + field, Code: code, Message: message})
}

// once notes that a field was given; a second time is a mistake in the request's syntax.
func (c *checklist) once(f fields) error {
	if c.given&f != 0 {
		return errSyntax
	}
	c.given |= f
	return nil
}

func (c *checklist) err() error {
	if len(c.errors) == 0 {
		return nil
	}
	return &failure{Type: "/problems/validation", Title: "The record is not valid",
		Status: http.StatusUnprocessableEntity, Errors: c.errors}
}

func (c *checklist) text(field string, value []byte, maxRunes int) string {
	s, wrong := text(value)
	switch {
	case wrong != nil:
		c.add(field, wrong.Code, wrong.Message)
	case len(s) > maxRunes && utf8.RuneCountInString(s) > maxRunes:
		c.add(field, "max", "is too long")
	}
	return s
}

func (c *checklist) requiredText(field string, value []byte, maxRunes int) string {
	if isNull(value) {
		c.add(field, "required", "is required")
		return ""
	}
	return c.text(field, value, maxRunes)
}

func (c *checklist) nullText(field string, value []byte, maxRunes int) nullable[string] {
	if isNull(value) {
		return nullable[string]{null: true}
	}
	return nullable[string]{value: c.text(field, value, maxRunes)}
}

// decodePost reads a post's fields; those not given keep what p holds.
func decodePost(value []byte, p *post, creating bool) (fields, error) {
	var c checklist
	err := members(value, func(key string, v []byte) error {
		switch key {
		case "title":
			p.title = c.requiredText(key, v, 200)
			return c.once(title)
		case "body":
			p.body = c.nullText(key, v, 20000)
			return c.once(body)
		case "status":
			p.status = c.nullText(key, v, 20)
			if s := p.status; !s.null && s.value != "draft" && s.value != "published" && s.value != "archived" {
				c.add(key, "enum", "must be draft, published or archived")
			}
			return c.once(status)
		case "views":
			p.views = nullable[int64]{null: isNull(v)}
			if !p.views.null {
				n, wrong := integer(v)
				switch {
				case wrong != nil:
					c.add(key, wrong.Code, wrong.Message)
				case n < 0:
					c.add(key, "min", "must be 0 or more")
				}
				p.views.value = n
			}
			return c.once(views)
		case "author":
			p.author = c.requiredText(key, v, 36)
			return c.once(authorRef)
		default:
			return c.head(key, v, creating, &p.id)
		}
	})
	if err != nil {
		return 0, err
	}
	if creating {
		c.require(title, "title")
		c.require(authorRef, "author")
	}
	return c.given, c.err()
}

func decodeAuthor(value []byte, a *author) error {
	var c checklist
	err := members(value, func(key string, v []byte) error {
		switch key {
		case "name":
			a.name = c.requiredText(key, v, 100)
			return c.once(name)
		case "bio":
			a.bio = c.nullText(key, v, 2000)
			return c.once(bio)
		default:
			return c.head(key, v, true, &a.id)
		}
	})
	if err != nil {
		return err
	}
	c.require(name, "name")
	return c.err()
}

// head judges what every record has and a client seldom sets.
func (c *checklist) head(key string, v []byte, creating bool, id *string) error {
	switch key {
	case "id":
		if !creating {
			c.add(key, "readonly", "cannot be changed")
			return nil
		}
		*id = c.requiredText(key, v, 36)
		if u, err := uuid.Parse(*id); err != nil || u.Version() != 7 || u.String() != *id {
			c.add(key, "type", "must be a lower-case UUIDv7")
		}
		return c.once(idField)
	case "created", "updated", "rev":
		c.add(key, "readonly", "cannot be set")
	default:
		c.add(key, "unknown", "is not a field")
	}
	return nil
}

func (c *checklist) require(f fields, field string) {
	if c.given&f == 0 {
		c.add(field, "required", "is required")
	}
}

// newPost decodes a post that is to be created, with its defaults, id and times.
func newPost(value []byte) (*post, error) {
	p := &post{rev: 1, body: nullable[string]{null: true}, status: nullable[string]{value: "draft"}}
	_, err := decodePost(value, p, true)
	if err != nil {
		return nil, err
	}
	if p.id == "" {
		if p.id, err = newID(); err != nil {
			return nil, err
		}
	}
	p.created = time.Now().UnixMilli()
	p.updated = p.created
	return p, nil
}

func newAuthor(value []byte) (*author, error) {
	a := &author{rev: 1, bio: nullable[string]{null: true}}
	err := decodeAuthor(value, a)
	if err != nil {
		return nil, err
	}
	if a.id == "" {
		if a.id, err = newID(); err != nil {
			return nil, err
		}
	}
	a.created = time.Now().UnixMilli()
	a.updated = a.created
	return a, nil
}
