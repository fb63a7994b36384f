package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Where there are no transactions the rows of the log of changes are written with the record that they tell of, in its
// document, and moved from there (driver.Carrier). What is changed in a document is changed at once, so that neither is
// without the other.
//
// A record that is deleted leaves an emptied document, in which its last rows wait. It has no field of a record, least of
// all a revision: no index has it, no change finds it, and every query passes it over (lives, and plan.alone). A record that is created
// under the same id takes its place.

// Fields of a document that no reader sees.
const (
	rowsField = "_rows"  // the rows that wait, by their names, in the order in which they came
	waiting   = "_waits" // true: there are some
	emptied   = "_gone"  // true: the record was deleted
)

// nameField is the name that a row of the log had while it waited.
const nameField = "_name"

// mostPlaced bounds what Place stores. FerretDB 1 takes a hundred documents at a time, and goes on with the next hundred
// behind one that it has refused.
const mostPlaced = 100

var (
	_ driver.Carrier = (*Engine)(nil)
	_ driver.CarryTx = (*single)(nil)
)

// waits is the index of the documents in which rows wait. Others are not in it.
var waits = index{name: waiting, keys: []string{waiting}, partial: true}

// carries says whether deleted records may have left documents.
func (a abilities) carries() bool { return !a.transactions }

// lives is the filter of the documents that are records.
func lives() bson.D { return field(emptied, nil) }

// waited makes the index of a table, if the server can make it: else what waits is looked for in all documents.
func (e *Engine) waited(ctx context.Context, table string) error {
	if !e.can.carries() || !e.can.partial {
		return nil
	}
	return e.server.createIndex(ctx, table, waits)
}

// Carry keeps rows for flush.
func (t *single) Carry(log *spec.Collection, rows []driver.Record) error {
	if t.failed != nil || t.c == nil {
		return t.failed
	}
	t.log, t.rows = log, append(t.rows, rows...)
	return nil
}

// carry adds the rows to what is set in the document.
func (t *single) carry(set bson.D) bson.D {
	for _, r := range t.rows {
		set = append(set, bson.E{Key: rowsField + "." + r[spec.OrdID].Text(), Value: document(t.log, r)[1:]})
	}
	if len(t.rows) > 0 {
		set = append(set, bson.E{Key: waiting, Value: true})
	}
	return set
}

// fresh is a new document.
func (t *single) fresh() bson.D {
	d := document(t.c, t.insert)
	if len(t.rows) == 0 {
		return d
	}
	rows := bson.D{}
	for _, r := range t.rows {
		rows = append(rows, bson.E{Key: r[spec.OrdID].Text(), Value: document(t.log, r)[1:]})
	}
	return append(d, bson.E{Key: rowsField, Value: rows}, bson.E{Key: waiting, Value: true})
}

// anew makes a record of the document that a deleted one has left.
func (t *single) anew() bson.D {
	set := t.carry(document(t.c, t.insert)[1:])
	return bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: field(emptied, "")}}
}

// empty leaves nothing of a record but the rows that wait.
func (t *single) empty() bson.D {
	unset := bson.D{}
	for _, f := range t.c.Fields[1:] {
		unset = append(unset, bson.E{Key: stored(f.Name), Value: ""})
	}
	for _, name := range t.has { // of columns that this version of the app does not know, too
		if !slices.ContainsFunc(unset, func(e bson.E) bool { return e.Key == name }) {
			unset = append(unset, bson.E{Key: name, Value: ""})
		}
	}
	return bson.D{{Key: "$set", Value: t.carry(field(emptied, true))}, {Key: "$unset", Value: unset}}
}

// fields are the names of a document's fields that a record has.
func fields(d bson.Raw) (names []string) {
	elements, err := d.Elements()
	if err != nil {
		return nil
	}
	for _, e := range elements {
		if name := e.Key(); name != "_id" && name != rowsField && name != waiting {
			names = append(names, name)
		}
	}
	return names
}

