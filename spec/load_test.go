package spec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// contract is the example of CONTRACT sections 2, 5 and 8 in one file.
const contract = `name: agency
auth:
  collection: users             # the default
  roles: [member, staff, admin] # the first is the default
  register: open
  verify: required
  roleBy: auth.has("admin")     # who may PATCH role
  expose: [role]
  password: {minLength: 15}
  providers:
    google: {clientId: "${GOOGLE_ID}", clientSecret: "${GOOGLE_SECRET}"}
    company: {kind: oidc, issuer: "https://id.example.com", clientId: c, clientSecret: "${COMPANY:-s}"}
collections:
  clients:
    label: name
    fields:
      name:   {type: text, required: true, max: 120}
      email:  {type: email, required: true, ci: true, personal: true}
      phone:  {type: text, max: 40, encrypted: true, personal: true}
      notes:  {type: text, max: 20000, read: 'auth.has("staff")', write: 'auth.has("staff")'}
    access:
      read: auth.has("staff")
      create: true
      update: auth.has("staff")
      delete: auth.has("admin")
  bookings:
    fields:
      client: {type: ref, to: clients, required: true, onDelete: cascade, inverse: bookings}
      taker:  {type: ref, to: users, init: auth.id, fixed: true}
      starts: {type: time, required: true}
      ends:   {type: time, required: true}
      status: {type: enum, values: [requested, confirmed, cancelled], default: requested}
      price:  {type: decimal, precision: 10, scale: 2}
      tags:   {type: list, of: text, max: 20}
      topics: {type: list, of: ref, to: topics, inverse: bookings}
      meta:   {type: json}
    indexes:
      - [status, starts]
      - {fields: [starts], unique: true, where: 'status != "cancelled"', name: one_call_at_a_time}
    validate:
      - {rule: ends > starts, field: ends, message: must be after starts}
    access: {read: 'auth.has("staff")', create: true}
  topics:
    fields: {name: {type: text, required: true, unique: true}}
    access: {read: true}
server:
  url: https://app.example.com                 # for links
  domains: [example.com]
  acme: {issuer: "https://acme.example.com/directory", roots: ca.pem, email: ops@example.com}
  http: ":80"
  https: ":443"
  cors: {origins: ["https://app.example.com"], credentials: true}
  limits: {body: 1MB, header: 16KB, timeout: 30s, requests: 100/s}   # requests: off unless given
  trustedProxies: [10.0.0.0/8]
  operator: {listen: 127.0.0.1:9090}
mail: {from: "Agency <hello@example.com>", smtp: "${SMTP_URL:-}"}
files: {store: disk}
`

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

var testEnv = environment("GOOGLE_ID", "gid", "GOOGLE_SECRET", "hunter2", "EMPTY", "", "PORT", "8080")

// load reads one file as an app.
func load(text string) (*App, error) {
	return LoadFS(fstest.MapFS{FileName: {Data: []byte(text)}}, testEnv)
}

func mustLoad(t *testing.T, text string) *App {
	t.Helper()
	app, err := load(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return app
}

func TestContract(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, contract)
	var got strings.Builder
	for _, c := range app.Collections {
		got.WriteString(c.Name + ":")
		for _, f := range c.Fields[OrdFirst:] {
			got.WriteString(" " + f.Name)
		}
		got.WriteString("\n")
	}
	const want = `clients: name email phone notes email$fold
bookings: client taker starts ends status price tags topics meta one_call_at_a_time$index
topics: name
users: email verified role disabled email$fold
`
	if got.String() != want {
		t.Errorf("collections\n%swant\n%s", got.String(), want)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none"), testEnv); !errors.Is(err, ErrNoFolder) {
		t.Errorf("no folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, testEnv); !errors.Is(err, ErrNoFolder) {
		t.Errorf("a file: %v", err)
	}
	if _, err := Load(dir, testEnv); err == nil || err.Error() != "plinth.yaml:1:1: there is no plinth.yaml in this folder" {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(contract), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := Load(dir, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	// A link does not lead out of the folder.
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(outside, []byte("name: secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "inside")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(inside, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inside, FileName), []byte("include: '*.yaml'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(inside, testEnv); err == nil || err.Error() != `plinth.yaml:1:10: "link.yaml" cannot be read` {
		t.Errorf("a link out of the folder: %v", err)
	}
	if app.Dir != dir || app.Name != "agency" {
		t.Errorf("dir %q, name %q", app.Dir, app.Name)
	}
}
