package data

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Change is one committed change of a record of the app.
type Change struct {
	Position   int64 // in the log: dense, from 1, in an order in which each record's changes follow one another
	First      int64 // the position of the first change of the same transaction
	Last       int64 // that of the last: all between them are of it
	At         time.Time
	Op         Op // Create, Update, Delete
	Collection string
	ID         string
	Rev        int64  // of the record after it; of a deleted one before it
	Old, New   Record // plain. Nil before a create, after a delete

	k *kind
}

// Before is the value of a field before the change, After the one after it: null where there is no record, or no such field.
func (c *Change) Before(field string) Value { return c.k.valueOf(c.Old, field) }

// After is the value of a field after the change.
func (c *Change) After(field string) Value { return c.k.valueOf(c.New, field) }

// Size is about how many bytes of memory a change holds.
func (c *Change) Size() int {
	return int(unsafe.Sizeof(*c)) + len(c.ID) + sizeOf(c.Old) + sizeOf(c.New)
}

func sizeOf(values []Value) (n int) {
	for _, v := range values {
		n += int(unsafe.Sizeof(v)) + len(v.Text()) + sizeOf(v.List())
	}
	return n
}

func (k *kind) valueOf(rec Record, name string) (v Value) {
	if f, ok := k.Field(name); ok && rec != nil {
		v = rec[f.Ord]
	}
	return v
}

// The row of a change. Its id is its position (see positionID); until it has one, a time. Its rev is the record's.
//
// old and new are images of the record: objects of its own fields that are not null. Of an update old has only what
// is different, with null where there was nothing.
type changeRow struct{ collection, record, op, old, new int }

func changeRowOf(k *kind) (c changeRow) {
	for name, ord := range map[string]*int{"collection": &c.collection, "record": &c.record, "op": &c.op, "old": &c.old, "new": &c.new} {
		f, _ := k.Field(name)
		*ord = f.Ord
	}
	return c
}

// changed notes a change of a record, which becomes a row of the log at the end of the transaction: old and rec as
// they are stored, nil where there is none.
func (w *work) changed(k *kind, op Op, old, rec Record) {
	is := rec
	if op == Delete {
		is = old
	}
	w.rejoined(k, is)
	w.disabled(k, old, rec)
	log := w.db.changes
	if log == nil || k.System {
		return
	}
	row := make(Record, len(log.k.Fields))
	ms := expr.TimeOf(w.now.UnixMilli())
	row[spec.OrdCreated], row[spec.OrdUpdated], row[spec.OrdRev] = ms, ms, is[spec.OrdRev]
	row[log.row.collection] = expr.TextOf(k.Name)
	row[log.row.record] = is[spec.OrdID]
	row[log.row.op] = expr.TextOf(opWords[op])
	switch op {
	case Create:
		row[log.row.new] = expr.TextOf(string(appendImage(make([]byte, 0, room(rec)), k, rec, nil)))
	case Update: // in one buffer, and one text
		both := appendImage(make([]byte, 0, 2*room(rec)), k, rec, nil)
		n := len(both)
		text := string(appendImage(both, k, old, rec))
		row[log.row.old], row[log.row.new] = expr.TextOf(text[n:]), expr.TextOf(text[:n])
	case Delete:
		row[log.row.old] = expr.TextOf(string(appendImage(make([]byte, 0, room(old)), k, old, nil)))
	}
	w.changes = append(w.changes, row)
}

// revised notes an update. Both states are plain; stored has what has changed as it is stored.
func (w *work) revised(k *kind, old, rec, stored Record) error {
	if !k.sealed || w.db.changes == nil || k.System {
		w.changed(k, Update, old, rec)
		return nil
	}
	was, is := append(Record(nil), old...), append(Record(nil), rec...)
	for _, f := range k.Fields {
		if f.Encrypted && !same(old[f.Ord], rec[f.Ord]) {
			is[f.Ord] = stored[f.Ord]
		}
	}
	if err := w.db.keys.seal(k.Collection, is); err != nil {
		return err
	}
	for _, f := range k.Fields {
		if f.Encrypted && same(old[f.Ord], rec[f.Ord]) {
			was[f.Ord] = is[f.Ord] // sealed once, it is the same
		}
	}
	if err := w.db.keys.seal(k.Collection, was); err != nil {
		return err
	}
	w.changed(k, Update, was, is)
	return nil
}

// record stores the rows of the transaction's changes, which are the last that it stores.
func (w *work) record() error {
	if len(w.changes) == 0 {
		return nil
	}
	log := w.db.changes
	if log.carrier != nil {
		return log.carry(w)
	}
	next := int64(0)
	if log.ordered {
		last, err := log.ends(w)
		if err != nil {
			return err
		}
		next = last + 1
	}
	if log.ordered {
		for i := 0; i < len(w.changes); i += mostTogether {
			number(w.changes[i:min(i+mostTogether, len(w.changes))], next+int64(i))
		}
	} else {
		id := ""
		for i, row := range w.changes {
			if n := i % mostTogether; n == 0 {
				id = w.db.ids.next(time.Now()) // not the clock of the app, which may be anything
			}
			row[spec.OrdID] = expr.TextOf(waitingID(id, i%mostTogether))
		}
	}
	for _, row := range w.changes {
		if err := w.insert(log.k, row); err != nil {
			return err
		}
	}
	if note := w.note(); note != nil {
		*note = next + int64(len(w.changes)) - 1
	}
	w.changes = nil
	w.after = append(w.after, log.committed)
	return nil
}

