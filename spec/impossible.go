package spec

import (
	"github.com/bluell/plinth/expr"
)

// impossible notes the fields for which nobody but operators can create a record that others are to create:
// a value is required, nothing gives one, and no client may write it.
func (l *loader) impossible(d *draft) {
	c := d.c
	if c.System || c.Access.Create == nil || never(c.Access.Create) {
		return
	}
	for _, fd := range d.fields {
		f := fd.f
		if !f.Required || f.Default != nil || f.Init != nil || f.Set != nil || l.broken[member{c.Name, f.Name}] {
			continue
		}
		why := ""
		switch {
		case f.Write != nil && never(f.Write):
			why = "nobody may write it"
		case f.Hidden && f.Write == nil && fd.s.values["write"] == nil:
			why = "it is hidden without a write rule"
		default:
			continue
		}
		l.app.Notes = append(l.app.Notes, Problem{f.Pos.File, f.Pos.Line, f.Pos.Column, "closed",
			c.Name + "." + f.Name + " is required and " + why + ": only operators can create a record; give it a default, init or set", ""})
	}
}

// never says whether a rule is false for everyone.
func never(e *expr.Expr) bool {
	return e.Root.Op == expr.OpLit && !e.Root.Val.Bool()
}
