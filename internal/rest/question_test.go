package rest_test

import (
	"net/url"
	"strings"
	"testing"
)

// All that is wrong with a question is told at once: what the parameters look like, and what the app says of
// those that can be read. In a body the places are those of the body.
func TestQuestionTellsAll(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"One"}`)
	for _, c := range []struct{ line, body, want string }{
		{"GET /api/posts?limit=0&filter=nope==1&sort=nope&fields=nope&expand=nope", "", "limit type, filter unknown, sort unknown, fields unknown, expand unknown"},
		{"GET /api/posts?limit=0&nope=1&filter=stars==param.x", "", "nope unknown, limit type, param.x required"},
		{"GET /api/posts?count=no&cursor=x", "", "count type, cursor syntax"},
		{"GET /api/posts?group=nope&aggregate=count&sort=title", "", "sort unknown, group unknown"},
		{"GET /api/posts?sort=title&sort=nope&filter=nope==1", "", "sort syntax, filter unknown"},
		{"GET /api/posts?filter=nope==1&limit=9", "", "filter unknown"},
		{"GET /api/posts?limit=0", "", "limit type"},
		{"GET /api/locked?limit=0&filter=nope==1", "", "limit type"},
		{"GET /api/posts/" + id + "?nope=1&fields=nope&expand=nope", "", "nope unknown, fields unknown, expand unknown"},
		{"GET /api/posts/nothing?nope=1", "", "nope unknown"},
		{"POST /api/posts/query", `{"limit":0,"filter":"nope==1","sort":"nope","fields":"nope","expand":"nope"}`, "/limit type, /filter unknown, /sort unknown, /fields unknown, /expand unknown"},
		{"POST /api/posts/query", `{"filter":"stars == param.x","param":{"x":"a","a~/b":1}}`, "/param/a~0~1b unknown"},
		{"POST /api/posts/query", `{"filter":"stars == param.x","param":[]}`, "/param type"},
		{"POST /api/posts/query", `{"filter":"stars == param.x","param":{"x":"a"},"nope":1}`, "/nope unknown, /param/x type"},
		{"POST /api/posts/query", `{"group":"nope","aggregate":"sum(nope)","limit":3}`, "/limit unknown, /group unknown, /aggregate unknown"},
		{"POST /api/posts/query", `{"filter":"nope == 1"}`, "/filter unknown"},
	} {
		a := s.ask(c.line, "Authorization: Bearer member", c.body).want(400)
		if got := a.fields(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.line, c.body, got, c.want)
		}
	}
	if a := s.ask("POST /api/posts/query", "", `{"filter":"stars == 1 && nope"}`).want(400); !strings.Contains(a.body, `"pointer":"/filter","at":15,`) {
		t.Errorf("the place in a filter: %s", a.body)
	}
	if a := s.ask("GET /api/posts?filter="+url.QueryEscape("stars == 1 && nope"), "", "").want(400); !strings.Contains(a.body, `"parameter":"filter","at":15,`) {
		t.Errorf("the place in a filter: %s", a.body)
	}
}
