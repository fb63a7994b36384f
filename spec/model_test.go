package spec

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/expr"
)

func TestExample(t *testing.T) {
	t.Parallel()
	app, err := Load("../examples/agency", testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(app.Collections) < 5 {
		t.Errorf("only %d collections", len(app.Collections))
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, contract)
	want := Server{
		URL: "https://app.example.com", Domains: []string{"example.com"}, HTTP: ":80", HTTPS: ":443",
		ACME:           ACME{Issuer: "https://acme.example.com/directory", Roots: "ca.pem", Email: "ops@example.com", RootsPos: Pos{FileName, 49, 63}},
		CORS:           CORS{Origins: []string{"https://app.example.com"}, Credentials: true},
		Limits:         Limits{Body: 1 << 20, Header: 16 << 10, Timeout: 30 * time.Second, Requests: Rate{100, time.Second}, Streams: 10_000, Connections: 50_000, PerAddress: 10_000},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Operator:       Operator{Listen: "127.0.0.1:9090"},
		Pos:            Pos{FileName, 47, 3},
	}
	if d := cmp.Diff(want, app.Server, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Mail{From: "Agency <hello@example.com>", Pos: Pos{FileName, 56, 7}}, app.Mail); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Files{Store: "disk"}, app.Files); d != "" {
		t.Error(d)
	}
	a := app.Auth
	if a.RoleBy == nil || a.RoleBy.Source != `auth.has("admin")` {
		t.Errorf("roleBy %+v", a.RoleBy)
	}
	a.RoleBy = nil
	wantAuth := Auth{
		On: true, Collection: "users", Register: "open", Verify: "required",
		Expose: []string{"role"}, Password: Password{MinLength: 15}, Sessions: Sessions{Idle: 14 * 24 * time.Hour, Longest: 90 * 24 * time.Hour},
		Passkeys: Passkeys{Domain: "app.example.com", Origins: []string{"https://app.example.com"}},
		Providers: []Provider{
			{Name: "google", Kind: "google", ClientID: "gid", ClientSecret: "hunter2"},
			{Name: "company", Kind: "oidc", Issuer: "https://id.example.com", ClientID: "c", ClientSecret: "s"},
		},
	}
	if d := cmp.Diff([]string{"member", "staff", "admin"}, app.Roles); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(wantAuth, a); d != "" {
		t.Error(d)
	}
}

// Absent sections have defaults, and values are read as their places want them.
func TestDefaults(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, `
server: {http: ":${PORT}", limits: {body: "500", timeout: 7d, requests: 10/30s}, trustedProxies: 127.0.0.1}
spa: True
collections: {posts: {fields: {n: {type: int, max: "120"}, e: {type: enum, values: [yes, no, 1, null]}, m: {type: enum, values: {a: Label A, b: }}}}}
`)
	if app.Name != "app" || app.Auth.On || app.Auth.Collection != "" || app.Files.Store != "disk" {
		t.Errorf("%+v", app)
	}
	s := app.Server
	if !s.SPA || s.HTTP != ":8080" || s.HTTPS != "" || s.Limits.Body != 500 || s.Limits.Header != 16<<10 || s.Limits.Timeout != 7*24*time.Hour ||
		s.Limits.Requests != (Rate{10, 30 * time.Second}) || s.TrustedProxies[0].String() != "127.0.0.1/32" {
		t.Errorf("%+v", s)
	}
	c, _ := app.Collection("posts")
	e, _ := c.Field("e")
	if d := cmp.Diff([]EnumValue{{Value: "yes"}, {Value: "no"}, {Value: "1"}, {Value: "null"}}, e.Values); d != "" {
		t.Error(d)
	}
	m, _ := c.Field("m")
	if d := cmp.Diff([]EnumValue{{"a", "Label A"}, {"b", ""}}, m.Values); d != "" {
		t.Error(d)
	}
	n, _ := c.Field("n")
	if n.Max == nil || n.Max.Int() != 120 {
		t.Errorf("max %+v", n.Max)
	}
}