// ends is the last position, which writes before this one in the same transaction have left.
func (l *changeLog) ends(w *work) (int64, error) {
	if note := w.note(); note != nil && *note > 0 {
		return *note, nil
	}
	return l.last(w.ctx, w.tx)
}

// note is where the last position is left for the next write in the same transaction; nil: nowhere.
func (w *work) note() *int64 {
	if n, ok := w.raw.(driver.Noter); ok && w.db.changes.ordered {
		return n.Note()
	}
	return nil
}

// appendImage prints a record as it is stored; with other, only what is different there.
func appendImage(dst []byte, k *kind, rec, other Record) []byte {
	from := len(dst)
	for _, f := range k.Fields {
		v := rec[f.Ord]
		if f.Companion != spec.Own || other == nil && v.IsNull() || other != nil && same(v, other[f.Ord]) {
			continue
		}
		if len(dst) == from {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, k.prefix[f.Ord]...)
		if v.Kind() == expr.Bytes {
			dst = append(dst, '"')
			dst = base64.StdEncoding.AppendEncode(dst, []byte(v.Text()))
			dst = append(dst, '"')
		} else {
			dst = AppendJSON(dst, v)
		}
	}
	if len(dst) == from {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// change reads a row of the log. It is nil where the model has its collection no more.
func (l *changeLog) change(row Record) (*Change, error) {
	c := &Change{Position: positionOf(row[spec.OrdID].Text()), At: time.UnixMilli(row[spec.OrdCreated].Int()).UTC(),
		Collection: row[l.row.collection].Text(), ID: row[l.row.record].Text(), Rev: row[spec.OrdRev].Int()}
	c.First, c.Last = spanOf(row[spec.OrdID].Text())
	c.Op = Op(slices.Index(opWords[:], row[l.row.op].Text()))
	k := l.db.kinds[c.Collection]
	if k == nil {
		return nil, nil
	}
	c.k = k
	if text := row[l.row.new].Text(); text != "" {
		c.New = make(Record, len(k.Fields))
		if err := l.db.readImage(k, c.New, text); err != nil {
			return nil, err
		}
	}
	if text := row[l.row.old].Text(); text != "" {
		c.Old = make(Record, len(k.Fields))
		copy(c.Old, c.New)
		if err := l.db.readImage(k, c.Old, text); err != nil {
			return nil, err
		}
	}
	for _, rec := range []Record{c.Old, c.New} {
		if rec == nil {
			continue
		}
		if err := l.db.keys.open(k.Collection, rec); err != nil {
			return nil, err
		}
		if err := l.db.keys.companions(k.Collection, rec); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// readImage reads an image into rec. Fields that the model does not have any more are passed over.
func (db *DB) readImage(k *kind, rec Record, text string) error {
	n, err := doc.Parse([]byte(text), doc.Limits{Depth: 128})
	if err != nil {
		return fault.Wrap(fault.Internal, "read a change of "+k.Name, err)
	}
	for i, name := range n.Keys {
		f, ok := k.Field(name)
		if !ok {
			continue
		}
		v := &n.Items[i]
		if f.Encrypted && !v.IsNull() {
			sealed, err := base64.StdEncoding.DecodeString(v.Text)
			if err != nil {
				return fault.Wrap(fault.Internal, "read a change of "+k.Name, err)
			}
			rec[f.Ord] = expr.BytesOf(string(sealed))
			continue
		}
		if rec[f.Ord], err = printedValue(f, v); err != nil {
			return fault.Wrap(fault.Internal, "read a change of "+k.Name+", field "+name, err)
		}
	}
	return nil
}

// AppendChange prints a change for operators: what it is, and the record before and after it, as an operator reads it.
func (db *DB) AppendChange(dst []byte, epoch string, c *Change) ([]byte, error) {
	k := db.kinds[c.Collection]
	dst = doc.AppendString(append(dst, `{"position":`...), Position{epoch, c.Position}.String())
	dst = append(appendTime(append(dst, `,"at":"`...), c.At.UnixMilli()), '"')
	dst = doc.AppendString(append(dst, `,"op":`...), c.Op.String())
	dst = doc.AppendString(append(dst, `,"collection":`...), c.Collection)
	dst = doc.AppendString(append(dst, `,"id":`...), c.ID)
	dst = strconv.AppendInt(append(dst, `,"rev":`...), c.Rev, 10)
	by := Caller{Operator: true}
	var err error
	for _, side := range []struct {
		name string
		rec  Record
	}{{`,"old":`, c.Old}, {`,"new":`, c.New}} {
		if side.rec == nil {
			continue
		}
		if dst, err = db.appendRecord(append(dst, side.name...), &by, k, side.rec, nil); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}
