package spec

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/expr"
)

// Env answers the expression compiler's questions about the app.
func (a *App) Env() expr.Env { return env{a} }

type env struct{ app *App }

func (e env) Member(collection, name string) (expr.Member, bool) {
	c, ok := e.app.byName[collection]
	if !ok {
		return expr.Member{}, false
	}
	if f, ok := c.byName[name]; ok {
		return expr.Member{
			Name: name, Ord: f.Ord, Type: f.ExprType(), Fold: f.FoldOrd, Key: f.KeyOrd,
			Encrypted: f.Encrypted, Hidden: f.Hidden, JSON: f.Type == JSON || f.Type == File,
		}, true
	}
	if i, ok := c.Inverse(name); ok {
		return expr.Member{
			Name: name, Ord: i.Field.Ord, Inverse: true, RefName: i.Field.Name, Fold: -1, Key: -1,
			Type: expr.Type{Kind: expr.List, Elem: expr.Row, Ref: i.Of.Name},
		}, true
	}
	return expr.Member{}, false
}

func (e env) Members(collection string) []string {
	c, ok := e.app.byName[collection]
	if !ok {
		return nil
	}
	return c.names()
}

// Auth types what a rule may ask of the caller: id, role, signedIn and mfa, where there are teams those that he belongs to, and the
// fields of the user's own record that can be compared.
func (e env) Auth(name string) (expr.Type, bool) {
	switch name {
	case "id":
		return expr.Type{Kind: expr.Text, Ref: e.app.Auth.Collection}, true
	case "signedIn", "mfa":
		return expr.Type{Kind: expr.Bool}, true
	case "role":
		return expr.Type{Kind: expr.Text, Enum: e.app.Roles}, true
	}
	if t := &e.app.Auth.Teams; t.On() {
		as, asked := strings.CutPrefix(name, expr.TeamsAs)
		if name == expr.Teams || asked && slices.Contains(t.Roles, as) {
			return expr.Type{Kind: expr.List, Elem: expr.Text, Ref: t.Collection}, true
		}
	}
	users, ok := e.app.byName[e.app.Auth.Collection]
	if !ok {
		return expr.Type{}, false
	}
	f, ok := users.byName[name]
	if !ok || f.Encrypted || f.Type == JSON || f.Type == File {
		return expr.Type{}, false
	}
	return f.ExprType(), true
}

func (e env) Roles() []string { return e.app.Roles }

func (e env) TeamRoles() []string { return e.app.Auth.Teams.Roles }
