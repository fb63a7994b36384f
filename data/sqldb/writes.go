package sqldb

import (
	"encoding/binary"
	"sync"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Writer is what differs in the statements that write rows.
type Writer interface {
	Dialect
	// Tells ends a statement that changes rows of a collection; "" where nothing is asked of it.
	Tells() string
	// Delete deletes the rows that have the bound value, or one of the bound values, in a column.
	Delete(table, column string) string
	// Fill puts items of a list and the id of its record into its side table, each item once. What is bound
	// is a list or an item, then the id.
	Fill(side string, elem expr.Kind) string
}

// Served is what an engine serves: the app's collections and the statements that write them.
type Served struct {
	Collections []*spec.Collection
	d           Writer
	tables      map[*spec.Collection]*Writes
}

// Writes are the statements that write one collection.
type Writes struct {
	Insert, Delete string
	Sides          []Side

	c  *spec.Collection
	d  Writer
	mu sync.RWMutex
	// updates are by the ordinals that are set, inserts by how many rows they have.
	updates map[string]updates
	inserts map[int]string
}

// Side is the side table of a list: its name, the list's ordinal and kind, and the statements that write it.
type Side struct {
	Name         string
	Ord          int
	Elem         expr.Kind
	Fill, Delete string
}

// NewServed makes the statements for an app's collections; nil serves none.
func NewServed(d Writer, app *spec.App) *Served {
	s := &Served{d: d, tables: map[*spec.Collection]*Writes{}}
	if app == nil {
		return s
	}
	s.Collections = app.Collections
	for _, c := range app.Collections {
		s.tables[c] = newWrites(d, c)
	}
	return s
}

// Writes finds the statements for a collection; one of a former app has them made again.
func (s *Served) Writes(c *spec.Collection) *Writes {
	if w := s.tables[c]; w != nil {
		return w
	}
	return newWrites(s.d, c)
}

func newWrites(d Writer, c *spec.Collection) *Writes {
	w := &Writes{c: c, d: d, Delete: d.Delete(c.Name, "id") + d.Tells(), updates: map[string]updates{}, inserts: map[int]string{}}
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = f.Name
		if HasSide(c, f) {
			side := SideTable(c.Name, f.Name)
			w.Sides = append(w.Sides, Side{side, f.Ord, f.Elem.Kind(), d.Fill(side, f.Elem.Kind()), d.Delete(side, "id")})
		}
	}
	w.Insert = Insert(d, c.Name, names) + d.Tells()
	return w
}

// Inserts is the statement that inserts n rows, for a few n: with RowNumber behind the fields of each, where there is
// such a column.
func (w *Writes) Inserts(n int) string {
	w.mu.RLock()
	text, ok := w.inserts[n]
	w.mu.RUnlock()
	if !ok {
		names := make([]string, len(w.c.Fields))
		for i, f := range w.c.Fields {
			names[i] = f.Name
		}
		if number := w.d.RowNumber(); number != "" {
			names = append(names, number)
		}
		text = InsertSome(w.d, w.c.Name, names, n) + w.d.Tells()
		w.mu.Lock()
		w.inserts[n] = text
		w.mu.Unlock()
	}
	return text
}

// keptUpdates bounds the sets of fields whose statements are kept: few are ever changed together.
const keptUpdates = 256

// updates set the same fields: of the row with an id and rev, and of the one that has the number of its id too.
type updates struct{ any, numbered string }

// Update is the statement that sets some fields.
func (w *Writes) Update(ords []int) string { return w.update(ords).any }

// NumberedUpdate is Update with RowNumber bound last, where there is such a column. It changes nothing where the
// row with this id has another number.
func (w *Writes) NumberedUpdate(ords []int) string { return w.update(ords).numbered }

func (w *Writes) update(ords []int) updates {
	var buf [64]byte
	key := buf[:0]
	for _, ord := range ords {
		key = binary.AppendUvarint(key, uint64(ord))
	}
	w.mu.RLock()
	text, ok := w.updates[string(key)]
	w.mu.RUnlock()
	if ok {
		return text
	}
	names := make([]string, len(ords))
	for i, ord := range ords {
		names[i] = w.c.Fields[ord].Name
	}
	text.any = Update(w.d, w.c.Name, names, "id", "rev") + w.d.Tells()
	if n := w.d.RowNumber(); n != "" {
		text.numbered = Update(w.d, w.c.Name, names, "id", "rev", n) + w.d.Tells()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.updates) >= keptUpdates {
		w.updates = map[string]updates{}
	}
	w.updates[string(key)] = text
	return text
}
