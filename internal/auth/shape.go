package auth

import (
	"regexp"
	"slices"
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

// shape says what a JSON object is made of, or parameters are: "email address, name? text, items [Passkey]". A ? is behind what
// need not be there. Types are text, address, password (a new one), id, time, uri, flag, number, object (whatever is in it), a/b (one of
// these words), [T] (a list) and T|null; a name with a capital is one of Schemas, which may stand alone too.
type shape string

// schema is one that has a name.
type schema struct {
	name, text string
	shape      shape
}

// named are the schemas that have a name. Me is not among them: it is the user's own record.
var named = []schema{
	{"Session", "What who signs in shows from now on, as a bearer token or a cookie", "token text, expires time, user Me"},
	{"NewFactor", "The session that was begun with the new factor; recovery codes, told this once, where it is the first", "token text, expires time, user Me, recovery? [text]"},
	{"NewPasskey", "The session that was begun with the new passkey; recovery codes, told this once, where it is the first factor",
		"token text, expires time, user Me, passkey Passkey, recovery? [text]"},
	{"Ticket", "What the second step of a sign-in goes on with, and the ways to take it", "ticket text, methods [passkey/totp/recovery]"},
	{"Passkey", "One of the user's passkeys", "id id, name text, created time, used time|null, synced flag"},
	{"Ceremony", "Options of WebAuthn, for PublicKeyCredential.parseCreationOptionsFromJSON or parseRequestOptionsFromJSON", "ceremony text, options object"},
	{"SignedInAt", "A place where the user is signed in", "id id, created time, seen time, expires time, agent text, address text, mfa flag, current flag"},
	{"Invitation", "What somebody was invited to; `by` is the user who invites, null where it was a key or the command line",
		"id id, email text, role text, by id|null, created time, expires time"},
	{"Provider", "Somebody with whom people can sign in", "name text, label text"},
	{"Identity", "Who the user is at a provider", "id id, provider text, label text, email text|null, name text|null, created time, used time"},
}

// namedOfTeams are those that have one where there are teams.
var namedOfTeams = []schema{
	{"Membership", "That a user belongs to a team, with a role. `expand` has the team or the user, where who asks may read it",
		"id id, created time, updated time, rev number, team id, user id, role text, expand? object"},
	{"TeamInvitation", "To which team, and to which role there, somebody was invited; `by` is the user who invites, null where it was a key",
		"id id, email text, team id, role text, by id|null, created time, expires time"},
}

// Schemas are those that operations of an app refer to, by name, but for Me: the user's own record.
func Schemas(app *spec.App) *doc.Node {
	list, all := named, doc.NewObject()
	if app.Auth.Teams.On() {
		list = slices.Concat(named, namedOfTeams)
	}
	for _, n := range list {
		s := n.shape.schema(app)
		s.Set("description", doc.NewString(n.text))
		all.Set(n.name, s)
	}
	return all
}

// SecondStep is the schema of the member mfa of a problem.
func SecondStep(app *spec.App) *doc.Node { return shape("Ticket").schema(app) }

var capital = regexp.MustCompile(`^[A-Z][A-Za-z]*$`)

func (s shape) schema(app *spec.App) *doc.Node {
	if capital.MatchString(string(s)) {
		return typeOf(app, string(s))
	}
	n, properties, required := doc.NewObject(), doc.NewObject(), doc.NewArray()
	n.Set("type", doc.NewString("object"))
	for _, m := range s.members() {
		properties.Set(m.name, typeOf(app, m.kind))
		if m.must {
			required.Items = append(required.Items, *doc.NewString(m.name))
		}
	}
	if len(required.Items) > 0 {
		n.Set("required", required)
	}
	n.Set("properties", properties)
	return n
}

type member struct {
	name, kind string
	must       bool
}

func (s shape) members() (list []member) {
	for part := range strings.SplitSeq(string(s), ", ") {
		name, kind, _ := strings.Cut(part, " ")
		bare := strings.TrimSuffix(name, "?")
		list = append(list, member{bare, kind, bare == name})
	}
	return list
}

func typeOf(app *spec.App, kind string) *doc.Node {
	n := doc.NewObject()
	is := func(t string) *doc.Node { n.Set("type", doc.NewString(t)); return n }
	formatted := func(format string) *doc.Node { is("string").Set("format", doc.NewString(format)); return n }
	if inner, ok := strings.CutSuffix(kind, "|null"); ok {
		n = typeOf(app, inner)
		t, _ := n.Get("type")
		*t = *doc.NewArray(doc.NewString(t.Text), doc.NewString("null"))
		return n
	}
	if strings.HasPrefix(kind, "[") {
		is("array").Set("items", typeOf(app, strings.Trim(kind, "[]")))
		return n
	}
	if capital.MatchString(kind) {
		n.Set("$ref", doc.NewString("#/components/schemas/"+kind))
		return n
	}
	switch kind {
	case "address":
		formatted("email").Set("maxLength", doc.NewInt(maxAddress))
		return n
	case "password":
		formatted("password").Set("minLength", doc.NewInt(int64(app.Auth.Password.MinLength)))
		return n
	case "id", "member", "invitation":
		return formatted("uuid")
	case "time":
		return formatted("date-time")
	case "uri":
		return formatted("uri-reference")
	case "flag":
		return is("boolean")
	case "number":
		is("integer").Set("minimum", doc.NewInt(0))
		return n
	case "object":
		is("object").Set("additionalProperties", doc.NewBool(true))
		return n
	case "text":
		return is("string")
	case "provider":
		kind = strings.Join(providerNames(app), "/")
	}
	words := doc.NewArray()
	for word := range strings.SplitSeq(kind, "/") {
		words.Items = append(words.Items, *doc.NewString(word))
	}
	is("string").Set("enum", words)
	return n
}

func providerNames(app *spec.App) (names []string) {
	for _, p := range app.Auth.Providers {
		names = append(names, p.Name)
	}
	return names
}

// hole is a placeholder of a path.
var hole = regexp.MustCompile(`\{(\w+)\}`)

// parameterTexts say what parameters are.
var parameterTexts = map[string]string{
	"id":                    "Its id, as the list has it",
	"member":                "The id of the user who is one",
	"invitation":            "Its id, as the list has it",
	"cursor":                "The `next` of the page before",
	"provider":              "The name of a provider of the app",
	"return":                "Where the browser goes in the end: a path of the app, or an address at an origin that it trusts. Default: `/`",
	"code_challenge":        "The base64url of the SHA-256 of a verifier (RFC 7636): asks for a code in place of a cookie",
	"code_challenge_method": "How the challenge was made",
	"state":                 "What the flow began with",
	"code":                  "The provider's code",
	"iss":                   "The provider's issuer (RFC 9207)",
	"error":                 "Why the provider has refused (RFC 6749, 4.1.2.1)",
	"user":                  "What Apple tells of a new user",
}

// parameters are those of a route's path and query.
func (r *route) parameters(app *spec.App) (list []Parameter) {
	for _, m := range hole.FindAllStringSubmatch(r.path, -1) {
		list = append(list, Parameter{m[1], "path", parameterTexts[m[1]], true, typeOf(app, m[1])})
	}
	if r.query != "" {
		for _, m := range r.query.members() {
			list = append(list, Parameter{m.name, "query", parameterTexts[m.name], m.must, typeOf(app, m.kind)})
		}
	}
	return list
}
