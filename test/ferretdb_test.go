package test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/mongo/mongotest"
)

// The agency's app on FerretDB 1, a server with MongoDB's protocol that has no transactions and no $lookup: what
// one document can do works, and the rest is refused by name, before anything is written.
func TestAgencyOnFerretDB(t *testing.T) {
	t.Parallel()
	db, dir := mongotest.Database(t), t.TempDir()
	copyExample(t, dir, "agency")
	runOn(t, db, "apply", dir)
	refusedOn(t, db, "this database has no transactions, and this needs one", "seed", dir)
	s := servingOn(t, db, dir)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(runOn(t, db, "key", "add", dir, "--operator", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	judged := described(t)
	answers := func(status int, capability, method, path, body string) {
		t.Helper()
		got, b, err := ask(judged, method, s.url+path, made.Key, body)
		var problem struct{ Capability string }
		if err != nil || got != status || json.Unmarshal(b, &problem) != nil && status != http.StatusNoContent || problem.Capability != capability {
			t.Errorf("%s %s: %d %s %v, want %d %s", method, path, got, b, err, status, capability)
		}
	}
	const id = "01900000-0000-7000-8000-000000000001"
	answers(201, "", "POST", "/api/services", `{"id":"`+id+`","slug":"one","name":"One","summary":"The first of them all, in a sentence.","icon":"web","price":"1.00","weeks":1,"position":1}`)
	answers(409, "", "POST", "/api/services", `{"slug":"one","name":"One","summary":"The first of them all, in a sentence.","icon":"web","price":"1.00","weeks":1,"position":1}`)
	answers(200, "", "PATCH", "/api/services/"+id, `{"name":"First"}`)
	answers(200, "", "GET", "/api/services?sort=-position&count=exact&filter="+url.QueryEscape(`name == "First" && slug.startsWith("o")`), "")
	answers(501, "paths to other records ($lookup)", "GET", "/api/services?filter="+url.QueryEscape(`cases.exists(c, c.year > 2020)`), "")
	answers(501, "a question after a change, in one transaction", "POST", "/api/batch", `{"operations":[{"op":"update","collection":"services","id":"`+id+`","body":{"position":2}},{"op":"delete","collection":"services","id":"`+id+`"}]}`)
	if _, b, err := ask(judged, "GET", s.url+"/api/services/"+id, "", ""); err != nil || !strings.Contains(string(b), `"position":1`) {
		t.Errorf("a part of what was refused is there: %s %v", b, err)
	}
	answers(204, "", "DELETE", "/api/services/"+id, "")
}
