package attack_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth"
)

const form = "multipart/form-data; boundary=XX"

// multipart makes a body of part heads and contents.
func multipart(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		b.WriteString("--XX\r\nContent-Disposition: form-data; " + parts[i] + "\r\n\r\n" + parts[i+1] + "\r\n")
	}
	return b.String() + "--XX--\r\n"
}

// TestWriteRuleHoldsForUploads: a field's write rule that looks at the record is asked of a file that
// comes with a create, too.
func TestWriteRuleHoldsForUploads(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	body := multipart(`name="record"`, `{"state":"closed"}`, `name="scan"; filename="a.txt"`, "hello")
	a.expect(a.ask("", "POST", "/api/papers", body, "Content-Type", form), "create with a file that may not be written", 422)
	id := a.made("", "papers", `{"state":"closed"}`)
	a.expect(a.ask("", "PATCH", "/api/papers/"+id, body, "Content-Type", form), "patch with it", 422)
	body = multipart(`name="record"`, `{"state":"open"}`, `name="scan"; filename="a.txt"`, "hello")
	a.expect(a.ask("", "POST", "/api/papers", body, "Content-Type", form), "create with one that may", 201)
}

// TestPutObeysFieldRules: what PATCH refuses, PUT refuses.
func TestPutObeysFieldRules(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "papers", `{"title":"t","meta":{"a":1},"lock":{"x":1}}`)
	a.expect(a.ask("", "PATCH", "/api/papers/"+id, `{"body":"x"}`), "patch against a write rule", 422)
	a.expect(a.ask("", "PUT", "/api/papers/"+id, `{"title":"t","body":"x","lock":{"x":1}}`), "put against a write rule that looks at a json field", 422)
	a.expect(a.ask("", "PATCH", "/api/papers/"+id, `{"meta":null}`), "patch a fixed json field to null", 422)
	a.expect(a.ask("", "PUT", "/api/papers/"+id, `{"title":"t","meta":null}`), "put a fixed json field to null", 422)
	if got := a.ask("", "GET", "/api/papers/"+id, ""); !contains(got.body, `"meta":{"a":1}`) {
		t.Errorf("a fixed field has changed: %s", got.body)
	}
	a.expect(a.ask("", "PUT", "/api/papers/"+id, `{"title":"t","meta":{"a":1},"lock":{"x":1}}`), "put with the fixed value echoed", 200)
}

// TestSystemFieldsStay: OWASP 6. Nobody sets what is Plinth's or hidden, by any verb.
func TestSystemFieldsStay(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann"}`)
	for _, body := range []string{`{"name":"B","rev":9}`, `{"name":"B","created":"2020-01-01T00:00:00.000Z"}`, `{"name":"B","updated":null}`, `{"name":"B","secret":"x"}`,
		`{"name":"B","diary":{}}`, `{"name":"B","vault":null}`, `{"name":"B","name$fold":"x"}`, `{"name":"B","expand":{}}`} {
		for _, m := range []string{"PATCH", "PUT"} {
			a.expect(a.ask("member", m, "/api/people/"+id, body), m+" "+body, 422)
		}
		a.expect(a.ask("member", "POST", "/api/people", body), "POST "+body, 422)
		a.expect(a.ask("member", "POST", "/api/people", multipart(`name="record"`, body), "Content-Type", form), "multipart "+body, 422)
		a.expect(a.ask("member", "POST", "/api/batch", `{"operations":[{"op":"update","collection":"people","id":"`+id+`","body":`+body+`}]}`), "batch "+body, 422)
	}
	for _, body := range []string{`{"rev":1}`, `{"created":1}`, `{"secret":1}`, `{"name":1}`, `{"id":1}`} {
		a.expect(a.ask("member", "POST", "/api/people/"+id+"/increment", body), "increment "+body, 422)
	}
	a.expect(a.ask("", "PATCH", "/api/people/"+id, `{"id":"01a20405-9198-7f08-9d1c-8eaa6553ca8b"}`), "another id", 422)
	if got := a.ask("operator", "GET", "/api/people/"+id, ""); got.json()["rev"] != 1.0 {
		t.Errorf("something was written: %s", got.body)
	}
}

