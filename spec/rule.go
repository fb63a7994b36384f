package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/expr"
)

// rules compiles every expression of a collection.
func (l *loader) rules(d *draft) {
	c := d.c
	if n := d.s.values["access"]; n != nil && n.kind == object {
		a := l.section(n, accessShape)
		rule := func(name string, use expr.Use) *expr.Expr {
			n := a.values[name]
			if n == nil && a.get(name) == nil && name != "read" {
				n = a.values["write"]
			}
			return l.compile(n, c, use)
		}
		c.Access = Access{
			Read: rule("read", expr.InRule), Create: rule("create", expr.InWrite),
			Update: rule("update", expr.InUpdate), Delete: rule("delete", expr.InWrite),
		}
	}
	if n := d.s.values["validate"]; n != nil {
		for _, item := range n.items {
			l.validation(c, l.section(item, validateShape))
		}
	}
	for _, w := range d.where {
		w.index.Where = l.compile(w.where, c, expr.InWhere)
	}
	for _, fd := range d.fields {
		f := fd.f
		if n := fd.s.values["read"]; n != nil {
			f.Read = l.compile(n, c, expr.InRule)
		}
		if n := fd.s.values["write"]; n != nil {
			f.Write = l.compile(n, c, expr.InWrite)
		}
		f.Init, f.Set = l.compileValue(fd.s.values["init"], c, f), l.compileValue(fd.s.values["set"], c, f)
	}
}

func (l *loader) validation(c *Collection, s section) {
	v := Validation{Field: s.text("field"), Message: s.text("message")}
	if v.Message == "" {
		v.Message = "is not valid"
	}
	if n := s.values["field"]; n != nil {
		if f, ok := c.byName[n.text]; !ok || f.Ord < OrdFirst {
			l.suggest(n, c.ownNames(), "unknown", "%s has no field %s", c.Name, n.show())
		}
	}
	if v.Rule = l.compile(s.values["rule"], c, expr.InValidate); v.Rule != nil {
		c.Validate = append(c.Validate, v)
	}
}

func (c *Collection) ownNames() []string {
	var out []string
	for _, f := range c.Fields[OrdFirst:] {
		if f.Companion == Own {
			out = append(out, f.Name)
		}
	}
	return out
}

// compile makes a rule of a node; nil of none, or of one that is wrong.
func (l *loader) compile(n *node, c *Collection, use expr.Use) *expr.Expr {
	if n == nil {
		return nil
	}
	e, err := expr.Compile(n.text, l.app.Env(), c.Name, use)
	return l.compiled(n, c, e, err)
}

// compileValue makes an init or set, whose answer must fit the field.
func (l *loader) compileValue(n *node, c *Collection, f *Field) *expr.Expr {
	if n == nil {
		return nil
	}
	e, err := expr.CompileValue(n.text, l.app.Env(), c.Name, expr.InInit, f.ExprType())
	return l.compiled(n, c, e, err)
}

var words = pattern(`[A-Za-z_][A-Za-z0-9_]*`)

// namesBroken says whether an expression names something broken, in its own collection or in one that a path leads to.
func (l *loader) namesBroken(text string, c *Collection) bool {
	reached := []*Collection{c}
	for _, w := range words().FindAllString(text, -1) {
		if users := l.app.byName[l.app.Auth.Collection]; w == "auth" && users != nil {
			reached = append(reached, users)
		}
		for _, at := range reached {
			if l.broken[member{at.Name, w}] {
				return true
			}
			var to *Collection
			if f, ok := at.byName[w]; ok {
				to = l.app.byName[f.To]
			} else if i, ok := at.Inverse(w); ok {
				to = i.Of
			}
			if to != nil && !slices.Contains(reached, to) {
				reached = append(reached, to)
			}
		}
	}
	return false
}

func (l *loader) compiled(n *node, c *Collection, e *expr.Expr, err error) *expr.Expr {
	if err == nil {
		l.uses(n, e)
		return e
	}
	if l.namesBroken(n.text, c) {
		return nil // what it names was reported where it is declared
	}
	var ee *expr.Error
	switch {
	case n.env != "":
		l.report(n, "rule", "with %s, this expression is not valid", n.show())
	case errors.As(err, &ee):
		code := ee.Code
		if code == "" {
			code = "rule"
		}
		at := min(max(ee.At, 0), len(n.text))
		suggestion, message := ee.Suggest, ee.Msg
		ours, why, ok := idiom(n.text, at)
		if !ok {
			s := translate(strings.ToLower(words().FindString(n.text[at:])), operators)
			ours, why, ok = s.ours, s.why, s.ours != ""
		}
		if ok {
			suggestion = ours
		}
		if why != "" {
			message += ": " + why
		}
		if !l.app.Auth.Teams.On() && strings.Contains(ee.Msg, "auth."+expr.Teams) {
			suggestion, message = "", message+": write auth: {teams: {roles: [member, owner]}}, and people belong to teams"
		}
		l.reportIn(n, at, code, suggestion, message)
	default:
		l.report(n, "rule", "%s", err)
	}
	return nil
}

// authUse is a place where an expression asks for a field of the caller's own record.
type authUse struct {
	name string
	node *node
	at   int
}

func (l *loader) uses(n *node, e *expr.Expr) {
	expr.Walk(e.Root, func(x *expr.Node) bool {
		if x.Op == expr.OpAuth {
			l.authUses = append(l.authUses, authUse{x.Name, n, x.Pos})
		}
		return true
	})
}

// authRules sees to it that what rules believe of a caller is not for the caller to write.
func (l *loader) authRules() {
	users, ok := l.app.byName[l.app.Auth.Collection]
	if !ok {
		return
	}
	for _, u := range l.authUses {
		f, ok := users.byName[u.name]
		if !ok || f.Ord < OrdFirst || f.Write != nil || f.Set != nil || l.broken[member{users.Name, f.Name}] {
			continue
		}
		l.reportIn(u.node, u.at, "rule", "", fmt.Sprintf("auth.%s is asked here, so the field %s of %s must carry a write rule: else users set it themselves", u.name, u.name, users.Name))
	}
}
