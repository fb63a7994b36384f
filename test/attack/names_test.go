package attack_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestForbiddenNamesAreUnknown: lessons 4 and 11. A field that a caller may not read is as unknown, in
// every parameter, as one that does not exist.
func TestForbiddenNamesAreUnknown(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	a.made("", "people", `{"name":"Ann","pin":"4711","salary":5000,"score":77}`)
	for param, forms := range map[string][]string{
		"filter": {"NAME == 1", `NAME == "x"`, "NAME == null", "NAME > 1", `NAME.startsWith("x")`, "NAME.startsWith(3)", "NAME.exists(x, true)", "size(NAME) > 0",
			"has(NAME)", "NAME", "!NAME", "NAME.word", "NAME.x == 3", `"x" in NAME`, "NAME == name", `team.exists(t, t.NAME == "x")`, "team.exists(t, t.NAME == 1)", "boss.NAME == 1"},
		"sort":      {"NAME", "-NAME", "name,NAME", "NAME,NAME"},
		"fields":    {"NAME", "name,NAME", "NAME,NAME"},
		"expand":    {"NAME", "NAME(limit=3)", "NAME,NAME", "NAME(fields=zz)", "team(sort=NAME)", "team(fields=NAME)", "team(expand=NAME)"},
		"group":     {"NAME", "NAME,NAME"},
		"aggregate": {"sum(NAME)", "avg(NAME)", "min(NAME)", "zip(NAME)", "count,max(NAME)"},
	} {
		for _, form := range forms {
			unknown := a.ask("", "GET", "/api/people"+query(param, strings.ReplaceAll(form, "NAME", "qqqqqq")), "")
			want, _, _ := strings.Cut(unknown.text("detail"), " (did you mean")
			for _, name := range []string{"salary", "diary", "vault", "pin", "secret"} {
				got := a.ask("", "GET", "/api/people"+query(param, strings.ReplaceAll(form, "NAME", name)), "")
				detail, _, _ := strings.Cut(got.text("detail"), " (did you mean")
				if got.status != 400 || strings.ReplaceAll(detail, name, "qqqqqq") != want {
					t.Errorf("%s=%s: %s is told of otherwise (%s) than a name that does not exist (%s)", param, form, name, detail, want)
					break
				}
			}
		}
	}
}

// TestSuggestionsNameNothingForbidden: lessons 4 and 11. "did you mean" proposes what the caller may know.
func TestSuggestionsNameNothingForbidden(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for typo, name := range map[string]string{"salry > 1": "salary", "diray == null": "diary", "valt == null": "vault", "vault.wrd == null": "word",
		"secrt == null": "secret", "team.exists(t, t.salery > 1)": "salary", "dossiers.exists(d, d.ownr == null)": "owner"} {
		got := a.ask("", "GET", "/api/people"+query("filter", typo), "")
		if got.status != 400 || strings.Contains(string(got.body), `\"`+name+`\"`) {
			t.Errorf("%s: the answer proposes %s: %s", typo, name, got.text("detail"))
		}
	}
}

// TestConflictsNameNothingForbidden: lessons 4 and 11. A 409 does not tell the names of collections and
// fields that the caller may not read.
func TestConflictsNameNothingForbidden(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann"}`)
	a.made("admin", "closed", `{"about":"`+id+`","owner":"me"}`)
	got := a.ask("", "DELETE", "/api/people/"+id, "")
	a.expect(got, "delete what is referred to", 409)
	if s := string(got.body); strings.Contains(s, "closed") || strings.Contains(s, "about") {
		t.Errorf("the conflict names a collection that is closed to the caller: %s", s)
	}
}

// TestDescriptionHidesWhatIsHidden: lesson 11. The OpenAPI description shows the app as the caller may see it.
func TestDescriptionHidesWhatIsHidden(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	d := a.ask("", "GET", "/api/openapi.json", "").json()
	for path := range d["paths"].(map[string]any) {
		if strings.HasPrefix(path, "/api/auth/") { // whose words are not the app's
			delete(d["paths"].(map[string]any), path)
		}
	}
	b, _ := json.Marshal(d)
	s := string(b)
	for _, name := range []string{"diary", "secret", "closed", "dossiers", "keepers", `"vault"`, "_keys", "_answers", "$fold"} {
		if strings.Contains(s, name) {
			t.Errorf("the description of nobody names %s", name)
		}
	}
}
