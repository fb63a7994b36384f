package data

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Limits of expansions.
const (
	maxDepth     = 3
	maxExpand    = 20  // names in one expand, all levels together
	defaultItems = 30  // of an inverse list
	maxItems     = 100 // of an inverse list
)

// expansion is one name of expand: records that are shown beside a record. It costs one query for
// a whole page, not one for each row; or none, where it is joined.
type expansion struct {
	name   string
	prefix []byte // `"name":`
	link   int    // ordinal of the field whose text (or texts) finds them: a reference, or id
	single bool   // a reference: one object, absent where there is none
	joined bool   // its record comes in the row that refers to it
	child  *draft
	limit  int // items for each parent; 0: as many as there are
}

// expanded is expand, joined as far as it can be to the rows themselves.
func (a *asker) expanded(k *kind, text string) ([]*expansion, error) {
	all, err := a.expand(k, text)
	if err != nil || !a.db.eng.Caps().Joins {
		return all, err
	}
	outputs := 2 * len(k.Fields)
	for _, e := range all {
		if outputs += 2 * len(e.child.cols); outputs > mostOutputs {
			break
		}
		e.joined = e.single && !e.long()
	}
	return all, nil
}

// Databases bound the outputs of a statement: PostgreSQL 1664, SQLite 2000. A field under a rule is two.
const mostOutputs = 1000

// expand reads "author,comments(limit=3,sort=-created,expand=author)".
func (a *asker) expand(k *kind, text string) ([]*expansion, error) {
	if text == "" {
		return nil, nil
	}
	p := &expandParser{text: text}
	words, err := p.words(1)
	if err != nil {
		return nil, err
	}
	if p.at < len(text) {
		return nil, fault.At("expand", p.at+1, "syntax", "unexpected %q", text[p.at])
	}
	return a.expansions(k, words)
}

