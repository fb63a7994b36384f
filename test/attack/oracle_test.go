package attack_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestFixedFieldIsNoOracle: lesson 11. Whoever may not read a fixed field does not learn by writing it
// whether he guessed its value.
func TestFixedFieldIsNoOracle(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann","pin":"4711"}`)
	for _, m := range []string{"PATCH", "PUT"} {
		wrong := a.ask("", m, "/api/people/"+id, `{"name":"Ann","pin":"0000"}`)
		right := a.ask("", m, "/api/people/"+id, `{"name":"Ann","pin":"4711"}`)
		if wrong.status != right.status || wrong.status == 422 && wrong.essence() != right.essence() {
			t.Errorf("%s: a wrong guess is answered %d %s, the right one %d %s", m, wrong.status, wrong.body, right.status, right.body)
		}
	}
}

// TestIncrementIsNoOracle: lesson 11. Where a sum fits or not does not tell a number that the caller may
// not read.
func TestIncrementIsNoOracle(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	low := a.made("", "people", `{"name":"Ann","salary":5000,"score":77}`)
	high := a.made("", "people", `{"name":"Bob","salary":600000,"score":78}`)
	for _, body := range []string{`{"salary":500000}`, fmt.Sprintf(`{"score":%d}`, 1<<53-1-77), `{"salary":-6000}`} {
		one, two := a.ask("", "POST", "/api/people/"+low+"/increment", body), a.ask("", "POST", "/api/people/"+high+"/increment", body)
		if one.status != two.status {
			t.Errorf("%s: %d for the one, %d for the other: %s %s", body, one.status, two.status, one.body, two.body)
		}
	}
}

// TestAnswersOfWritesHide: lesson 11, OWASP 4. What a write answers is what the caller may read.
func TestAnswersOfWritesHide(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann","pin":"4711","salary":5000}`)
	got := []answer{
		a.ask("", "POST", "/api/people", `{"name":"Bob","pin":"1","salary":1}`, "Idempotency-Key", "k1"),
		a.ask("", "POST", "/api/people", `{"name":"Bob","pin":"1","salary":1}`, "Idempotency-Key", "k1"),
		a.ask("", "PATCH", "/api/people/"+id, `{"name":"B"}`),
		a.ask("", "PATCH", "/api/people/"+id, `{"name":"B"}`),
		a.ask("", "PUT", "/api/people/"+id, `{"name":"C"}`),
		a.ask("", "POST", "/api/people/"+id+"/increment", `{"stock":1}`),
		a.ask("", "POST", "/api/batch", `{"operations":[{"op":"update","collection":"people","id":"`+id+`","body":{"name":"D"}}]}`),
		a.ask("", "POST", "/api/batch", `{"atomic":false,"operations":[{"op":"update","collection":"people","id":"`+id+`","body":{"name":"D"}}]}`),
	}
	for i, g := range got {
		a.expect(g, fmt.Sprint("write ", i), 200, 201)
		for _, name := range []string{"pin", "salary", "diary", "vault", "secret"} {
			if contains(g.body, `"`+name+`"`) {
				t.Errorf("write %d shows %s: %s", i, name, g.body)
			}
		}
	}
	if string(got[0].body) != string(got[1].body) {
		t.Error("the repeated request was answered otherwise")
	}
}

// TestReplayBelongsToItsCaller: an Idempotency-Key of another caller, method, path or body gives nothing.
func TestReplayBelongsToItsCaller(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	first := a.ask("staff", "POST", "/api/people", `{"name":"Ann","salary":5}`, "Idempotency-Key", "k")
	a.expect(first, "first", 201)
	for _, by := range []string{"", "member", "admin"} {
		got := a.ask(by, "POST", "/api/people", `{"name":"Ann","salary":5}`, "Idempotency-Key", "k")
		if got.status != 201 || got.text("id") == first.text("id") {
			t.Errorf("%q got the answer of another: %d %s", by, got.status, got.body)
		}
	}
	a.expect(a.ask("staff", "POST", "/api/people", `{"name":"Bob"}`, "Idempotency-Key", `"k"`), "another body", 422)
	a.expect(a.ask("readonly", "POST", "/api/people", `{"name":"Ann","salary":5}`, "Idempotency-Key", "k"), "a read-only key", 403)
}

