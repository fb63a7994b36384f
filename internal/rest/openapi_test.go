package rest_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/internal/rest"
)

var describe = flag.String("describe", "", "write the OpenAPI description of the test app to this file, to lint it")

// TestFieldsInWords: what a client could check before it sends.
func TestFieldsInWords(t *testing.T) {
	t.Parallel()
	s := open(t, `
name: words
collections:
  all:
    fields:
      email: {type: email, label: Where to write}
      link:  {type: url, required: true}
      tags:  {type: list, of: text, max: 5, label: What it is about}
      scans: {type: file, max: 3, label: Pages}
    access: {read: true, update: true}
`, "")
	d := s.ask("GET /api/openapi.json", "", "").want(200).json()
	fields := d["components"].(map[string]any)["schemas"].(map[string]any)["all"].(map[string]any)["properties"].(map[string]any)
	for name, want := range map[string]string{
		"email": `{"format":"email","maxLength":254,"title":"Where to write","type":["string","null"]}`,
		"link":  `{"format":"uri","maxLength":2000,"type":"string"}`,
		"tags":  `{"items":{"type":"string"},"maxItems":5,"title":"What it is about","type":["array","null"]}`,
		"scans": `{"items":{"$ref":"#/components/schemas/File"},"maxItems":3,"title":"Pages","type":["array","null"]}`,
	} {
		if b, _ := json.Marshal(fields[name]); string(b) != want {
			t.Errorf("%s: %s, want %s", name, b, want)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	all := s.ask("GET /api/openapi.json", "Authorization: Bearer operator", "").want(200)
	if *describe != "" {
		if err := os.WriteFile(*describe, []byte(all.body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := all.json()
	if d["openapi"] != "3.1.0" {
		t.Errorf("%v", d["openapi"])
	}

	// every $ref leads somewhere
	for _, ref := range regexp.MustCompile(`"\$ref":"#/([^"]*)"`).FindAllStringSubmatch(all.body, -1) {
		var at any = d
		for step := range strings.SplitSeq(ref[1], "/") {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
	// every operation has what clients and linters need, once
	ids := map[string]bool{}
	for path, item := range d["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			o := op.(map[string]any)
			id, _ := o["operationId"].(string)
			if id == "" || ids[id] || o["summary"] == nil || o["description"] == nil || o["tags"] == nil || o["responses"] == nil {
				t.Errorf("%s %s: %v", method, path, o)
			}
			ids[id] = true
			for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
				b, _ := json.Marshal(item)
				if !strings.Contains(string(b), `"name":"`+name[1]+`"`) && !strings.Contains(string(b), `parameters/`+name[1]+`"`) {
					t.Errorf("%s: {%s} is not described", path, name[1])
				}
			}
		}
	}
	schemas := d["components"].(map[string]any)["schemas"].(map[string]any)
	post := schemas["posts"].(map[string]any)["properties"].(map[string]any)
	check := func(field, want string) {
		t.Helper()
		b, _ := json.Marshal(post[field])
		if string(b) != want {
			t.Errorf("%s: %s, want %s", field, b, want)
		}
	}
	check("title", `{"maxLength":40,"minLength":2,"pattern":"^[^#]*$","type":"string"}`)
	check("status", `{"enum":["draft","open","done",null],"type":["string","null"]}`)
	check("stars", `{"maximum":10,"minimum":0,"type":["integer","null"]}`)
	check("tags", `{"items":{"type":"string"},"maxItems":5,"type":["array","null"]}`)
	check("author", `{"description":"The id of one of people","format":"uuid","type":["string","null"]}`)
	check("due", `{"format":"date","type":["string","null"]}`)
	check("cover", `{"oneOf":[{"$ref":"#/components/schemas/File"},{"type":"null"}]}`)
	check("expand", `{"description":"What was asked for with expand","properties":{"author":{"anyOf":[{"$ref":"#/components/schemas/people"},{"$ref":"#/components/schemas/people.part"}]}},"readOnly":true,"type":"object"}`)
	create := schemas["posts.create"].(map[string]any)
	if b, _ := json.Marshal(create["required"]); string(b) != `["title"]` || create["additionalProperties"] != false {
		t.Errorf("%s", b)
	}
	if b, _ := json.Marshal(create["properties"].(map[string]any)["status"].(map[string]any)["description"]); string(b) != `"Default: \"draft\""` {
		t.Errorf("%s", b)
	}

	// what there is not is not told, and nothing twice
	for _, absent := range []string{"/by/id/", "/api/auth", "session", "cookie"} {
		if strings.Contains(all.body, absent) {
			t.Errorf("%s is described", absent)
		}
	}
	if !strings.Contains(all.body, "/api/posts/by/slug/{value}") {
		t.Error("the route by a unique field is missing")
	}

	// what a caller may not see is not there
	nobody := s.ask("GET /api/openapi.json", "", "").want(200)
	for _, hidden := range []string{"vault", "locked", `"secret"`, "_answers", "people.create", "posts.delete"} {
		if strings.Contains(nobody.body, hidden) {
			t.Errorf("nobody sees %s", hidden)
		}
	}
	if strings.Contains(all.body, "_answers") || !strings.Contains(all.body, "posts.delete") || !strings.Contains(all.body, "locked.create") {
		t.Error("an operator does not see all that is the app's")
	}
	readonly := s.ask("GET /api/openapi.json", "Authorization: Bearer readonly", "").want(200)
	if strings.Contains(readonly.body, `"post":`) && strings.Contains(readonly.body, "posts.create") || strings.Contains(readonly.body, "/api/batch") {
		t.Error("a read-only key sees writes")
	}
}

// The routes of /api/auth are described as the auth section switches them on: not at all without one, and to everybody alike, for
// who signs in is nobody before. A field that nobody may write is none that one registers with.
func TestIdentityIsDescribed(t *testing.T) {
	t.Parallel()
	none := open(t, "name: none\ncollections: {a: {fields: {b: {type: text}}, access: {read: true}}}", "")
	described := func(s *site) {
		s.http = rest.New(s.db, caller, rest.Options{Auth: http.NotFoundHandler()})
	}
	described(none)
	if a := none.ask("GET /api/openapi.json", "", "").want(200); strings.Contains(a.body, "/api/auth") || strings.Contains(a.body, "cookie") {
		t.Error(a.body)
	}
	s := open(t, `
name: people
auth:
  roles: [member, staff]
  register: open
  verify: optional
  password: {minLength: 20}
  providers: {company: {kind: oidc, issuer: https://id.example.com, clientId: a, clientSecret: b}}
server: {url: https://app.example.com}
collections:
  users:
    fields:
      name:  {type: text, required: true, max: 60}
      phone: {type: text, read: id == auth.id}
      grade: {type: int, write: auth.has("staff")}
    access: {read: true}
`, "")
	described(s)
	for _, who := range []string{"", "Authorization: Bearer member", "Authorization: Bearer operator"} {
		d := s.ask("GET /api/openapi.json", who, "").want(200).json()
		at := func(steps ...string) (n any) {
			n = d
			for _, step := range steps {
				m, _ := n.(map[string]any)
				n = m[step]
			}
			return n
		}
		text := func(steps ...string) string {
			b, _ := json.Marshal(at(steps...))
			return string(b)
		}
		for path, method := range map[string]string{"register": "post", "oauth/{provider}": "get", "identities/{id}": "delete", "passkeys/{id}": "patch", "mfa/totp": "delete", "login": "post"} {
			if at("paths", "/api/auth/"+path, method, "responses") == nil {
				t.Errorf("%q: %s %s is not described", who, method, path)
			}
		}
		body := []string{"paths", "/api/auth/register", "post", "requestBody", "content", "application/json", "schema"}
		if got := text(append(body, "required")...); got != `["email","password","name"]` {
			t.Errorf("%q registers with %s", who, got)
		}
		if got := text(append(body, "properties")...); strings.Contains(got, "grade") || strings.Contains(got, "role") || !strings.Contains(got, `"minLength":20`) {
			t.Errorf("%q registers with %s", who, got)
		}
		if at("paths", "/api/auth/register", "post", "responses", "202") != nil || at("paths", "/api/auth/register", "post", "responses", "201") == nil {
			t.Errorf("%q: the answer to register is %s", who, text("paths", "/api/auth/register", "post", "responses"))
		}
		if got := text("components", "schemas", "Me", "properties"); !strings.Contains(got, "phone") || !strings.Contains(got, "verified") || strings.Contains(got, "expand") {
			t.Errorf("%q is %s", who, got)
		}
		if got := text("components", "securitySchemes", "cookie", "name"); got != `"__Host-plinth"` {
			t.Errorf("the cookie is %s", got)
		}
		if got := text("paths", "/api/auth/oauth/{provider}", "get", "parameters"); !strings.Contains(got, `["company"]`) {
			t.Errorf("the providers are %s", got)
		}
		if text("paths", "/api/auth/login", "post", "security") != "[]" || text("paths", "/api/auth/me", "get", "security") != `[{"bearer":[]},{"cookie":[]}]` {
			t.Error("who may ask is not told")
		}
	}
}

// Channels are described as far as the caller has something to do with them.
func TestChannelsAreDescribed(t *testing.T) {
	t.Parallel()
	s := open(t, `
name: channels
collections: {posts: {fields: {a: {type: text}}}}
channels:
  open: {read: true, write: auth.signedIn, presence: true}
  post: {to: posts, read: auth.signedIn, write: key.a == "x"}
  shut: {read: 'false', write: 'false'}
`, "")
	for who, want := range map[string]string{
		"":                               "/api/live/open/presence get, /api/live/open/{key}/presence get, /api/live/post/{key} post",
		"Authorization: Bearer readonly": "/api/live/open/presence get, /api/live/open/{key}/presence get",
		"Authorization: Bearer operator": "/api/live/open post, /api/live/open/presence get put, /api/live/open/{key} post, /api/live/open/{key}/presence get put, /api/live/post/{key} post, /api/live/shut post, /api/live/shut/{key} post",
	} {
		d := s.ask("GET /api/openapi.json", who, "").want(200).json()
		var got []string
		for path, item := range d["paths"].(map[string]any) {
			if !strings.HasPrefix(path, "/api/live/") {
				continue
			}
			for _, method := range []string{"get", "post", "put"} {
				if _, ok := item.(map[string]any)[method]; ok {
					path += " " + method
				}
			}
			got = append(got, path)
		}
		slices.Sort(got)
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%q sees %s, want %s", who, text, want)
		}
	}
}
