package expr

// Args makes the arguments of a filter, appended to dst: its lifted literals and its named
// parameters, read as the types they have where they stand. lits are those of the source that
// is asked now, which has the shape of the one that was compiled. param answers for
// param.NAME with a value of type t (ParseText makes one); hash makes the keyed hash of a text
// asked of an encrypted field (Type.Keyed names it). Errors are *Error with the position in
// the source.
func (e *Expr) Args(dst []Value, lits []Literal, param func(name string, t Type) (Value, error), hash func(keyed, text string) (string, error)) ([]Value, error) {
	for i := range e.Params {
		p := &e.Params[i]
		var v Value
		var err error
		pos := p.Pos
		if p.Name == "" {
			pos = lits[p.Literal].Pos
			v, err = readLiteral(lits[p.Literal], p.Neg, p.Type)
		} else {
			v, err = param(p.Name, p.Type)
		}
		if err == nil && p.Type.Keyed != "" {
			v, err = hashed(v, p.Type.Keyed, hash)
		}
		if err != nil {
			return dst, at(err, pos)
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// Computes is an error where a part of a filter that looks at no record cannot be computed with these arguments, at that moment: the
// filter would be refused whenever it is asked then, unless the part does not matter.
func (e *Expr) Computes(args []Value, now int64) (err error) {
	s := &Scope{Params: args, Now: now}
	Walk(e.Root, func(n *Node) bool {
		if err != nil || !n.Op.arithmetic() || freeRows(n) != 0 {
			return err == nil
		}
		_, err = Eval(n, s)
		return false
	})
	return err
}

// hashed is a text, or each text of a list, as its keyed hash.
func hashed(v Value, keyed string, hash func(keyed, text string) (string, error)) (Value, error) {
	switch v.kind {
	case Text:
		h, err := hash(keyed, v.s)
		return TextOf(h), err
	case List:
		items := make([]Value, len(v.List()))
		for i, item := range v.List() {
			h, err := hashed(item, keyed, hash)
			if err != nil {
				return Value{}, err
			}
			items[i] = h
		}
		return ListOf(items...), nil
	}
	return v, nil
}

// Takes says whether the filter names param.NAME.
func (e *Expr) Takes(name string) bool {
	for i := range e.Params {
		if e.Params[i].Name == name {
			return true
		}
	}
	return false
}
