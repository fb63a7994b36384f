package spec

import (
	"slices"
)

// references finds the collections that a collection's fields refer to, and gives those the
// inverses.
func (l *loader) references(d *draft) {
	for _, fd := range d.fields {
		f := fd.f
		n := fd.s.values["to"]
		if n == nil {
			continue
		}
		to, ok := l.app.byName[n.text]
		if !ok || to.System && !l.system {
			remedy := ""
			if n.text == defaultTeams && !l.app.Auth.Teams.On() {
				remedy = ": write auth: {teams: true}, and people belong to teams"
			}
			l.suggest(n, l.collectionNames(), "ref", "there is no collection %s%s", n.show(), remedy)
			l.broken[member{d.c.Name, f.Name}] = true
			f.To = ""
			continue
		}
		inverse := fd.s.values["inverse"]
		switch {
		case inverse == nil:
		case f.To == "": // its type is not known
			l.broken[member{to.Name, inverse.text}] = true
		default:
			l.inverse(inverse, d.c, f, to)
		}
	}
}

func (l *loader) collectionNames() []string {
	var out []string
	for _, c := range l.app.Collections {
		if c.System == l.system || l.system {
			out = append(out, c.Name)
		}
	}
	return out
}

func (l *loader) inverse(n *node, c *Collection, f *Field, to *Collection) {
	if !l.name(n, "an inverse", slices.Concat(reservedFields, reservedWords)...) {
		l.broken[member{to.Name, n.text}] = true
		return
	}
	if l.system && !to.System {
		l.report(n, "conflict", "a collection that Plinth keeps shows nothing in %s: remove inverse", to.Name)
		return
	}
	if _, ok := to.byName[n.text]; ok {
		l.report(n, "conflict", "%s has a field %s already: give the inverse another name", to.Name, n.show())
		return
	}
	if other, ok := to.Inverse(n.text); ok {
		l.report(n, "conflict", "%s has an inverse %s already, by %s.%s: give this one another name", to.Name, n.show(), other.Of.Name, other.Field.Name)
		return
	}
	to.Inverses = append(to.Inverses, &Inverse{Name: n.text, Of: c, Field: f})
}