func (a *asker) expansions(k *kind, words []expandWord) ([]*expansion, error) {
	var all []*expansion
	for i, w := range words {
		for _, before := range words[:i] {
			if before.name == w.name {
				return nil, fault.At("expand", w.at+1, "syntax", "%q is named twice", w.name)
			}
		}
		e, err := a.expansion(k, w)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (a *asker) expansion(k *kind, w expandWord) (*expansion, error) {
	e := &expansion{name: w.name, prefix: []byte(strconv.Quote(w.name) + ":"), limit: w.limit}
	var per driver.Per
	var target string
	if inv, ok := k.Inverse(w.name); ok {
		if !a.enters(k.Collection) || !a.shows(inv.Field, true) {
			return nil, unknown("expand", w.at, w.name)
		}
		e.link, target, per.Ord = spec.OrdID, inv.Of.Name, inv.Field.Ord
		if e.limit == 0 {
			e.limit = defaultItems
		}
	} else {
		f, err := a.field(k.Collection, "expand", w.at, w.name, true)
		if err != nil {
			return nil, err
		}
		if f.To == "" {
			return nil, fault.At("expand", w.at+1, "type", "%q is not a reference", w.name)
		}
		if w.limit != 0 || w.sort != "" {
			return nil, fault.At("expand", w.at+1, "syntax", "limit and sort are for lists that refer here; %q is a reference", w.name)
		}
		e.link, target, per.Ord, e.single = f.Ord, f.To, spec.OrdID, f.Type == spec.Ref
	}
	to, ok := a.db.kinds[target]
	if !ok {
		return nil, unknown("expand", w.at, w.name)
	}
	d := &draft{k: to, where: access(to, a.by, nil), first: 2}
	var err error
	if d.sort, err = a.sort(to.Collection, "expand", w.sortAt, w.sort); err != nil {
		return nil, err
	}
	fields, err := a.fields(to.Collection, "expand", w.fieldsAt, w.fields)
	if err != nil {
		return nil, err
	}
	d.columns(a.by, fields)
	if d.more, err = a.expansions(to, w.more); err != nil {
		return nil, err
	}
	per.Limit = -1
	if e.limit > 0 {
		per.Limit = 1
	}
	d.shape = func(v *variant, q *driver.Query, _ []byte) {
		own := per
		v.per, q.Per = 1, &own
	}
	e.child = d.ready()
	return e, nil
}

// longJoin is how many code points the texts of a joined record may have together: a page whose rows all refer to
// one record has it once for each.
const longJoin = 10_000

// long says that the record of an expansion may be too long to be joined.
func (e *expansion) long() bool {
	n := 0
	for _, c := range e.child.cols {
		switch f := c.field; {
		case f.Type == spec.List, f.Type == spec.JSON, f.Type == spec.File, f.Encrypted && f.MaxLen == 0:
			return true
		case f.Type == spec.Text && f.MaxLen == 0:
			return true
		default:
			n += f.MaxLen
		}
	}
	return n > longJoin
}

// expandWord is one name as it was written.
type expandWord struct {
	name         string
	at           int
	limit        int
	sort, fields string
	sortAt       int // where their texts begin
	fieldsAt     int
	more         []expandWord
}

type expandParser struct {
	text  string
	at    int
	count int
}

func (p *expandParser) fail(format string, args ...any) error {
	return fault.At("expand", p.at+1, "syntax", format, args...)
}

func (p *expandParser) words(depth int) ([]expandWord, error) {
	if depth > maxDepth {
		return nil, p.fail("goes at most %d levels deep", maxDepth)
	}
	var all []expandWord
	for {
		if p.count++; p.count > maxExpand {
			return nil, p.fail("names at most %d expansions", maxExpand)
		}
		w := expandWord{at: p.at}
		w.name = p.name()
		if w.name == "" {
			return nil, p.fail("a name is missing")
		}
		if p.take('(') {
			if err := p.options(&w, depth); err != nil {
				return nil, err
			}
		}
		all = append(all, w)
		if depth > 1 && p.optionNext() || !p.take(',') {
			return all, nil
		}
	}
}

// optionNext says that a comma and an option follow, which belong to what these words are an option of.
func (p *expandParser) optionNext() bool {
	at := p.at
	defer func() { p.at = at }()
	return p.take(',') && p.name() != "" && p.take('=')
}

func (p *expandParser) options(w *expandWord, depth int) error {
	var given []string
	for {
		at := p.at
		key := p.name()
		if !p.take('=') {
			p.at = at
			return p.fail("an option such as limit=3 is missing")
		}
		if slices.Contains(given, key) {
			p.at = at
			return p.fail("%q is given twice", key)
		}
		given = append(given, key)
		switch key {
		case "limit":
			n, err := strconv.Atoi(p.value())
			if err != nil || n < 1 || n > maxItems {
				p.at = at
				return p.fail("limit is between 1 and %d", maxItems)
			}
			w.limit = n
		case "sort":
			w.sortAt = p.at
			w.sort = p.value()
		case "fields":
			w.fieldsAt = p.at
			w.fields = p.value()
		case "expand":
			var err error
			if w.more, err = p.words(depth + 1); err != nil {
				return err
			}
		default:
			p.at = at
			return p.fail("there is no option %q: limit, sort, fields, expand", key)
		}
		if p.take(')') {
			return nil
		}
		if !p.take(',') {
			return p.fail("a ) is missing")
		}
	}
}

// name reads a name.
func (p *expandParser) name() string {
	from := p.at
	for p.at < len(p.text) && (p.text[p.at] >= 'a' && p.text[p.at] <= 'z' || p.text[p.at] >= '0' && p.text[p.at] <= '9' || p.text[p.at] == '_') {
		p.at++
	}
	return p.text[from:p.at]
}

// value reads the value of an option: words separated by commas, up to the next option or the end.
func (p *expandParser) value() string {
	from := p.at
	for p.at < len(p.text) && p.text[p.at] != ')' && p.text[p.at] != '(' {
		if p.text[p.at] == ',' {
			rest := p.text[p.at+1:]
			if i := strings.IndexAny(rest, "=,()"); i >= 0 && rest[i] == '=' {
				break
			}
		}
		p.at++
	}
	return p.text[from:p.at]
}

func (p *expandParser) take(b byte) bool {
	if p.at < len(p.text) && p.text[p.at] == b {
		p.at++
		return true
	}
	return false
}

// parents makes the list argument of an expansion: each text once.
func parents(ids []string) Value {
	sorted := slices.Sorted(slices.Values(ids))
	sorted = slices.Compact(sorted)
	items := make([]Value, len(sorted))
	for i, id := range sorted {
		items[i] = expr.TextOf(id)
	}
	return expr.ListOf(items...)
}