const everything = `
auth: {roles: [user, staff]}
collections:
  posts:
    was: articles
    fields:
      title: {type: text, required: true, max: 100, ci: true, unique: true, was: name, label: Title}
      phone: {type: text, encrypted: true, unique: true}
      mail:  {type: email, encrypted: true, searchable: true, ci: true}
      notes: {type: text, encrypted: true}
      slug:  {type: text, unique: true, init: slug(title)}
      site:  {type: url}
      price: {type: decimal, precision: 6, scale: 2, min: -1.5, max: "999.99", default: 1}
      when:  {type: date, min: 2020-01-01}
      at:    {type: time, set: now}
      files: {type: file, max: 3, accept: [image/*, application/pdf], maxSize: 2MB}
      meta:  {type: json, default: {b: [1, yes, true, ~, "2"], a: 1.50}}
      tags:  {type: list, of: text, max: 5, default: [a, b]}
      kinds: {type: list, of: enum, values: [x, y]}
      owner: {type: ref, to: users, onDelete: clear, inverse: posts}
      boss:  {type: ref, to: posts, onDelete: cascade, inverse: staff}
      seen:  {type: list, of: ref, to: users, inverse: seen_posts}
    indexes: [[tags], [site], {fields: [title, when], unique: true, where: 'price > "1.00"'}]
    access: {read: true, write: auth.signedIn, delete: auth.has("staff")}
`

func TestFields(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, everything)
	c, _ := app.Collection("posts")
	var names []string
	for i, f := range c.Fields {
		if f.Ord != i {
			t.Errorf("%s has ordinal %d at %d", f.Name, f.Ord, i)
		}
		names = append(names, f.Name)
	}
	const want = "id created updated rev title phone mail notes slug site price when at files meta tags kinds owner boss seen " +
		"title$fold phone$key mail$key title_when_unique$index"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("fields %s\nwant %s", got, want)
	}
	field := func(name string) *Field {
		f, ok := c.Field(name)
		if !ok {
			t.Fatalf("no field %s", name)
		}
		return f
	}
	if f := field("title"); c.Fields[f.FoldOrd].Of != f || f.KeyOrd != -1 || f.Was != "name" || f.Label != "Title" || f.MaxLen != 100 {
		t.Errorf("title %+v", f)
	}
	if f := field("phone"); c.Fields[f.KeyOrd].Companion != Key || f.FoldOrd != -1 || f.Kind() != expr.Bytes {
		t.Errorf("phone %+v", f)
	}
	if f := field("mail"); f.KeyOrd < 0 || f.FoldOrd != -1 {
		t.Errorf("mail %+v: a fold would show an encrypted text", f)
	}
	if f := field("slug"); f.MaxLen != indexedLen || f.Init == nil {
		t.Errorf("slug %+v", f)
	}
	if f := field("site"); f.MaxLen != indexedLen {
		t.Errorf("site %+v", f)
	}
	if f := field("tags"); f.ItemMax != indexedLen || f.MaxLen != 5 || len(f.Default.List()) != 2 {
		t.Errorf("tags %+v", f)
	}
	if f := field("price"); f.Min.Int() != -150 || f.Max.Int() != 99999 || f.Default.Int() != 100 || f.Default.Scale() != 2 {
		t.Errorf("price %+v %v %v", f, f.Min, f.Default)
	}
	if f := field("files"); f.MaxFiles != 3 || f.MaxSize != 2<<20 || len(f.Accept) != 2 {
		t.Errorf("files %+v", f)
	}
	if f := field("meta"); f.Default.Text() != `{"a":1.5,"b":[1,"yes",true,null,"2"]}` && f.Default.Text() != `{"a":1.50,"b":[1,"yes",true,null,"2"]}` {
		t.Errorf("meta %s", f.Default.Text())
	}
	if f := field("owner"); f.OnDelete != Clear || f.To != "users" {
		t.Errorf("owner %+v", f)
	}
	if f := field("at"); f.Set == nil {
		t.Errorf("at %+v", f)
	}

	var indexes []string
	for _, i := range c.Indexes {
		indexes = append(indexes, i.Name)
	}
	if got := strings.Join(indexes, " "); got != "title_unique phone_unique slug_unique tags_index site_index title_when_unique" {
		t.Errorf("indexes %s", got)
	}
	last := c.Indexes[len(c.Indexes)-1]
	if last.Where == nil || last.Key == nil || last.Key.Index != last || last.Key.Companion != Partial || c.Fields[last.Key.Ord] != last.Key {
		t.Errorf("partial index %+v", last)
	}
	if a := c.Access; a.Read == nil || a.Create == nil || a.Create.Source != "auth.signedIn" || a.Update == nil || a.Delete.Source != `auth.has("staff")` {
		t.Errorf("access %+v", a)
	}
	staff, ok := c.Inverse("staff")
	if !ok || staff.Of != c || staff.Field != field("boss") {
		t.Errorf("inverse %+v", staff)
	}
	users, _ := app.Collection("users")
	if i, ok := users.Inverse("seen_posts"); !ok || i.Field != field("seen") {
		t.Errorf("inverse of a list %+v", i)
	}
}

