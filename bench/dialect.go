package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// dialect is how one server wants to be asked.
type dialect struct {
	ready   string // answers 2xx when requests can be served
	authors string
	posts   string
	created int
	pages   bool // lists carry a cursor to the next page

	list func(status string, limit int, expand bool, cursor string) string
	// batch wraps the creation of records in one request, to the path batched; results finds their bodies.
	batched func(collection string) string
	batch   func(collection string, bodies [][]byte) []byte
	results func(answer []byte) ([]json.RawMessage, error)
	plain   func(answer []byte) ([]byte, error) // gives a record or a list the form of Plinth's, to be checked; nil: it has it

	live string // what streams the changes of all posts; "": nothing does
	// subscribe is what is posted there once a stream has told its first event; nil: nothing has to be.
	subscribe func(first []byte) []byte
}

func oneBatch(string) string { return "/api/batch" }

var plinthDialect = dialect{
	ready: "/readyz", authors: "/api/authors", posts: "/api/posts", created: http.StatusCreated, pages: true,
	list: func(status string, limit int, expand bool, cursor string) string {
		q := url.Values{"filter": {fmt.Sprintf("status == %q", status)}}
		return "/api/posts?" + page(q, limit, expand, cursor).Encode()
	},
	batched: oneBatch, batch: plainBatch, results: plainResults,
	live: "/api/posts",
}

// A server written by hand has no filter language; it knows the one question it is asked.
var handDialect = dialect{
	ready: "/healthz", authors: "/api/authors", posts: "/api/posts", created: http.StatusCreated, pages: true,
	list: func(status string, limit int, expand bool, cursor string) string {
		return "/api/posts?" + page(url.Values{"status": {status}}, limit, expand, cursor).Encode()
	},
	batched: oneBatch, batch: plainBatch, results: plainResults,
}

var pocketbaseDialect = dialect{
	ready: "/api/health", created: http.StatusOK,
	authors: "/api/collections/authors/records", posts: "/api/collections/posts/records",
	list: func(status string, limit int, expand bool, _ string) string {
		q := url.Values{
			"filter":    {fmt.Sprintf("status='%s'", status)},
			"sort":      {"-created,-id"},
			"perPage":   {fmt.Sprint(limit)},
			"skipTotal": {"1"}, // the others do not count either
		}
		if expand {
			q.Set("expand", "author")
		}
		return "/api/collections/posts/records?" + q.Encode()
	},
	batched: oneBatch,
	batch: func(collection string, bodies [][]byte) []byte {
		return join(`{"requests":[`, bodies, func(b, body []byte) []byte {
			return fmt.Appendf(b, `{"method":"POST","url":"/api/collections/%s/records","body":%s}`, collection, body)
		})
	},
	results: func(answer []byte) ([]json.RawMessage, error) { return bodiesOf(answer) },
	live:    "/api/realtime",
	subscribe: func(first []byte) []byte { // it tells clientId
		return append(bytes.TrimSuffix(bytes.TrimSpace(first), []byte("}")), `,"subscriptions":["posts/*"]}`...)
	},
}

func page(q url.Values, limit int, expand bool, cursor string) url.Values {
	q.Set("sort", "-created")
	q.Set("limit", fmt.Sprint(limit))
	if expand {
		q.Set("expand", "author")
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return q
}

func plainBatch(collection string, bodies [][]byte) []byte {
	return join(`{"atomic":true,"operations":[`, bodies, func(b, body []byte) []byte {
		return fmt.Appendf(b, `{"op":"create","collection":%q,"body":%s}`, collection, body)
	})
}

func plainResults(answer []byte) ([]json.RawMessage, error) {
	var a struct{ Results json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	return bodiesOf(a.Results)
}

func join(head string, bodies [][]byte, appendOne func(b, body []byte) []byte) []byte {
	b := bytes.NewBufferString(head).Bytes()
	for i, body := range bodies {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOne(b, body)
	}
	return append(b, "]}"...)
}

func bodiesOf(list []byte) ([]json.RawMessage, error) {
	var results []struct {
		Status int
		Body   json.RawMessage
	}
	if err := json.Unmarshal(list, &results); err != nil {
		return nil, err
	}
	var bodies []json.RawMessage
	for i, r := range results {
		if r.Status != http.StatusOK && r.Status != http.StatusCreated {
			return nil, fmt.Errorf("result %d has status %d", i, r.Status)
		}
		bodies = append(bodies, r.Body)
	}
	return bodies, nil
}
