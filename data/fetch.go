package data

import (
	"context"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// set is the rows of one query, printed, and the sets of what is expanded in them.
type set struct {
	more     []*expansion
	buf      []byte
	rows     []setRow
	links    []links          // by expansion
	children []*set           // by expansion
	of       map[string][]int // rows by parent, in their order
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
	out := &set{more: d.more, links: make([]links, len(d.more)), children: make([]*set, len(d.more))}
	if v.per > 0 {
		out.of = map[string][]int{}
	}
	err := rd.Rows(ctx, v.stmt, args, func(cols driver.Columns) error {
		if p != nil && !p.take(len(out.rows), cols) {
			return nil
		}
		if v.per > 0 {
			parent := string(cols.Text(0))
			out.of[parent] = append(out.of[parent], len(out.rows))
		}
		from := len(out.buf)
		var err error
		if out.buf, err = db.appendRow(out.buf, d.k.Collection, v, cols); err != nil {
			return err
		}
		out.rows = append(out.rows, setRow{from, len(out.buf)})
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
	if err != nil {
		return nil, err
	}
	for i, e := range d.more {
		if out.children[i], err = db.fetchChildren(ctx, rd, e, s, out.links[i].texts); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (db *DB) fetchChildren(ctx context.Context, rd driver.Reader, e *expansion, s *expr.Scope, texts []string) (*set, error) {
	if len(texts) == 0 {
		return &set{}, nil
	}
	args := []Value{parents(texts), expr.IntOf(int64(e.limit))}
	v, args, err := e.child.variant(db, s, nil, args)
	if err != nil || v.none {
		return &set{}, err
	}
	return db.fetch(ctx, rd, e.child, v, s, args, nil)
}

// append prints a row with what is expanded in it.
func (s *set) append(dst []byte, row int) []byte {
	r := s.rows[row]
	dst = append(dst, s.buf[r.from:r.to]...)
	if len(s.more) > 0 {
		dst = append(dst, `,"expand":{`...)
		first := true
		for i, e := range s.more {
			texts, child := s.links[i].of(row), s.children[i]
			if e.single && (len(texts) == 0 || len(child.of[texts[0]]) == 0) {
				continue // null and unreadable are both absent
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, e.prefix...)
			if e.single {
				dst = child.append(dst, child.of[texts[0]][0])
				continue
			}
			dst = append(dst, '[')
			n := 0
			for _, text := range texts {
				for _, c := range child.of[text] {
					if n > 0 {
						dst = append(dst, ',')
					}
					dst = child.append(dst, c)
					n++
				}
			}
			dst = append(dst, ']')
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
