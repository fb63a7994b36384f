package pages

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/spec"
)

// view is what a page shows.
type view struct {
	Name   string // of the page
	Lang   string
	W      text // what it says
	App    string
	Pages  spec.Pages
	Home   string
	Return string  // where the browser goes in the end
	Query  string  // ?return=…, if there is one: for links to other pages
	Fields []field // what is asked for of who registers
	Own    []field // what an account may have
	Open   bool    // anybody may register
	Teams  bool
	Mail   bool
	Script script
}

// script is what a page's script is told.
type script struct {
	Return   string            `json:"return"`
	Home     string            `json:"home"`
	Users    string            `json:"users"`           // the users' collection
	Teams    string            `json:"teams,omitempty"` // the field that names a team; "": there are none
	TeamsAt  string            `json:"teamsAt,omitempty"`
	Roles    []string          `json:"roles,omitempty"`  // of teams
	Person   string            `json:"person,omitempty"` // the field that names a user
	Domain   string            `json:"domain"`           // that passkeys are for; "" is none
	Shortest int               `json:"shortest"`         // characters of a password
	Lang     string            `json:"lang"`
	Words    map[string]string `json:"words"`
}

func (r *Room) view(name, lang string, words *words, req *http.Request) *view {
	a := &r.app.Auth
	v := &view{Name: name, Lang: lang, W: words.Page, App: r.app.Name, Pages: a.Pages, Home: r.home(), Open: a.Register == "open", Teams: a.Teams.On(), Mail: r.o.Mail}
	if v.Pages.Title != "" {
		v.App = v.Pages.Title
	}
	v.Return = v.Home
	if to := req.URL.Query().Get("return"); inside(to) {
		v.Return, v.Query = to, "?"+url.Values{"return": {to}}.Encode()
	}
	for _, f := range r.fields {
		if f.Asked {
			v.Fields = append(v.Fields, f)
		}
	}
	v.Own = r.fields
	v.Script = script{Return: v.Return, Home: v.Home, Users: a.Collection, Domain: a.Passkeys.Domain, Shortest: a.Password.MinLength, Lang: lang, Words: words.Script}
	if c, ok := r.app.Collection(a.Teams.Collection); ok && a.Teams.On() {
		v.Teams, v.Script.Teams, v.Script.TeamsAt, v.Script.Roles = true, cmp.Or(c.Label, "id"), c.Name, a.Teams.Roles
		if users, ok := r.app.Collection(a.Collection); ok {
			v.Script.Person = cmp.Or(users.Label, "email")
		}
	}
	if v.Script.Domain == "" && r.o.Dev && r.app.Server.URL == "" {
		v.Script.Domain = "localhost"
	}
	return v
}

// secret is a field for a password.
type secret struct {
	ID, Name, Autocomplete, Label, Hint, Show string
	Required                                  bool
}

// secret is a field for a password, as the template password shows it.
func (v *view) secret(name, autocomplete, label, hint string) secret {
	hint = strings.ReplaceAll(hint, "{shortest}", strconv.Itoa(v.Script.Shortest))
	return secret{ID: name, Name: name, Autocomplete: autocomplete, Label: label, Hint: hint, Show: v.W["show"],
		Required: name != "old"} // who signs in by other ways has none
}

// longestReturn is the longest place that a browser is sent to, in bytes.
const longestReturn = 2000

// inside says whether an address is a path of this app, and can be nothing else to any browser: they take a backslash for a
// slash, drop what they do not see, and take what begins with two slashes for another host.
func inside(to string) bool {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || len(to) > longestReturn ||
		strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f && r <= 0xa0 || r == '\ufffd' }) {
		return false
	}
	u, err := url.Parse(to)
	return err == nil && u.Scheme == "" && u.Host == ""
}

// field is a field of a user's record, as a form has it.
type field struct {
	Name, Label  string
	Input        string // the type of its input, or textarea, select, ref
	Type         string // as its value is sent
	Autocomplete string
	Mode         string // inputmode
	Step         string
	Options      []spec.EnumValue
	To, ToLabel  string // ref: the collection, and the field that names its records
	Required     bool
	Asked        bool // of who registers: without it nobody is a user
}

// ours are fields of a user that are not his to fill in, whoever has declared them.
var ours = []string{"email", "verified", "role", "disabled", "anonymous"}

// fieldsOf are the fields that the app has given its users and that a form can have.
func fieldsOf(app *spec.App) (all []field) {
	users, ok := app.Collection(app.Auth.Collection)
	if !ok {
		return nil
	}
	for _, f := range users.Fields[spec.OrdFirst:] {
		if f.Companion != spec.Own || f.Made || f.Set != nil || f.Type == spec.File || slices.Contains(ours, f.Name) {
			continue
		}
		made := field{Name: f.Name, Label: f.Label, Type: f.Type.String(), Autocomplete: autocomplete[f.Name], Required: f.Required,
			Asked: f.Required && f.Default == nil && f.Init == nil}
		if made.Label == "" {
			made.Label = spoken(f.Name)
		}
		made.input(app, f)
		all = append(all, made)
	}
	return all
}

// longText is from how many characters a text has more than one line.
const longText = 200

func (v *field) input(app *spec.App, f *spec.Field) {
	v.Input = "text"
	switch f.Type {
	case spec.Text:
		if f.MaxLen == 0 && f.Pattern == nil && v.Autocomplete == "" || f.MaxLen > longText {
			v.Input = "textarea"
		}
	case spec.Email:
		v.Input = "email"
	case spec.URL:
		v.Input = "url"
	case spec.Int:
		v.Input, v.Step = "number", "1"
	case spec.Float:
		v.Input, v.Step = "number", "any"
	case spec.Bigint:
		v.Mode = "numeric"
	case spec.Decimal:
		v.Mode = "decimal"
	case spec.Bool:
		v.Input = "checkbox"
	case spec.Time:
		v.Input = "datetime-local"
	case spec.Date:
		v.Input = "date"
	case spec.Enum:
		v.Input, v.Options = "select", slices.Clone(f.Values)
		for i := range v.Options {
			if v.Options[i].Label == "" {
				v.Options[i].Label = v.Options[i].Value
			}
		}
	case spec.Ref:
		v.Input, v.To = "ref", f.To
		if c, ok := app.Collection(f.To); ok {
			v.ToLabel = c.Label
		}
	case spec.List, spec.JSON:
		v.Input = "textarea"
	}
	if f.Type == spec.List && f.Elem != spec.Text && f.Elem != spec.Email && f.Elem != spec.URL {
		v.Type = spec.JSON.String()
	}
}

// spoken is what people read for a name without a label: first_name is "First name".
func spoken(name string) string {
	name = strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}

// autocomplete are the names by which browsers know what is asked for (HTML, 4.10.18.7.1).
var autocomplete = map[string]string{
	"name": "name", "given_name": "given-name", "first_name": "given-name", "family_name": "family-name", "last_name": "family-name",
	"nickname": "nickname", "company": "organization", "organization": "organization", "phone": "tel", "tel": "tel",
	"website": "url", "birthday": "bday", "street": "street-address", "city": "address-level2", "zip": "postal-code", "country": "country-name",
}
