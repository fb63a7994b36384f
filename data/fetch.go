package data

import (
	"context"
	"sync"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// set is the rows of one query, printed, and the sets of what is expanded in them. Sets are used
// again: release gives them back.
type set struct {
	more     []*expansion
	buf      []byte
	rows     []setRow
	links    []links          // by expansion, where it is not joined
	children []*set           // by expansion; the rows of a joined one stand beside those of this set
	of       map[string]group // rows by parent
	last     []int            // by row: the row of the same parent before it, or -1
}

// group are the rows of one parent: the last, and how many there are.
type group struct{ last, n int }

var sets = sync.Pool{New: func() any { return &set{of: map[string]group{}} }}

func (s *set) release() {
	for _, child := range s.children {
		if child != nil {
			child.release()
		}
	}
	clear(s.of)
	clear(s.children)
	s.more, s.buf, s.rows, s.last, s.children = nil, s.buf[:0], s.rows[:0], s.last[:0], s.children[:0]
	for i := range s.links {
		clear(s.links[i].texts)
		s.links[i] = links{s.links[i].texts[:0], s.links[i].ends[:0]}
	}
	if cap(s.buf) <= 1<<20 { // an unusually large one is not kept
		sets.Put(s)
	}
}

// newSet takes a set for the rows of d.
func newSet(d *draft) *set {
	s := sets.Get().(*set)
	s.more = d.more
	for len(s.links) < len(d.more) {
		s.links = append(s.links, links{})
	}
	for _, e := range d.more {
		var child *set
		if e.joined {
			child = newSet(e.child)
		}
		s.children = append(s.children, child)
	}
	return s
}

// group says that the next row belongs to a parent.
func (s *set) group(parent []byte) {
	g, ok := s.of[string(parent)]
	if !ok {
		g.last = -1
	}
	s.last = append(s.last, g.last)
	s.of[string(parent)] = group{len(s.rows), g.n + 1}
}

// rowsOf are the rows of a parent, in their order.
func (s *set) rowsOf(parent string) []int {
	g, ok := s.of[parent]
	if !ok {
		return nil
	}
	rows := make([]int, g.n)
	for row, i := g.last, g.n-1; row >= 0; row, i = s.last[row], i-1 {
		rows[i] = row
	}
	return rows
}

// setRow is where a row is printed; nowhere: there is none.
type setRow struct{ from, to int }

func (r setRow) there() bool { return r.to > r.from }

// links are the texts that an expansion follows, for each row.
type links struct {
	texts []string
	ends  []int // by row: where its texts end
}

// add notes what the next row's expansion follows.
func (l *links) add(link Value) {
	switch link.Kind() {
	case expr.Text:
		l.texts = append(l.texts, link.Text())
	case expr.List:
		for _, item := range link.List() {
			l.texts = append(l.texts, item.Text())
		}
	}
	l.ends = append(l.ends, len(l.texts))
}

func (l *links) of(row int) []string {
	from := 0
	if row > 0 {
		from = l.ends[row-1]
	}
	return l.texts[from:l.ends[row]]
}

// fetch reads the rows of a variant, then those of each expansion with one query for all of them.
// p is the page that the rows are of, nil for the rows of an expansion.
func (db *DB) fetch(ctx context.Context, rd driver.Reader, d *draft, v *variant, s *expr.Scope, args []Value, p *page) (*set, error) {
	out := newSet(d)
	err := rd.Rows(ctx, v.stmt, args, func(cols driver.Columns) error {
		if p != nil && p.full {
			p.more = true
			return errEnough
		}
		if v.per > 0 {
			out.group(cols.Text(0))
		}
		if err := db.addRow(out, d, v, cols); err != nil {
			return err
		}
		if p != nil {
			p.took(len(out.rows), len(out.buf), cols)
		} else if len(out.buf) > maxAnswer {
			return tooLong()
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, err
	}
	return out, db.fetchMore(ctx, rd, out, d, s)
}

// addRow prints a row, and the rows joined to it into their sets, and notes what the other expansions follow.
func (db *DB) addRow(out *set, d *draft, v *variant, cols driver.Columns) error {
	from := len(out.buf)
	var err error
	if out.buf, err = db.appendRow(out.buf, d.k.Collection, v, cols); err != nil {
		return err
	}
	out.rows = append(out.rows, setRow{from, len(out.buf)})
	for i, e := range d.more {
		switch child := v.joined[i]; {
		case !e.joined:
			out.links[i].add(cols.Value(v.links[i]))
		case child.none || cols.Null(child.id):
			out.children[i].addNone()
		default:
			if err := db.addRow(out.children[i], e.child, child, cols); err != nil {
				return err
			}
			if len(out.children[i].buf) > maxAnswer {
				return tooLong()
			}
		}
	}
	return nil
}

// addNone says that there is nothing beside the next row.
func (s *set) addNone() {
	s.rows = append(s.rows, setRow{})
	for i := range s.more {
		s.links[i].add(Value{})
	}
}

// fetchMore reads what the expansions of a set's rows follow.
func (db *DB) fetchMore(ctx context.Context, rd driver.Reader, out *set, d *draft, s *expr.Scope) error {
	for i, e := range d.more {
		var err error
		if e.joined {
			err = db.fetchMore(ctx, rd, out.children[i], e.child, s)
		} else {
			out.children[i], err = db.fetchChildren(ctx, rd, e, s, out.links[i].texts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) fetchChildren(ctx context.Context, rd driver.Reader, e *expansion, s *expr.Scope, texts []string) (*set, error) {
	if len(texts) == 0 {
		return newSet(e.child), nil
	}
	args := []Value{parents(texts), expr.IntOf(int64(e.limit))}
	v, args, err := e.child.variant(db, s, nil, args)
	if err != nil {
		return nil, err
	}
	if v.none {
		return newSet(e.child), nil
	}
	return db.fetch(ctx, rd, e.child, v, s, args, nil)
}

func tooLong() error {
	return fault.At("expand", 1, "max", "the answer would be longer than %d MB: ask for fewer records, expansions or fields", maxAnswer>>20)
}

// inside prints a row that is expanded in another. One may be printed many times, so it is here that an
// answer becomes long.
func (s *set) inside(dst []byte, row int) ([]byte, error) {
	if len(dst) > maxAnswer {
		return dst, tooLong()
	}
	return s.append(dst, row)
}

// besides is the row of a single expansion that belongs to a row, -1: none.
func (s *set) besides(expansion, row int) int {
	child := s.children[expansion]
	if s.more[expansion].joined {
		if !child.rows[row].there() {
			return -1
		}
		return row
	}
	texts := s.links[expansion].of(row)
	if len(texts) == 0 || child.of[texts[0]].n == 0 {
		return -1
	}
	return child.of[texts[0]].last
}

// append prints a row with what is expanded in it.
func (s *set) append(dst []byte, row int) ([]byte, error) {
	r := s.rows[row]
	dst = append(dst, s.buf[r.from:r.to]...)
	if len(s.more) > 0 {
		dst = append(dst, `,"expand":{`...)
		first := true
		for i, e := range s.more {
			child := s.children[i]
			one := -1
			if e.single {
				if one = s.besides(i, row); one < 0 {
					continue // null and unreadable are both absent
				}
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, e.prefix...)
			if e.single {
				var err error
				if dst, err = child.inside(dst, one); err != nil {
					return dst, err
				}
				continue
			}
			texts := s.links[i].of(row)
			dst = append(dst, '[')
			n := 0
			for _, text := range texts {
				for _, row := range child.rowsOf(text) {
					if n > 0 {
						dst = append(dst, ',')
					}
					n++
					var err error
					if dst, err = child.inside(dst, row); err != nil {
						return dst, err
					}
				}
			}
			dst = append(dst, ']')
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}
