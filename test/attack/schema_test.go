package attack_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

// described is what a test reads of the OpenAPI description.
type described struct {
	Paths map[string]map[string]json.RawMessage
	Comps struct {
		Schemas map[string]schema
	} `json:"components"`
}

type operation struct {
	ID         string `json:"operationId"`
	Parameters []struct{ Name, In string }
	Body       struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]json.RawMessage
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Format     string
	Enum       []any
	Required   []string
	Properties map[string]schema
}

// hostile are values that no member of a body should be surprised by.
var hostile = []string{`null`, `true`, `-1`, `1e400`, `9007199254740993`, `""`, `"\u0000"`, `"\ud800"`, `"\r\nSet-Cookie: a=b"`, `"' OR 1=1 --"`, `"\"; DROP TABLE users; --"`, `"{{7*7}}${7*7}"`, `"../../etc/passwd"`,
	`"a@example.com\r\nBcc: all@example.com"`, `"javascript:alert(1)"`, `"//evil.example"`, `"ps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`, `"\u202e\u0130ß"`, `[]`, `{}`, `{"$ne":null}`, `{"__proto__":{"admin":true}}`,
	`[["a"]]`, `"` + strings.Repeat("a", 5000) + `"`, `"` + strings.Repeat("é", 60000) + `"`, strings.Repeat("[", 5000)}

// good is a value of a schema.
func good(name string, s schema) string {
	kind, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok && len(list) > 0 {
		kind, _ = list[0].(string)
	}
	switch {
	case len(s.Enum) > 0:
		b, _ := json.Marshal(s.Enum[0])
		return string(b)
	case name == "password" || name == "new":
		return `"` + strong + `"`
	case s.Format == "email" || name == "email":
		return `"mallory@example.com"`
	case s.Format == "uuid":
		return `"01900000-0000-7000-8000-000000000000"`
	case kind == "boolean":
		return "true"
	case kind == "object":
		return "{}"
	case kind == "integer" || kind == "number":
		return "1"
	case kind == "array":
		return "[]"
	}
	return `"text"`
}

