package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told is all that is said of a file.
func told(t *testing.T, file string) string {
	t.Helper()
	app, err := load(file)
	if err != nil {
		return err.Error()
	}
	var notes []string
	for _, n := range app.Notes {
		notes = append(notes, n.String())
	}
	return strings.Join(notes, "\n")
}

// Keys of other products that have no counterpart in their place are told with the remedy, and nothing beside.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	const field, collection = "collections:\n  posts:\n    fields:\n      a: {type: text, max: 9, %}\n", "collections:\n  posts:\n    fields: {a: {type: text, max: 9}}\n    %\n"
	for _, c := range []struct{ file, theirs, want string }{
		{field, "index: true", `4:31: unknown key "index" in a field: indexes stand beside fields: indexes: [[FIELD]] (did you mean "indexes"?)`},
		{field, "help_text: b", `4:31: unknown key "help_text" in a field: label is the name for people; a comment begins with # (did you mean "label"?)`},
		{field, "description: b", `4:31: unknown key "description" in a field: label is the name for people; a comment begins with # (did you mean "label"?)`},
		{field, "primary_key: true", `4:31: unknown key "primary_key" in a field: every record has an id (did you mean "id"?)`},
		{field, "auto: true", `4:31: unknown key "auto" in a field: every record has an id, which is no number; init: EXPRESSION makes a value on create (did you mean "init"?)`},
		{field, "auto_now: true", `4:31: unknown key "auto_now" in a field: write set: now; every record has updated (did you mean "set"?)`},
		{field, "auto_now_add: true", `4:31: unknown key "auto_now_add" in a field: write init: now; every record has created (did you mean "init"?)`},
		{collection, "listRule: a == 1", `4:5: unknown key "listRule" in a collection: write access: {read: …} (did you mean "access"?)`},
		{collection, "viewRule: 'true'", `4:5: unknown key "viewRule" in a collection: write access: {read: …} (did you mean "access"?)`},
		{collection, "createRule: ''", `4:5: unknown key "createRule" in a collection: write access: {create: …} (did you mean "access"?)`},
		{collection, "updateRule: x", `4:5: unknown key "updateRule" in a collection: write access: {update: …} (did you mean "access"?)`},
		{collection, "deleteRule: null", `4:5: unknown key "deleteRule" in a collection: write access: {delete: …} (did you mean "access"?)`},
		{collection, "unique: [[a]]", `4:5: unknown key "unique" in a collection: write indexes: [{fields: [a, b], unique: true}] (did you mean "indexes"?)`},
		{"auth: {%}\n", "enabled: true", `1:8: unknown key "enabled" in auth: with an auth section people sign in: remove it`},
		{"auth: {%}\n", "totp: true", `1:8: unknown key "totp" in auth: everybody may set up an authenticator app; mfa: {required: [ROLE]} says who must (did you mean "mfa"?)`},
		{"auth: {%}\n", "magicLink: true", `1:8: unknown key "magicLink" in auth: codes by mail are there wherever mail is`},
		{"auth: {%}\n", "admins: [a]", `1:8: unknown key "admins" in auth: who runs the app is added by plinth operator add EMAIL`},
		{"auth: {%}\n", "jwt: {}", `1:8: unknown key "jwt" in auth: sessions: {idle: 336h} says how long one is good (did you mean "sessions"?)`},
		{collection, "description: a", `4:5: unknown key "description" in a collection: a comment begins with #`},
		{"collections: {posts: {fields: {a: {type: %}}}}\n", "varchar(20)", `1:42: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "varchar(20)": write max: 20 beside it (did you mean "text"?)`},
		{"collections: {posts: {fields: {a: {type: %}}}}\n", "CHAR(2)", `1:42: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "CHAR(2)": write max: 2 beside it (did you mean "text"?)`},
		{"collections: {posts: {fields: {a: {type: %}}}}\n", "char", `1:42: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "char" (did you mean "text"?)`},
		{"collections: {posts: {fields: {a: {type: %}}}}\n", "'numeric(10,2)'", `1:42: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "numeric(10,2)": write precision: 10, scale: 2 (did you mean "decimal"?)`},
		{"collections: {posts: {fields: {a: {type: ref, to: posts, %}}}}\n", "related_name: kids", `1:58: unknown key "related_name" in a field (did you mean "inverse"?)`},
	} {
		if diff := cmp.Diff("plinth.yaml:"+c.want, told(t, strings.Replace(c.file, "%", c.theirs, 1))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.theirs, diff)
		}
	}
}

