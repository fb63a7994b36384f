package spec

import (
	"slices"
	"strings"
	"sync"

	"github.com/bluell/plinth/expr"
)

// Nearest finds the one of words that was probably meant: a word of other products that has the same
// meaning, else one that is spelt nearly so; "" when there is none.
func Nearest(word string, words []string) string {
	s, _ := meant(word, words)
	return s
}

// meant is Nearest, and what there is to say about it.
func meant(word string, words []string) (suggestion, why string) {
	if len(word) < 2 || len(word) > 64 || len(words) > 500 {
		return "", ""
	}
	if s := translate(bare(word), words); s.ours != "" {
		return s.ours, s.why
	}
	if s := expr.Nearest(word, words); s != word {
		return s, ""
	}
	return "", ""
}

// translate finds the one of words that another product calls so.
func translate(word string, words []string) synonym {
	for _, s := range synonyms()[word] {
		if slices.Contains(words, s.ours) {
			return s
		}
	}
	return synonym{}
}

// operators are the words of expressions that others call otherwise.
var operators = []string{"&&", "||", "!", "==", "contains", "size", "true", "auth.role", "auth.signedIn", "auth.mfa", "auth.has"}

// bare takes away in what spellings differ: min_length, min-length, minLength.
func bare(word string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(word))
}

// snake spells a name as names are spelt here: firstName is first_name.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			if lower {
				b.WriteByte('_')
			}
			lower = false
			b.WriteRune(r - 'A' + 'a')
			continue
		case r == '-' || r == ' ':
			r = '_'
		}
		lower = r != '_'
		b.WriteRune(r)
	}
	return b.String()
}

// synonym is a word of ours for one of others.
type synonym struct {
	ours string
	why  string // what there is to say beside it
}

// synonyms are words of other products, in small letters and without separators. The first counts that
// fits the place.
var synonyms = sync.OnceValue(func() map[string][]synonym {
	out := map[string][]synonym{}
	for _, s := range synonymsOf {
		for theirs := range strings.FieldsSeq(s.theirs) {
			out[theirs] = append(out[theirs], synonym{s.ours, s.why})
		}
	}
	return out
})

var synonymsOf = []struct{ ours, theirs, why string }{
	// Types.
	{"text", "string str varchar nvarchar char nchar longtext richtext markdown html textarea slug uuid phone tel", ""},
	{"int", "number numeric", "int is for whole numbers, decimal for exact ones like prices, float for measured ones"},
	{"int", "integer smallint int32", ""},
	{"bigint", "long int64 biginteger", ""},
	{"float", "double real", ""},
	{"decimal", "money currency", ""},
	{"bool", "boolean checkbox toggle", ""},
	{"time", "datetime timestamp timestamptz autodate", ""},
	{"enum", "select choice radio dropdown", ""},
	{"ref", "relation reference foreignkey belongsto manytoone pointer link", ""},
	{"list", "array multiselect hasmany manytomany", ""},
	{"json", "object jsonb map dict any", ""},
	{"file", "image attachment upload media blob binary", ""},
	{"email", "mail emailaddress", ""},
	{"url", "uri website", ""},

	// Keys of a field.
	{"required", "notnull nonnull mandatory", ""},
	{"required", "nullable optional null", "a field may be null unless it has required: true"},
	{"default", "defaultvalue", ""},
	{"minLength", "min minlen", ""},
	{"min", "minlength minlen minimum minvalue gte", ""},
	{"max", "maxlength maxlen maximum maxvalue length lte", ""},
	{"maxSize", "maxfilesize size", ""},
	{"max", "size", ""},
	{"pattern", "regex regexp format", ""},
	{"ci", "caseinsensitive ignorecase", ""},
	{"precision", "digits", ""},
	{"scale", "decimals decimalplaces", ""},
	{"values", "options choices enum oneof", ""},
	{"of", "items itemtype element", ""},
	{"inverse", "relatedname backref backpopulates mappedby inversedby", ""},
	{"to", "collection table model target references relatedto", ""},
	{"accept", "mimetypes mimetype mime contenttypes extensions", ""},
	{"hidden", "private", ""},
	{"fixed", "immutable readonly", ""},
	{"set", "computed onupdate", ""},
	{"was", "renamedfrom oldname", ""},
	{"label", "title displayname", ""},

	// Words of a field.
	{"clear", "setnull nullify null", ""},
	{"restrict", "noaction protect deny", ""},
	{"cascade", "delete", ""},
	{"open", "public", ""},

	// Keys of a collection and of its rules.
	{"fields", "columns properties attributes schema", ""},
	{"indexes", "index indices", ""},
	{"validate", "checks constraints validations validators", ""},
	{"access", "rules permissions policies policy acl security", ""},
	{"read", "list view get select listrule viewrule", ""},
	{"read", "public", "read: true opens reading to everyone"},
	{"create", "insert add post createrule", ""},
	{"update", "edit patch put updaterule", ""},
	{"delete", "remove destroy deleterule", ""},
	{"write", "all manage", ""},
	{"rule", "expression expr condition if check", ""},

	// Keys of the app file and its sections.
	{"collections", "tables models entities resources schema", ""},
	{"collection", "table model", ""},
	{"auth", "authentication users login", ""},
	{"mail", "email smtp", ""},
	{"files", "storage uploads", ""},
	{"include", "import imports", ""},
	{"register", "signup registration", ""},
	{"verify", "verification confirm emailverification verifyemail confirmemail", ""},
	{"providers", "oauth oauth2 oidc social", ""},
	{"invite", "invitations", ""},
	{"teams", "organizations organisations orgs workspaces", ""},
	{"accent", "color colour primary primarycolor", ""},

	// Words of expressions.
	{"&&", "and", ""},
	{"||", "or", ""},
	{"!", "not", ""},
	{"==", "is equals", ""},
	{"contains", "like ilike includes", "text.contains(\"part\") looks for a part, startsWith and endsWith for its ends"},
	{"size", "len length count", ""},
	{"true", "public everyone anyone anybody", ""},
	{"auth.role", "role roles", ""},
	{"auth.signedIn", "authenticated signedin loggedin", ""},
	{"auth.mfa", "aal2 twofactor 2fa", ""},
	{"auth.has", "hasrole isrole inrole", ""},
}
