package sqldb

import (
	"strconv"
	"strings"
)

// SQL is a statement being written: its text and where its arguments come from.
type SQL struct {
	d     Dialect
	text  strings.Builder
	binds []Bind
}

// Write appends text as it is. It is only ever given the words of the language, never values.
func (w *SQL) Write(parts ...any) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			w.text.WriteString(p)
		case int:
			w.text.WriteString(strconv.Itoa(p))
		case Piece:
			p(w)
		case func(*SQL):
			p(w)
		}
	}
}

// Name appends an identifier, quoted.
func (w *SQL) Name(name string) { w.text.WriteString(w.d.Quote(name)) }

// Column appends alias.name.
func (w *SQL) Column(alias, name string) {
	w.text.WriteString(alias)
	w.text.WriteByte('.')
	w.Name(name)
}

// Bind appends a placeholder and remembers what is bound to it.
func (w *SQL) Bind(b Bind) {
	if w.d.Numbered() && b.Arg >= 0 {
		for i, have := range w.binds {
			if have.Arg == b.Arg && have.Item == b.Item && have.As == b.As && have.Scale == b.Scale && have.Kind == b.Kind && have.Elem == b.Elem {
				w.text.WriteString(w.d.Argument(i+1, b.Kind, b.Elem))
				return
			}
		}
	}
	w.binds = append(w.binds, b)
	w.text.WriteString(w.d.Argument(len(w.binds), b.Kind, b.Elem))
}