// Users get what sign-in needs, closed to themselves, whatever the app declares.
func TestUsers(t *testing.T) {
	t.Parallel()
	source := func(e *expr.Expr) string {
		if e == nil {
			return "-"
		}
		return e.Source
	}
	describe := func(app *App) string {
		c, ok := app.Collection(app.Auth.Collection)
		if !ok {
			return "none"
		}
		out := c.Name + ":"
		for _, name := range c.ownNames() {
			f, _ := c.Field(name)
			out += " " + name + "(" + source(f.Read) + "; " + source(f.Write) + ")"
		}
		return out
	}
	for _, c := range []struct{ file, want string }{
		{`name: a`, "none"},
		{`collections: {posts: {fields: {by: {type: ref, to: users}}}}`,
			"users: email(id == auth.id; false) verified(id == auth.id; false) role(id == auth.id; false) disabled(false; false)"},
		{`auth: {collection: people, roles: [a, b], expose: [role, email], roleBy: 'auth.has("b")'}`,
			`people: email(-; false) verified(id == auth.id; false) role(-; auth.has("b")) disabled(false; false)`},
		{`collections: {users: {fields: {name: {type: text}}}}`, "users: name(-; -)"},
		{`{auth: {}, collections: {users: {fields: {name: {type: text}, role: {type: enum, values: [user, x], read: "true"}}}}}`,
			"users: name(-; -) role(true; false) email(id == auth.id; false) verified(id == auth.id; false) disabled(false; false)"},
		{`{auth: {}, collections: {users: {fields: {team: {type: text, write: "false"}}, access: {read: auth.team == team}}}}`,
			"users: team(-; false) email(id == auth.id; false) verified(id == auth.id; false) role(id == auth.id; false) disabled(false; false)"},
	} {
		app := mustLoad(t, c.file)
		if got := describe(app); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.file, got, c.want)
		}
	}
	app := mustLoad(t, `auth: {roles: [guest, staff]}`)
	c, _ := app.Collection("users")
	role, _ := c.Field("role")
	if !c.Users || !role.Made || role.Default.Text() != "guest" {
		t.Errorf("role %+v", role)
	}
}

