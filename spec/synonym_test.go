package spec

import (
	"slices"
	"strings"
	"testing"
)

// Words of other products are understood where the word of ours stands.
func TestSynonyms(t *testing.T) {
	t.Parallel()
	const field, collection = "collections: {posts: {fields: {a: {%}}}}\n", "collections: {posts: {fields: {a: {type: int}}, %}}\n"
	for _, c := range []struct{ file, theirs, ours string }{
		{field, "type: string", "text"},
		{field, "type: number", "int"},
		{field, "type: integer", "int"},
		{field, "type: boolean", "bool"},
		{field, "type: datetime", "time"},
		{field, "type: timestamp", "time"},
		{field, "type: select", "enum"},
		{field, "type: relation", "ref"},
		{field, "type: ref, collection: posts", "to"},
		{field, "type: enum, options: [a]", "values"},
		{field, "type: enum, choices: [a]", "values"},
		{field, "type: text, minLength: 1", "min"},
		{field, "type: text, max_length: 1", "max"},
		{field, "type: text, nullable: true", "required"},
		{field, "type: ref, to: posts, onDelete: setNull", "clear"},
		{collection, "index: [[a]]", "indexes"},
		{collection, "rules: {read: true}", "access"},
		{collection, "access: {public: true}", "read"},
		{collection, "access: {view: true}", "read"},
		{collection, "access: {read: public}", "true"},
		{collection, "access: {read: authenticated}", "auth.signedIn"},
		{collection, "access: {read: a == 1 and a == 2}", "&&"},
		{collection, "access: {read: a == 1 or a == 2}", "||"},
		{collection, "access: {read: not (a == 1)}", "!"},
		{collection, `access: {read: 'a like "x"'}`, "contains"},
		{collection, `access: {read: 'roles == "x"'}`, "auth.role"},
		{collection, `access: {read: auth.hasRole("user")}`, "auth.has"},
		{"auth: {organizations: true}\n%", "", "teams"},
		{"auth: {pages: {colour: red}}\n%", "", "accent"},
		{"auth: {emailVerification: required}\n%", "", "verify"},
		{"collections: {posts: {fields: {firstName: {type: int}}}}\n%", "", "first_name"},
		{"collections: {blogPosts: {fields: {a: {type: int}}}}\n%", "", "blog_posts"},
		{"collections: {}\n%", "users: {}", "auth"},
		{"auth: {signup: open}\n%", "", "register"},
		{collection, "access: {read: twofactor}", "auth.mfa"},
		{"%", "tables: {}\n", "collections"},
	} {
		_, err := load(strings.Replace(c.file, "%", c.theirs, 1))
		wrong, ok := err.(*Problems)
		if !ok {
			t.Errorf("%s%s: %v", c.file, c.theirs, err)
			continue
		}
		if !slices.ContainsFunc(wrong.List, func(p Problem) bool { return p.Suggestion == c.ours }) {
			t.Errorf("%s: no suggestion %s in\n%v", c.theirs, c.ours, wrong)
		}
	}
}

// Every word of ours in the table is one, and no word of others is suggested instead of itself.
func TestSynonymTable(t *testing.T) {
	t.Parallel()
	ours := slices.Concat(operators, typeNames[:], onDeleteNames[:])
	for _, s := range shapes {
		for _, k := range s.keys {
			ours = append(append(ours, k.name), k.words...)
		}
	}
	for _, s := range synonymsOf {
		if !slices.Contains(ours, s.ours) {
			t.Errorf("%s is not a word of the app file", s.ours)
		}
		for theirs := range strings.FieldsSeq(s.theirs) {
			if bare(theirs) != theirs || theirs == s.ours {
				t.Errorf("%s: %s can never be found", s.ours, theirs)
			}
		}
	}
}
