package auth

import (
	"net/http"
	"net/mail"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// maxForm is how large the body of a request about signing in may be, in bytes.
const maxForm = 64 << 10

// form is the body of a request: what is wrong with it is told at once.
type form struct {
	body  *doc.Node
	taken map[string]bool
	wrong []fault.Field
}

func readForm(w http.ResponseWriter, r *http.Request) (*form, error) {
	body, err := web.ReadJSON(w, r, maxForm, web.PlainJSON)
	if err != nil {
		return nil, err
	}
	if body.Kind != doc.Object {
		return nil, fault.New(fault.BadRequest, "the body must be a JSON object")
	}
	return &form{body: body.Node, taken: map[string]bool{}}, nil
}

// readToken reads a body that is {token, password}, of which the password need not be there.
func readToken(w http.ResponseWriter, r *http.Request) (token, password string, err error) {
	f, err := readForm(w, r)
	if err != nil {
		return "", "", err
	}
	token, password = f.text("token"), f.maybe("password")
	return token, password, f.err()
}

func (f *form) add(name, code, message string) {
	f.wrong = append(f.wrong, fault.Field{Pointer: fault.Pointer(name), Code: code, Message: message})
}

// text takes a text, which must be there.
func (f *form) text(name string) string {
	n, ok := f.take(name)
	switch {
	case !ok || n.IsNull():
		f.add(name, "required", "is required")
	case n.Kind != doc.String:
		f.add(name, "type", "must be a text")
	case n.Text == "":
		f.add(name, "required", "is empty")
	default:
		return n.Text
	}
	return ""
}

// maxAddress is the longest address of mail, in bytes (RFC 5321, 4.5.3.1.3).
const maxAddress = 254

// address takes an address of mail, as a user's record may have it.
func (f *form) address(name string) string {
	text := f.text(name)
	if a, err := mail.ParseAddress(text); text != "" && (err != nil || a.Address != text || len(text) > maxAddress || !data.ValidEmail(text)) {
		f.add(name, "pattern", "must be an e-mail address")
	}
	return text
}

// flag takes true or false; absent is false.
func (f *form) flag(name string) bool {
	n, ok := f.take(name)
	if ok && n.Kind != doc.Bool && !n.IsNull() {
		f.add(name, "type", "must be true or false")
	}
	return ok && n.Bool
}

func (f *form) take(name string) (*doc.Node, bool) {
	f.taken[name] = true
	return f.body.Get(name)
}

// rest is what was not taken.
func (f *form) rest() *doc.Node {
	rest := doc.NewObject()
	for i, name := range f.body.Keys {
		if !f.taken[name] {
			rest.Set(name, &f.body.Items[i])
			f.taken[name] = true
		}
	}
	return rest
}

// err is what is wrong with the form. What nobody has taken should not be there.
func (f *form) err() error {
	for _, name := range f.body.Keys {
		if !f.taken[name] {
			f.add(name, "unknown", "there is no such field")
		}
	}
	if len(f.wrong) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Fields: f.wrong}
}

// mayForm is readForm where there need be no body.
func mayForm(w http.ResponseWriter, r *http.Request) (*form, error) {
	if r.ContentLength == 0 {
		return &form{body: doc.NewObject(), taken: map[string]bool{}}, nil
	}
	return readForm(w, r)
}

// maybe takes a text that need not be there.
func (f *form) maybe(name string) string {
	if n, ok := f.body.Get(name); !ok || n.IsNull() {
		f.taken[name] = true
		return ""
	}
	return f.text(name)
}

// object takes a JSON object, which must be there, as it is written.
func (f *form) object(name string) []byte {
	n, ok := f.take(name)
	switch {
	case !ok || n.IsNull():
		f.add(name, "required", "is required")
	case n.Kind != doc.Object:
		f.add(name, "type", "must be an object")
	default:
		return n.Append(nil)
	}
	return nil
}
