package sqldb

import (
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/spec"
)

// A page continues behind a row: behind it are the rows that are equal in the first keys and come
// later in the next one. Written as one condition, that walks the index from its start; written as
// legs, each an equality on the first keys and a range on the next, every leg starts where it should.
// Keys of one direction with no nulls share one leg, by comparison of rows. Null, the smallest, comes
// last where the order descends and needs a leg of its own there.

// leg is a conjunction, in which some of the sort's keys are null.
type leg struct {
	all  []Piece
	null []int // ordinals
}

// and is a leg with one condition more.
func (l leg) and(p Piece, null ...int) leg {
	return leg{append(l.all[:len(l.all):len(l.all)], p), append(l.null[:len(l.null):len(l.null)], null...)}
}

// page makes the legs of a query's After.
type page struct {
	d      Dialect
	from   *spec.Collection
	sort   []driver.Key
	args   []int
	null   []bool
	column func(ord int) Piece
}

func (p *page) at(i int) Piece {
	return func(w *SQL) { w.Bind(Bind{Arg: p.args[i], Kind: p.from.Fields[p.sort[i].Ord].Kind()}) }
}

func (p *page) nullable(i int) bool { return p.sort[i].Ord >= spec.OrdFirst }

// equal is a leg in which key i is what it is in the row behind which the page begins.
func (p *page) equal(l leg, i int) leg {
	if p.null[i] {
		return p.isNull(l, i)
	}
	return l.and(func(w *SQL) { w.Write(p.column(p.sort[i].Ord), " = ", p.at(i)) })
}

func (p *page) isNull(l leg, i int) leg {
	ord := p.sort[i].Ord
	return l.and(func(w *SQL) { w.Write(p.column(ord), " IS NULL") }, ord)
}

// behind are the legs for the keys from i on.
func (p *page) behind(i int) []leg {
	if i == len(p.sort) {
		return nil
	}
	col := p.column(p.sort[i].Ord)
	if p.null[i] {
		legs := under(p.equal(leg{}, i), p.behind(i+1))
		if !p.sort[i].Desc {
			legs = append(legs, leg{}.and(func(w *SQL) { w.Write(col, " IS NOT NULL") }))
		}
		return legs
	}
	end := i
	for end < len(p.sort) && p.sort[end].Desc == p.sort[i].Desc && !p.null[end] {
		end++
	}
	var legs []leg
	var same leg
	for j := i; j < end; j++ {
		if p.sort[j].Desc && p.nullable(j) {
			legs = append(legs, p.isNull(same, j))
		}
		same = p.equal(same, j)
	}
	legs = append(legs, leg{}.and(p.beyond(i, end)))
	return append(legs, under(same, p.behind(end))...)
}

func under(first leg, rest []leg) []leg {
	for i, l := range rest {
		rest[i] = leg{slices.Concat(first.all, l.all), slices.Concat(first.null, l.null)}
	}
	return rest
}

// beyond says that the keys from i to end, of one direction, are later than the row's, none of them null.
func (p *page) beyond(i, end int) Piece {
	op := " > "
	if p.sort[i].Desc {
		op = " < "
	}
	switch {
	case end-i == 1:
		return func(w *SQL) { w.Write(p.column(p.sort[i].Ord), op, p.at(i)) }
	case p.d.RowValues():
		return func(w *SQL) {
			w.Write("(")
			for j := i; j < end; j++ {
				if j > i {
					w.Write(", ")
				}
				w.Write(p.column(p.sort[j].Ord))
			}
			w.Write(")", op, "(")
			for j := i; j < end; j++ {
				if j > i {
					w.Write(", ")
				}
				w.Write(p.at(j))
			}
			w.Write(")")
		}
	default: // the bound repeats what follows it, for the index
		first, rest := p.column(p.sort[i].Ord), p.beyond(i+1, end)
		return func(w *SQL) {
			w.Write("(", first, op[:2], "= ", p.at(i), " AND (", first, op, p.at(i), " OR (", first, " = ", p.at(i), " AND ", rest, ")))")
		}
	}
}
