package attack_test

import (
	"fmt"
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