// TestRecordRulesHoldOnEveryPath: an update rule that looks at the record holds for every way to change it.
func TestRecordRulesHoldOnEveryPath(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "sealed", `{"place":"there"}`)
	for _, got := range []answer{
		a.ask("member", "PATCH", "/api/sealed/"+id, `{"place":"here"}`),
		a.ask("member", "PUT", "/api/sealed/"+id, `{"place":"here"}`),
		a.ask("member", "DELETE", "/api/sealed/"+id, ""),
		a.ask("member", "POST", "/api/sealed/"+id+"/increment", `{"rev":1}`),
		a.ask("member", "POST", "/api/batch", `{"operations":[{"op":"update","collection":"sealed","id":"`+id+`","body":{"place":"here"}}]}`),
	} {
		a.expect(got, "change of a record of another place", 403)
	}
	here := a.made("", "sealed", `{"place":"here"}`)
	a.expect(a.ask("member", "PATCH", "/api/sealed/"+here, `{"place":"there"}`), "a change out of the rule", 403)
}

// TestReadOnlyKeyWritesNothing: lesson 13.
func TestReadOnlyKeyWritesNothing(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann"}`)
	before := string(a.ask("operator", "GET", "/api/people", "").body)
	for _, by := range []string{"readonly", "readonly operator"} {
		a.expect(a.ask(by, "POST", "/api/people", `{"name":"x"}`), "create", 403)
		a.expect(a.ask(by, "POST", "/api/people", multipart(`name="record"`, `{"name":"x"}`), "Content-Type", form), "multipart", 403)
		a.expect(a.ask(by, "PATCH", "/api/people/"+id, `{"name":"x"}`), "patch", 403)
		a.expect(a.ask(by, "PUT", "/api/people/"+id, `{"name":"x"}`), "put", 403)
		a.expect(a.ask(by, "PUT", "/api/people/01a20405-9198-7f08-9d1c-8eaa6553ca8b", `{"name":"x"}`), "put anew", 403)
		a.expect(a.ask(by, "DELETE", "/api/people/"+id, ""), "delete", 403)
		a.expect(a.ask(by, "POST", "/api/people/"+id+"/increment", `{"stock":1}`), "increment", 403)
		a.expect(a.ask(by, "POST", "/api/batch", `{"operations":[{"op":"create","collection":"people","body":{"name":"x"}}]}`), "batch", 403)
		a.ask(by, "POST", "/api/batch", `{"atomic":false,"operations":[{"op":"create","collection":"people","body":{"name":"x"}},{"op":"delete","collection":"people","id":"`+id+`"}]}`)
		a.expect(a.ask(by, "POST", "/api/people/query", `{"limit":1}`), "a question", 200)
	}
	if after := string(a.ask("operator", "GET", "/api/people", "").body); after != before {
		t.Errorf("a read-only key has written: %s", after)
	}
}

// TestForgedKeys: OWASP 46, lesson 3. Mutated, cut, extended, expired and removed keys are refused, on open routes too.
func TestForgedKeys(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	a := open(t, app, plinth.WithClock(func() time.Time { return time.Now().Add(time.Duration(later.Load())) }))
	key := a.keys["staff"]
	bad := []string{"", "x", "pk_", key + "A", key[:len(key)-1], key + "=", strings.ToLower(key), key + "\x00", "pk_" + strings.Repeat("A", len(key)-3), key + "," + key}
	for i := 3; i < len(key); i++ {
		c := byte('A')
		if key[i] == 'A' {
			c = 'B'
		}
		bad = append(bad, key[:i]+string(c)+key[i+1:])
	}
	for _, k := range bad {
		got := a.ask("", "GET", "/api/people", "", "Authorization", "Bearer "+k)
		a.expect(got, "key "+k, 401)
		if got.header.Get("WWW-Authenticate") == "" {
			t.Error("a 401 without WWW-Authenticate")
		}
	}
	for _, v := range []string{"Basic " + key, key, "Bearer", "Token " + key} {
		a.expect(a.ask("", "GET", "/api/people", "", "Authorization", v), v, 401)
	}
	a.expect(a.ask("", "GET", "/api/people"+query("access_token", key), ""), "a token in the address", 400)
	ctx := context.Background()
	id, removed, err := a.app.AddKey(ctx, plinth.KeyOptions{Role: "staff"})
	if err != nil {
		t.Fatal(err)
	}
	a.expect(a.ask("", "GET", "/api/vaults", "", "Authorization", "Bearer "+removed), "a good key", 200)
	if err := a.app.RemoveKey(ctx, id); err != nil {
		t.Fatal(err)
	}
	a.expect(a.ask("", "GET", "/api/people", "", "Authorization", "Bearer "+removed), "a removed key", 401)
	_, short, err := a.app.AddKey(ctx, plinth.KeyOptions{Role: "staff", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	a.expect(a.ask("", "GET", "/api/people", "", "Authorization", "Bearer "+short), "a key that has not expired", 200)
	later.Store(int64(time.Minute))
	a.expect(a.ask("", "GET", "/api/people", "", "Authorization", "Bearer "+short), "an expired key", 401)
}