func TestInclude(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		FileName:             {Data: []byte("include: [collections/*.yaml, more.yaml]\ncollections: {posts: {fields: {by: {type: ref, to: people}}}}\n")},
		"collections/b.yaml": {Data: []byte("tags: {fields: {name: {type: text}}}\n")},
		"collections/a.yaml": {Data: []byte("collections:\n  people: {fields: {name: {type: text}}}\n")},
		"more.yaml":          {Data: []byte("mail: {from: a@b.c}\nname: more\n")},
		"other.yaml":         {Data: []byte("wrong: {fields: {}}\n")},
	}
	app, err := LoadFS(files, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range app.Collections {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "posts people tags" || app.Mail.From != "a@b.c" || app.Name != "more" {
		t.Errorf("%s, %+v", got, app)
	}

	files["collections/c.yaml"] = &fstest.MapFile{Data: []byte("posts:\n  fields: {a: {type: txt}}\n")}
	files["more.yaml"] = &fstest.MapFile{Data: []byte("include: [x]\nname: a\nnam: b\n")}
	_, err = LoadFS(files, testEnv)
	const want = `collections/c.yaml:1:1: the collection "posts" is there already, in plinth.yaml on line 2
collections/c.yaml:2:22: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "txt" (did you mean "text"?)
more.yaml:1:10: include stands in plinth.yaml only
more.yaml:3:1: unknown key "nam" in the app file (did you mean "name"?)`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, `{auth: {}, collections: {posts: {fields: {t: {type: text}}}}}`)
	err := app.Extend("auth", []byte("_sessions:\n  fields:\n    user: {type: ref, to: users, onDelete: cascade}\n    hash: {type: text, unique: true}\n    parent: {type: ref, to: _sessions, inverse: children}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := app.Collection("_sessions")
	if !ok || !c.System || app.Collections[len(app.Collections)-1] != c {
		t.Fatalf("%+v", c)
	}
	if _, ok := c.Inverse("children"); !ok {
		t.Error("no inverse")
	}
	before := len(app.Collections)
	err = app.Extend("jobs", []byte("_jobs:\n  fields: {user: {type: ref, to: users, inverse: jobs}}\n  access: {read: true}\njobs: {fields: {}}\n_sessions: {}\n"))
	const want = `jobs:2:50: a collection that Plinth keeps shows nothing in users: remove inverse
jobs:3:11: a collection that Plinth keeps has no access rules
jobs:4:1: "jobs" is not a name for a collection that Plinth keeps: it begins with _
jobs:5:1: the collection "_sessions" is there already, in auth on line 1`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if _, ok := app.Collection("_jobs"); ok || len(app.Collections) != before {
		t.Error("a refused extension leaves collections behind")
	}
}

func TestDerivedNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 40)
	one, two := derived(long, "index"), derived(long, "unique")
	if len(one) != 40 || len(two) != 40 || one == two || !namePattern().MatchString(one) {
		t.Errorf("%s %s", one, two)
	}
	if got := derived("a_b", "index"); got != "a_b_index" {
		t.Error(got)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, `
auth: {roles: [user]}
collections:
  posts:
    fields: {public: {type: bool}}
    access: {read: public, create: true, update: '!auth.signedIn || auth.has("user")', delete: auth.has("user")}
  notes:
    fields: {owner: {type: ref, to: users}}
    access: {read: owner == auth.id, create: false}
`)
	app.Channels = mustLoad(t, `channels: {room: {read: key != "x", write: auth.signedIn}, hall: {read: true, write: 'false', presence: true}}`).Channels
	var got []string
	for _, f := range Open(app) {
		got = append(got, f.String())
	}
	want := []string{
		"plinth.yaml:4:3: posts: read is open to everyone where public",
		"plinth.yaml:4:3: posts: create is open to everyone",
		`plinth.yaml:4:3: posts: update is open to everyone who is not signed in, by !auth.signedIn || auth.has("user")`,
		`plinth.yaml:1:12: channel room: read is open to everyone where key != "x"`,
		"plinth.yaml:1:60: channel hall: read is open to everyone",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What a channel's rules know is its key: a text, or the id of a record into which they look.
func TestChannels(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, `
auth: {roles: [user]}
collections:
  rooms: {fields: {owner: {type: ref, to: users}}}
channels:
  plain: {read: key == null || key.startsWith("a"), write: key == auth.id, presence: true}
  room: {to: rooms, read: key.owner == auth.id, write: key == "x"}
`)
	plain, _ := app.Channel("plain")
	room, ok := app.Channel("room")
	if !ok || !plain.Presence || room.Presence || room.To != "rooms" || plain.To != "" || plain.Read.Walks || !room.Read.Walks {
		t.Errorf("%+v %+v", plain, room)
	}
	if _, ok := app.Channel("hall"); ok {
		t.Error("a channel that is not there is found")
	}
	for _, c := range []struct {
		key  expr.Value
		want bool
	}{{expr.Value{}, true}, {expr.TextOf("ab"), true}, {expr.TextOf("b"), false}} {
		if got, err := expr.Holds(plain.Read.Root, &expr.Scope{Rows: [][]expr.Value{{c.key}}}); err != nil || got != c.want {
			t.Errorf("%v: %v %v", c.key, got, err)
		}
	}
	if got, err := expr.Holds(plain.Write.Root, &expr.Scope{Rows: [][]expr.Value{{{}}}}); err != nil || got {
		t.Errorf("nobody owns the channel without a key: %v %v", got, err)
	}
}

// Passkeys belong to the host of server.url, or to what the app file says; where there is no domain, to nothing.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want Passkeys
	}{
		{`auth: {}`, Passkeys{}},
		{"auth: {}\nserver: {url: 'http://127.0.0.1:8080'}", Passkeys{}},
		{"auth: {}\nserver: {url: 'http://[::1]:8080'}", Passkeys{}},
		{"auth: {}\nserver: {url: 'http://localhost:8080'}", Passkeys{"localhost", []string{"http://localhost:8080"}}},
		{"auth: {}\nserver: {url: 'https://App.Example.com:443/x/'}", Passkeys{"app.example.com", []string{"https://app.example.com"}}},
		{"auth: {passkeys: {domain: example.com, origins: ['https://www.example.com', 'https://example.com:8443']}}\nserver: {url: 'https://app.example.com'}",
			Passkeys{"example.com", []string{"https://app.example.com", "https://www.example.com", "https://example.com:8443"}}},
	} {
		if d := cmp.Diff(c.want, mustLoad(t, c.file).Auth.Passkeys); d != "" {
			t.Errorf("%s: %s", c.file, d)
		}
	}
	if m := mustLoad(t, "auth: {roles: [member, staff], mfa: {required: [staff]}}").Auth.MFA; !slices.Equal(m.Required, []string{"staff"}) {
		t.Error(m)
	}
}