// TestKeptFileIsNoOracle: lesson 11. Whoever may write but not read a file field does not learn the names
// of its files by naming those that stay.
func TestKeptFileIsNoOracle(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	got := a.ask("staff", "POST", "/api/papers", multipart(`name="record"`, `{}`, `name="slip"; filename="a.txt"`, "hello"), "Content-Type", form)
	a.expect(got, "upload", 201)
	right := a.ask("", "PATCH", "/api/papers/"+got.text("id"), `{"slip":{"name":"a.txt"}}`)
	wrong := a.ask("", "PATCH", "/api/papers/"+got.text("id"), `{"slip":{"name":"b.txt"}}`)
	if right.status != wrong.status {
		t.Errorf("the right name is answered %d, a wrong one %d %s", right.status, wrong.status, wrong.body)
	}
}

// TestInputRuleComesFirst: an update rule that names input refuses before a precondition or a mistake in the
// body tells something of a record that the caller may not change.
func TestInputRuleComesFirst(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("admin", "guarded", `{"owner":"other","note":"n"}`)
	a.expect(a.ask("member", "PATCH", "/api/guarded/"+id, `{"owner":"x"}`), "a change that is refused", 403)
	a.expect(a.ask("member", "PATCH", "/api/guarded/"+id, `{"owner":"x"}`, "If-Match", `"7"`), "with a precondition", 403)
	a.expect(a.ask("member", "PATCH", "/api/guarded/"+id, `{"note":"guess"}`), "with a fixed field", 403)
}

// TestReferencesTellNothing: lesson 4. Whether a record that the caller may not read exists is not told by
// filters, expansions, groups or files.
func TestReferencesTellNothing(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	vault := a.made("staff", "vaults", `{"word":"gold","code":"c1"}`)
	id := a.made("staff", "people", `{"name":"Ann","vault":"`+vault+`"}`)
	a.made("admin", "closed", `{"about":"`+id+`","owner":"me"}`)
	for _, f := range []string{"size(dossiers) > 0", "dossiers.exists(d, true)", "!dossiers.all(d, false)"} {
		if got := a.ask("", "GET", "/api/people"+query("filter", f), ""); !contains(got.body, `"items":[]`) {
			t.Errorf("%s finds what the caller may not read: %s", f, got.body)
		}
	}
	// The names of a collection that is closed to him are as unknown as those that do not exist.
	unknown := a.ask("", "GET", "/api/people"+query("filter", `dossiers.exists(d, d.qqqqq == "me")`), "")
	for _, name := range []string{"owner", "about"} {
		got := a.ask("", "GET", "/api/people"+query("filter", `dossiers.exists(d, d.`+name+` == "me")`), "")
		if got.status != 400 || strings.ReplaceAll(got.text("detail"), name, "qqqqq") != unknown.text("detail") {
			t.Errorf("%s is told of: %s, %s", name, got.body, unknown.body)
		}
	}
	if got := a.ask("", "GET", "/api/people/"+id+query("expand", "dossiers"), ""); !contains(got.body, `"dossiers":[]`) {
		t.Errorf("expand: %s", got.body)
	}
	for _, p := range []string{"/api/vaults/" + vault, "/api/vaults/by/code/c1", "/api/vaults/by/code/c2"} {
		a.expect(a.ask("", "GET", p, ""), p, 404)
	}
	if one, two := a.ask("", "GET", "/api/vaults/by/code/c1", ""), a.ask("", "GET", "/api/vaults/by/code/c2", ""); one.essence() != two.essence() {
		t.Errorf("%s, %s", one.body, two.body)
	}
	for _, q := range []string{"?count=exact", "?group=code&aggregate=count", "?aggregate=count", "?aggregate=min(code)"} {
		if got := a.ask("", "GET", "/api/vaults"+q, ""); got.status != 200 || contains(got.body, "c1") || contains(got.body, ":1") {
			t.Errorf("%s: %d %s", q, got.status, got.body)
		}
	}
}
