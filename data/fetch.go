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
	links    []links          // by expansion
	children []*set           // by expansion
	of       map[string]group // rows by parent
	last     []int            // by row: the row of the same parent before it, or -1
}

// group are the rows of one parent: the last, and how many there are.
type group struct{ last, n int }

var sets = sync.Pool{New: func() any { return &set{of: map[string]group{}} }}

func (s *set) release() {
	for _, child := range s.children {
		child.release()
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

type setRow struct{ from, to int }

// links are the texts that an expansion follows, for each row.
type links struct {
	texts []string
	ends  []int // by row: where its texts end
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
		from := len(out.buf)
		var err error
		if out.buf, err = db.appendRow(out.buf, d.k.Collection, v, cols); err != nil {
			return err
		}
		out.rows = append(out.rows, setRow{from, len(out.buf)})
		if p != nil {
			p.took(len(out.rows), len(out.buf), cols)
		} else if len(out.buf) > maxAnswer {
			return tooLong()
		}
		for i, at := range v.links {
			l := &out.links[i]
			switch link := cols.Value(at); link.Kind() {
			case expr.Text:
				l.texts = append(l.texts, link.Text())
			case expr.List:
				for _, item := range link.List() {
					l.texts = append(l.texts, item.Text())
				}
			}
			l.ends = append(l.ends, len(l.texts))
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, err
	}
	for i, e := range d.more {
		child, err := db.fetchChildren(ctx, rd, e, s, out.links[i].texts)
		if err != nil {
			return nil, err
		}
		out.children = append(out.children, child)
	}
	return out, nil
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

// append prints a row with what is expanded in it.
func (s *set) append(dst []byte, row int) ([]byte, error) {
	r := s.rows[row]
	dst = append(dst, s.buf[r.from:r.to]...)
	if len(s.more) > 0 {
		dst = append(dst, `,"expand":{`...)
		first := true
		for i, e := range s.more {
			texts, child := s.links[i].of(row), s.children[i]
			if e.single && (len(texts) == 0 || child.of[texts[0]].n == 0) {
				continue // null and unreadable are both absent
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, e.prefix...)
			if e.single {
				var err error
				if dst, err = child.inside(dst, child.of[texts[0]].last); err != nil {
					return dst, err
				}
				continue
			}
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
