package spec

import (
	"fmt"

	"github.com/bluell/plinth/expr"
)

// Finding is something that is allowed and worth knowing: what is open to people who are not
// signed in.
type Finding struct {
	Pos        Pos    `json:"pos"`
	Collection string `json:"collection"` // or channel:NAME
	Operation  string `json:"operation"`  // read create update delete; of a channel read write
	Message    string `json:"message"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.Pos.File, f.Pos.Line, f.Pos.Column, f.Message)
}

// Open lists the operations that are open to everyone, and those that the caller has no part in
// deciding, which are open wherever the record says so.
func Open(app *App) []Finding {
	var out []Finding
	for _, c := range app.Collections {
		if c.System {
			continue
		}
		for _, o := range []struct {
			name string
			rule *expr.Expr
		}{{"read", c.Access.Read}, {"create", c.Access.Create}, {"update", c.Access.Update}, {"delete", c.Access.Delete}} {
			if why := opened(o.rule); why != "" {
				out = append(out, Finding{c.Pos, c.Name, o.name, c.Name + ": " + o.name + " is open to " + why})
			}
		}
	}
	for _, c := range app.Channels {
		for _, o := range []struct {
			name string
			rule *expr.Expr
		}{{"read", c.Read}, {"write", c.Write}} {
			if why := opened(o.rule); why != "" {
				out = append(out, Finding{c.Pos, "channel:" + c.Name, o.name, "channel " + c.Name + ": " + o.name + " is open to " + why})
			}
		}
	}
	return out
}

// opened says to whom a rule gives way who is not signed in, or "".
func opened(rule *expr.Expr) string {
	if rule == nil {
		return ""
	}
	if !rule.Record && !rule.Input {
		ok, err := expr.Holds(rule.Root, &expr.Scope{Auth: nobody{}})
		switch {
		case err != nil || !ok:
			return ""
		case rule.Root.Op == expr.OpLit:
			return "everyone"
		}
		return "everyone who is not signed in, by " + rule.Source
	}
	asks := false
	expr.Walk(rule.Root, func(n *expr.Node) bool {
		asks = asks || n.Op == expr.OpAuth || n.Op == expr.OpHas
		return !asks
	})
	if asks {
		return ""
	}
	return "everyone where " + rule.Source
}

// nobody is a caller who is not signed in.
type nobody struct{}

func (nobody) Field(name string) expr.Value {
	if name == "signedIn" || name == "mfa" {
		return expr.BoolOf(false)
	}
	return expr.Value{}
}

func (nobody) Has(string) bool { return false }