// bodies are hostile bodies of a schema: each member once with each hostile value, the others good; and some that are no such
// object.
func bodies(s schema) (list []string) {
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	with := func(odd, value string) string {
		var b strings.Builder
		for _, name := range names {
			v := good(name, s.Properties[name])
			if name == odd {
				v = value
			}
			fmt.Fprintf(&b, `,%q:%s`, name, v)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	whole := with("", "")
	list = append(list, "", "null", "[]", "{", `{}`, `{"a":1}`, whole+"x", whole+whole, strings.Replace(whole, "{", `{"__proto__":1,`, 1), strings.Replace(whole, "{", `{"role":"admin","verified":true,"id":"01900000-0000-7000-8000-000000000001",`, 1))
	for _, name := range names {
		list = append(list, strings.Replace(whole, "{", fmt.Sprintf(`{%q:1,`, name), 1), strings.Replace(whole, "{", fmt.Sprintf(`{%q:1,`, strings.ToUpper(name)), 1))
		for _, value := range hostile {
			list = append(list, with(name, value))
		}
	}
	return list
}

// told are words of what must be in no answer: how it is made, and what is kept.
var told = []string{"goroutine", ".go:", "SQLSTATE", "sqlite", "panic", "argon2", "runtime error", "_accounts", "_tries", "SELECT ", os.TempDir() + "/", "evil.example", "ann@example.com"}

// TestDescribedOperations: hostile input, OWASP 20, 21, 52. Every operation that the description has, under /api/auth too, is asked with
// what it does not want, by everybody: none fails in us, none tells how it is made, each answer is as described.
func TestDescribedOperations(t *testing.T) {
	t.Parallel()
	a := open(t, strings.Replace(people, "register: open,", "register: open, providers: {github: {clientId: none, clientSecret: none}},", 1)+
		"server: {url: \"https://app.example.com\", trustedProxies: [192.0.2.1]}\n")
	a.join("ann")
	a.join("mallory")
	asked, counts, operations := 0, map[int]int{}, map[string]bool{}
	for _, by := range []string{"", "mallory", "operator"} {
		var d described
		if err := json.Unmarshal(a.ask(by, "GET", "/api/openapi.json", "").body, &d); err != nil {
			t.Fatal(err)
		}
		send := func(method, path, body string, headers ...string) {
			t.Helper()
			asked++
			got := a.ask(by, method, path, body, append(headers, "X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", asked>>8, asked&255))...)
			counts[got.status]++
			what := fmt.Sprintf("%q %s %.80s %.200s", by, method, path, body)
			if got.status >= 500 && got.status != 501 {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
			for _, word := range told {
				if by != "operator" && contains(got.body, word) && !strings.Contains(body, word) && !strings.Contains(path, url.PathEscape(word)) && !strings.Contains(path, word) {
					t.Errorf("%s: the answer has %q: %s", what, word, got.body)
				}
			}
			for name, values := range got.header {
				if text := strings.Join(values, " "); name != "Allow" && (strings.Contains(text, "evil.example") || strings.Contains(text, "a=b")) {
					t.Errorf("%s: %s is %s", what, name, text)
				}
			}
		}
		for path, item := range d.Paths {
			for method, raw := range item {
				if method == "parameters" {
					continue
				}
				var o operation
				if err := json.Unmarshal(raw, &o); err != nil {
					t.Fatal(err)
				}
				if o.ID == "" || len(o.Responses) == 0 {
					t.Fatalf("%s %s is not described", method, path)
				}
				if o.ID == "auth.logout" && by == "mallory" {
					continue // she is needed
				}
				method := strings.ToUpper(method)
				operations[o.ID] = true
				address := strings.NewReplacer("{id}", "01900000-0000-7000-8000-000000000000", "{provider}", "github", "{value}", "x", "{name}", "x").Replace(path)
				for _, odd := range []string{"%00", "..", "%2e%2e%2f", "' OR 1=1 --", "\u202e", strings.Repeat("a", 3000), "null", "01900000-0000-7000-8000-000000000000%0d%0aSet-Cookie:%20a=b"} {
					if at := strings.Index(path, "{"); at >= 0 {
						send(method, path[:at]+strings.ReplaceAll(url.PathEscape(odd), "%25", "%")+path[strings.Index(path, "}")+1:], "")
					}
				}
				queries := []string{"token=x", "%00=1", "a=%ff", "__proto__=1"}
				for _, p := range o.Parameters {
					if p.In != "query" || p.Name == "" {
						continue
					}
					for _, value := range []string{"", "//evil.example", "https://evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "/\\evil.example", "/\t/evil.example", strings.Repeat("a", 3000), "\u202e"} {
						queries = append(queries, url.Values{p.Name: {value}}.Encode())
					}
					queries = append(queries, p.Name+"=a&"+p.Name+"=b")
				}
				for _, q := range queries {
					send(method, address+"?"+q, "")
				}
				for media, content := range o.Body.Content {
					s := content.Schema
					if s.Ref != "" {
						s = d.Comps.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
					}
					list := bodies(s)
					if o.ID == "auth.login" || o.ID == "auth.register" { // each costs a password
						list = slices.DeleteFunc(list, func(b string) bool { return len(b) > 3000 && len(b) < 100000 })
					}
					for _, body := range list {
						send(method, address, body, "Content-Type", media)
					}
				}
				if len(o.Body.Content) == 0 && method != "GET" {
					send(method, address, strings.Repeat("[", 5000))
				}
				send(method, address, "", "Cookie", "__Host-plinth=x; __Host-plinth=y; __Host-plinth-oauth=z")
			}
		}
	}
	identity := 0
	for id := range operations {
		if strings.HasPrefix(id, "auth.") {
			identity++
		}
	}
	if identity < 37 || asked < 3000 {
		t.Errorf("%d operations of /api/auth, %d requests", identity, asked)
	}
	t.Logf("%d requests to %d operations, %d of them of /api/auth: %v", asked, len(operations), identity, counts)
}