// A foreign key is none of ours, and can be found.
func TestForeignTable(t *testing.T) {
	t.Parallel()
	for s, list := range foreignKeys {
		for _, f := range list {
			for theirs := range strings.FieldsSeq(f.theirs) {
				if s.key(theirs) != nil || bare(theirs) != theirs || translate(theirs, s.names()).ours != "" {
					t.Errorf("%s in %s can never be found, or is a synonym too", theirs, s.name)
				}
			}
		}
	}
}

// Expressions of other products are told with what says the same here.
func TestIdioms(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`a == auth.uid()`:            `24: the function uid does not exist (did you mean "auth.id"?)`,
		`a == auth.uid`:              `24: the name auth.uid does not exist (did you mean "auth.id"?)`,
		`a == user.id`:               `19: the name user does not exist (did you mean "auth.id"?)`,
		`request.auth.id == a`:       `14: the name request does not exist (did you mean "auth.id"?)`,
		`request.auth.uid == a`:      `14: the name request does not exist (did you mean "auth.id"?)`,
		`@request.auth.id != ""`:     `14: '@' has no meaning here (did you mean "auth.id"?)`,
		`@request.body.a == "x"`:     `14: '@' has no meaning here: in update, input is the record as it would become; elsewhere its fields stand alone (did you mean "input"?)`,
		`@request.query.a == "x"`:    `14: '@' has no meaning here: auth is whoever asks, and the record's fields stand alone`,
		`a.lower() == "x"`:           `16: the function lower does not exist: a field with ci: true compares without regard to case`,
		`lower(a) == "x"`:            `14: the function lower does not exist: a field with ci: true compares without regard to case`,
		`a.toLowerCase() == "x"`:     `16: the function toLowerCase does not exist: a field with ci: true compares without regard to case`,
		`user.role == "x" || a == 1`: `14: the name user does not exist (did you mean "auth.role"?)`,
	} {
		got := told(t, "auth: {}\ncollections:\n  posts:\n    fields: {a: {type: text}}\n    access:\n      read: '"+expression+"'\n")
		if diff := cmp.Diff("plinth.yaml:6:"+want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expression, diff)
		}
	}
}

// A field that is written one level too shallow is told as that, and nothing that names it is blamed.
func TestStrayFields(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"collections:\n  posts:\n    fields:\n    t: {type: text}\n    n: {type: itn}\n    access: {read: t == \"x\"}\n": `plinth.yaml:4:5: "t" stands beside the keys of a collection: a field stands under fields, so indent it below them
plinth.yaml:5:5: "n" stands beside the keys of a collection: a field stands under fields, so indent it below them
plinth.yaml:5:15: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "itn" (did you mean "int"?)`,
		"collections:\n  posts:\n    t: {type: text}\n    fields: {a: {type: int}}\n    access: {read: t == \"x\" && a > 1}\n": `plinth.yaml:3:5: "t" stands beside the keys of a collection: a field stands under fields, so indent it below them`,
	} {
		if diff := cmp.Diff(want, told(t, file)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// A note says where a field keeps everybody from creating a record.
func TestImpossible(t *testing.T) {
	t.Parallel()
	const remedy = ": only operators can create a record; give it a default, init or set"
	for field, want := range map[string]string{
		"type: text, required: true, write: false":                          "posts.a is required and nobody may write it" + remedy,
		"type: text, required: true, hidden: true":                          "posts.a is required and it is hidden without a write rule" + remedy,
		"type: text, required: true, hidden: true, write: true":             "",
		"type: text, required: true, write: auth.signedIn":                  "",
		"type: text, hidden: true":                                          "",
		"type: text, required: true, write: false, default: x":              "",
		"type: text, required: true, write: false, init: '\"x\"'":           "",
		"type: text, required: true, hidden: true, set: '\"x\"'":            "",
		"type: text, required: true, write: false}, b: {type: int, max: 10": "posts.a is required and nobody may write it" + remedy,
	} {
		if want != "" {
			want = "plinth.yaml:1:32: " + want
		}
		if diff := cmp.Diff(want, told(t, "collections: {posts: {fields: {a: {"+field+"}}, access: {create: true}}}\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
		for _, access := range []string{"", ", access: {read: true}", ", access: {create: false}"} {
			if got := told(t, "collections: {posts: {fields: {a: {"+field+"}}"+access+"}}\n"); got != "" {
				t.Errorf("%s%s: %s", field, access, got)
			}
		}
	}
}
