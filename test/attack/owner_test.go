package attack_test

import (
	"bytes"
	"testing"
)

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

// TestNobodyOwnsWhatHasNoOwner: lesson 0, in every form in which a rule can say it, in SQL and in Go.
func TestNobodyOwnsWhatHasNoOwner(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for _, c := range []string{"owned", "owned_chosen", "owned_in", "owned_not", "owned_some"} {
		id := a.made("", c, `{"owner":null}`)
		for _, by := range []string{"", "member", "admin"} {
			if got := a.ask(by, "GET", "/api/"+c, ""); !contains(got.body, `"items":[]`) {
				t.Errorf("%s: %q owns it in a list: %s", c, by, got.body)
			}
			a.expect(a.ask(by, "GET", "/api/"+c+"/"+id, ""), c+" read", 404)
		}
	}
	id := a.made("", "owned", `{"owner":null}`)
	for _, by := range []string{"", "member", "admin"} {
		a.expect(a.ask(by, "PATCH", "/api/owned/"+id, `{"a":"x"}`), "patch", 401, 403, 404)
		a.expect(a.ask(by, "PUT", "/api/owned/"+id, `{"a":"x"}`), "put", 401, 403, 404)
		a.expect(a.ask(by, "DELETE", "/api/owned/"+id, ""), "delete", 401, 403, 404)
		a.expect(a.ask(by, "POST", "/api/batch", `{"operations":[{"op":"delete","collection":"owned","id":"`+id+`"}]}`), "batch", 401, 403, 404)
	}
}
