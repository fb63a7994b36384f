package sqldb

import (
	"encoding/binary"
	"sync"

	"github.com/bluell/plinth/data/driver"
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
	Plain          string // Insert that tells nothing of its transaction
	Sides          []Side

	c  *spec.Collection
	d  Writer
	mu sync.RWMutex
	// updates are by the ordinals that are set, inserts by how many rows they have.
	updates map[string]updates
	inserts map[int]string
	forms   map[Form]string
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
	w := &Writes{c: c, d: d, Delete: d.Delete(c.Name, "id") + d.Tells(), updates: map[string]updates{}, inserts: map[int]string{}, forms: map[Form]string{}}
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = f.Name
		if HasSide(c, f) {
			side := sideTable(c.Name, f.Name)
			w.Sides = append(w.Sides, Side{side, f.Ord, f.Elem.Kind(), d.Fill(side, f.Elem.Kind()), d.Delete(side, "id")})
		}
	}
	w.Plain = insertion(d, c.Name, names, 1, bound(d))
	w.Insert = w.Plain + d.Tells()
	return w
}

// Inserts is the statement that inserts n rows, for a few n: with RowNumber behind the fields of each, where there is
// such a column.
func (w *Writes) Inserts(n int) string {
	w.mu.RLock()
	text, ok := w.inserts[n]
	w.mu.RUnlock()
	if !ok {
		text = insertion(w.d, w.c.Name, w.columns(), n, bound(w.d)) + w.d.Tells()
		w.mu.Lock()
		w.inserts[n] = text
		w.mu.Unlock()
	}
	return text
}

// Computed is Inserts(n) in which a field of the first row is an expression, for databases whose arguments have no numbers.
func (w *Writes) Computed(n, ord int, expression string) string {
	values := bound(w.d)
	return insertion(w.d, w.c.Name, w.columns(), n, func(i int) string {
		if i == ord {
			return expression
		}
		return values(i)
	}) + w.d.Tells()
}

func (w *Writes) columns() []string {
	names := make([]string, len(w.c.Fields))
	for i, f := range w.c.Fields {
		names[i] = f.Name
	}
	if number := w.d.RowNumber(); number != "" {
		names = append(names, number)
	}
	return names
}

// Form is how many rows a statement inserts that refer to how many ids in a collection.
type Form struct {
	Rows  int
	To    string
	IDs   int
	By    int    // the reference that is the id, from spec.OrdFirst; 0: any
	First string // the statement that it follows; "": it follows none
}

// keptForms bounds the statements that are kept by form.
const keptForms = 256

// Kept makes the statement of a form once.
func (w *Writes) Kept(f Form, make func() string) string {
	w.mu.RLock()
	text, ok := w.forms[f]
	w.mu.RUnlock()
	if ok {
		return text
	}
	text = make()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.forms) >= keptForms {
		clear(w.forms)
	}
	w.forms[f] = text
	return text
}

// Referring is the statement that inserts a row if the record is there to whose collection it refers: that one is
// locked to stay, and its id is bound last. The reference with the ordinal by is not bound, but that id; 0: all are
// bound. It tells nothing of its transaction.
func (w *Writes) Referring(to string, by int) string {
	return w.Kept(Form{Rows: 1, To: to, IDs: 1, By: by}, func() string {
		columns, values, bound := "", "", 0
		for i, f := range w.c.Fields {
			if i > 0 {
				columns, values = columns+", ", values+", "
			}
			columns += w.d.Quote(f.Name)
			if by > 0 && i == by {
				values += "r." + w.d.Quote("id")
				continue
			}
			bound++
			values += w.d.Argument(bound, f.Kind(), f.Elem.Kind())
		}
		return "INSERT INTO " + w.d.Quote(w.c.Name) + " (" + columns + ") SELECT " + values + " FROM " + w.d.Quote(to) + " r WHERE r." +
			w.d.Quote("id") + " = " + w.d.Placeholder(bound+1) + w.d.Lock(driver.LockStay)
	})
}

// Following is a statement that changes rows, which has n arguments, and inserts a row for each of them. It tells nothing of
// its transaction.
func (w *Writes) Following(first string, n int) string {
	return w.Kept(Form{Rows: 1, First: first}, func() string {
		columns, values := "", ""
		for i, f := range w.c.Fields {
			if i > 0 {
				columns, values = columns+", ", values+", "
			}
			columns += w.d.Quote(f.Name)
			values += w.d.Argument(n+i+1, f.Kind(), f.Elem.Kind())
		}
		return `WITH "first" AS (` + first + " RETURNING 1) INSERT INTO " + w.d.Quote(w.c.Name) + " (" + columns + ") SELECT " + values + ` FROM "first"`
	})
}

// keptUpdates bounds the sets of fields whose statements are kept: few are ever changed together.
const keptUpdates = 256

// updates set the same fields: of the row with an id and rev, and of the one that has the number of its id too.
// alone sets them of one that was created at a time that is bound last, and tells nothing of its transaction.
type updates struct{ any, numbered, alone string }

// Update is the statement that sets some fields.
func (w *Writes) Update(ords []int) string { return w.update(ords).any }

// NumberedUpdate is Update with RowNumber bound last, where there is such a column. It changes nothing where the
// row with this id has another number.
func (w *Writes) NumberedUpdate(ords []int) string { return w.update(ords).numbered }

// Revision is Update of a record that was created at the time that is bound last. It tells nothing of its transaction.
func (w *Writes) Revision(ords []int) string { return w.update(ords).alone }

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
	text.any = change(w.d, w.c.Name, names, "id", "rev") + w.d.Tells()
	text.alone = change(w.d, w.c.Name, names, "id", "rev", "created")
	if n := w.d.RowNumber(); n != "" {
		text.numbered = change(w.d, w.c.Name, names, "id", "rev", n) + w.d.Tells()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.updates) >= keptUpdates {
		w.updates = map[string]updates{}
	}
	w.updates[string(key)] = text
	return text
}
