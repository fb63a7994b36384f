package auth

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// KeyOptions say what a new key may do: act with a role, or as an operator.
type KeyOptions struct {
	Role     string
	Operator bool
	ReadOnly bool
	Expires  time.Duration // from now; 0: never
	Label    string        // what it is for, for people
}

// Key is an API key without its secret, which nobody knows but whoever was given it.
type Key struct {
	ID       string     `json:"id"`
	Role     string     `json:"role,omitempty"`
	Operator bool       `json:"operator,omitempty"`
	ReadOnly bool       `json:"readOnly,omitempty"`
	Label    string     `json:"label,omitempty"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"`
	Used     *time.Time `json:"used,omitempty"` // to the hour
}

// AddKey makes a key. The token is shown once: only a hash of it is kept.
func (g *Gate) AddKey(ctx context.Context, o KeyOptions) (id, text string, err error) {
	if err := g.checkKey(o); err != nil {
		return "", "", err
	}
	t := g.key.mint(g.clock())
	id = t.recordID()
	body := doc.NewObject()
	body.Set("id", doc.NewString(id))
	body.Set("hash", doc.NewString(t.hash()))
	body.Set("operator", doc.NewBool(o.Operator))
	body.Set("read_only", doc.NewBool(o.ReadOnly))
	if o.Role != "" {
		body.Set("role", doc.NewString(o.Role))
	}
	if o.Label != "" {
		body.Set("label", doc.NewString(o.Label))
	}
	if o.Expires > 0 {
		body.Set("expires", moment(g.clock().Add(o.Expires)))
	}
	if _, err := g.db.Create(ctx, data.System, "_keys", body, data.WriteOptions{Minimal: true}); err != nil {
		return "", "", err
	}
	return id, g.key.text(t), nil
}

func (g *Gate) checkKey(o KeyOptions) error {
	switch {
	case o.Operator && o.Role != "":
		return fault.New(fault.Invalid, "a key has a role or is an operator's, not both")
	case !o.Operator && o.Role == "":
		return fault.New(fault.Invalid, "name the role of the key: %s", rolesOf(g.db.App()))
	case !o.Operator && !hasRole(g.db.App(), o.Role):
		return noRole(g.db.App(), o.Role)
	case o.Expires < 0:
		return fault.New(fault.Invalid, "the key would have expired already")
	case utf8.RuneCountInString(o.Label) > 120:
		return fault.New(fault.Invalid, "the label has more than 120 characters")
	}
	return nil
}

// Keys lists the keys, the oldest first, those that have expired too.
func (g *Gate) Keys(ctx context.Context) ([]Key, error) {
	var keys []Key
	c := &g.keys
	err := each(ctx, g.db, "_keys", func(r data.Record) {
		keys = append(keys, Key{
			ID: r[spec.OrdID].Text(), Role: r[c.role].Text(), Operator: r[c.operator].Bool(), ReadOnly: r[c.readOnly].Bool(),
			Label: r[c.label].Text(), Created: time.UnixMilli(r[spec.OrdCreated].Int()).UTC(),
			Expires: timeOf(r[c.expires]), Used: timeOf(r[c.used]),
		})
	})
	return keys, err
}

// RemoveKey removes a key. Servers that know it forget it within 5 s.
func (g *Gate) RemoveKey(ctx context.Context, id string) error {
	if _, err := g.db.Delete(ctx, data.System, "_keys", id, data.WriteOptions{}); err != nil {
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.BadRequest) {
			return fault.New(fault.NotFound, "there is no key with the id %q", id)
		}
		return err
	}
	g.forget(func(p *pass) bool { return p.caller.Scope == "key:"+id })
	return nil
}

// record finds a record by its id; nil when there is none.
func (g *Gate) record(ctx context.Context, collection, id string) (data.Record, error) {
	return g.first(ctx, collection, "id == param.a", id)
}

// first finds the first record for which a condition holds, of texts param.a and param.b; nil when there is none.
func (g *Gate) first(ctx context.Context, collection, filter string, params ...string) (data.Record, error) {
	q := &data.ListQuery{Collection: collection, Limit: 1, Filter: filter, Params: map[string]*doc.Node{}}
	for i, p := range params {
		q.Params[string(rune('a'+i))] = doc.NewString(p)
	}
	records, _, err := g.db.Records(ctx, data.System, q)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return records[0], nil
}

func hasRole(app *spec.App, role string) bool { return slices.Contains(app.Roles, role) }

func rolesOf(app *spec.App) string {
	if len(app.Roles) == 0 {
		return "the app file names none: add auth: {roles: [...]}"
	}
	return strings.Join(app.Roles, ", ")
}

func noRole(app *spec.App, role string) error {
	return fault.New(fault.Invalid, "there is no role %q among the roles of the app: %s", role, rolesOf(app))
}

func timeOf(v expr.Value) *time.Time {
	if v.IsNull() {
		return nil
	}
	t := time.UnixMilli(v.Int()).UTC()
	return &t
}

// each reads all records of a collection in the order in which they were made.
func each(ctx context.Context, db *data.DB, collection string, yield func(data.Record)) error {
	q := &data.ListQuery{Collection: collection, Limit: 500}
	for {
		records, next, err := db.Records(ctx, data.System, q)
		if err != nil {
			return err
		}
		for _, r := range records {
			yield(r)
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
	}
}
