package main

import (
	"fmt"
	"net/http"
)

const maxBatch = 500

// operation is one create of a batch, of either collection.
type operation struct {
	post   *post
	author *author
}

// batch creates up to 500 records, all or none.
func (a *api) batch(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		replyError(w, err)
		return
	}
	operations, err := decodeBatch(body)
	if err == nil {
		err = a.store.create(r.Context(), operations)
	}
	if err != nil {
		replyError(w, err)
		return
	}
	out := newBuffer()
	defer out.free()
	b := append(out.b, `{"results":[`...)
	for i, op := range operations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"status":201,"body":`...)
		if op.post != nil {
			b = appendPost(b, op.post)
		} else {
			b = appendAuthor(b, op.author)
		}
		b = append(b, '}')
	}
	out.b = append(b, "]}"...)
	reply(w, http.StatusOK, out.b)
}

func decodeBatch(value []byte) (operations []operation, err error) {
	seen := map[string]bool{}
	err = members(value, func(key string, v []byte) error {
		if seen[key] {
			return errSyntax
		}
		seen[key] = true
		switch key {
		case "atomic":
			if string(v) != "true" {
				return problem(http.StatusNotImplemented, "", key, "a batch is all or nothing")
			}
			return nil
		case "operations":
			return elements(v, func(v []byte) error {
				if len(operations) == maxBatch {
					return problem(http.StatusUnprocessableEntity, "max", key, "at most 500")
				}
				op, err := decodeOperation(v)
				if err != nil {
					return fmt.Errorf("operation %d: %w", len(operations), err)
				}
				operations = append(operations, op)
				return nil
			})
		}
		return problem(http.StatusUnprocessableEntity, "unknown", key, "is not known")
	})
	return operations, err
}

func decodeOperation(value []byte) (op operation, err error) {
	var kind, collection string
	var body []byte
	err = members(value, func(key string, v []byte) error {
		switch {
		case key == "op" && kind == "" && v[0] == '"':
			kind, err = unquote(v)
		case key == "collection" && collection == "" && v[0] == '"':
			collection, err = unquote(v)
		case key == "body" && body == nil:
			body = v
		default:
			return errSyntax
		}
		return err
	})
	switch {
	case err != nil:
		return op, err
	case body == nil || kind != "create":
		return op, problem(http.StatusNotImplemented, "enum", "op", "must be create, with a body")
	case collection == "posts":
		op.post, err = newPost(body)
	case collection == "authors":
		op.author, err = newAuthor(body)
	default:
		err = problem(http.StatusNotFound, "unknown", "collection", "is not known")
	}
	return op, err
}