func (e *Engine) Carried(ctx context.Context, in, log *spec.Collection, most int, yield func(string, []driver.Record) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	q := asked{from: in.Name, filter: field(waiting, true), project: field(rowsField, int32(1)), limit: int64(most)}
	err := e.server.rows(ctx, q, func(d bson.Raw) error {
		var rows []driver.Record
		if inner, ok := d.Lookup(rowsField).DocumentOK(); ok {
			elements, err := inner.Elements()
			if err != nil {
				return fault.Wrap(fault.Internal, "read what waits in "+in.Name, err)
			}
			for _, e := range elements {
				row, ok := e.Value().DocumentOK()
				if !ok {
					return fault.New(fault.Internal, "what waits in a record of %s is no row", in.Name)
				}
				rows = append(rows, rowOf(log, e.Key(), row))
			}
		}
		return yield(string(text(d.Lookup("_id"))), rows)
	})
	return during(ctx, "read what waits", err)
}

// rowOf reads a row that waits. Its fields are no lists.
func rowOf(log *spec.Collection, name string, d bson.Raw) driver.Record {
	r := make(driver.Record, len(log.Fields))
	r[spec.OrdID] = expr.TextOf(name)
	for _, f := range log.Fields[1:] {
		v, err := d.LookupErr(stored(f.Name))
		if err != nil || v.Type == bson.TypeNull {
			continue
		}
		r[f.Ord] = value(f.Kind(), uint8(f.Scale), number64(v), v, func() []byte { return text(v) })
	}
	return r
}

func (e *Engine) Place(ctx context.Context, log *spec.Collection, rows []driver.Record, names []string) (int, error) {
	if len(rows) > mostPlaced || len(rows) != len(names) {
		return 0, fault.New(fault.Internal, "%d rows with %d names are placed at once", len(rows), len(names))
	}
	if err := e.enter(ctx); err != nil {
		return 0, err
	}
	defer e.leave()
	docs := make([]bson.D, len(rows))
	for i, r := range rows {
		docs[i] = append(document(log, r), bson.E{Key: nameField, Value: names[i]})
	}
	n, err := e.server.insertAll(ctx, log.Name, docs)
	if err = during(ctx, "place rows", err); fault.Is(err, fault.Unique) {
		err = nil
	}
	return n, err
}

func (e *Engine) Named(ctx context.Context, log *spec.Collection, after, upTo string, yield func(id, name string) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	q := asked{from: log.Name, filter: field("_id", bson.D{{Key: "$gt", Value: after}, {Key: "$lte", Value: upTo}}), project: field(nameField, int32(1))}
	err := e.server.rows(ctx, q, func(d bson.Raw) error {
		name := string(text(d.Lookup(nameField)))
		if name == "" {
			return nil
		}
		return yield(string(text(d.Lookup("_id"))), name)
	})
	return during(ctx, "read the log", err)
}

// Shed takes the rows away first. What has none any more is looked for by that: nobody counts, and whoever writes in
// between is not overlooked. A deleted record goes whole, and is not made clean: it might be one that another has just begun
// to take away.
func (e *Engine) Shed(ctx context.Context, in *spec.Collection, ids, names []string) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	some := is("_id", "$in", list(ids))
	if len(names) > 0 {
		unset := bson.D{}
		for _, name := range names {
			unset = append(unset, bson.E{Key: rowsField + "." + name, Value: ""})
		}
		if _, err := e.server.update(ctx, in.Name, some, op("$unset", unset), many); err != nil {
			return during(ctx, "shed rows", err)
		}
	}
	none := append(some, bson.E{Key: rowsField, Value: op("$eq", bson.D{})})
	if _, err := e.server.delete(ctx, in.Name, append(none[:2:2], bson.E{Key: emptied, Value: true})); err != nil {
		return during(ctx, "shed rows", err)
	}
	_, err := e.server.update(ctx, in.Name, append(none, lives()...), op("$unset", bson.D{{Key: rowsField, Value: ""}, {Key: waiting, Value: ""}}), many)
	return during(ctx, "shed rows", err)
}

func (e *Engine) Clear(ctx context.Context, log *spec.Collection, upTo string) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	_, err := e.server.delete(ctx, log.Name, is("_id", "$lte", upTo))
	return during(ctx, "clear the log", err)
}
