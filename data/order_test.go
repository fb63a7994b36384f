package data

import (
	"testing"

	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Rows of the log have ids by the clocks of those who made them, and what two processes do in one millisecond may have them the wrong way
// round: then a delete stands before the create of what it deletes. A create of the same id behind a delete is another thing.
func TestOrderOfLives(t *testing.T) {
	t.Parallel()
	app := appOf(t, "  notes: {fields: {n: {type: int}}}\n")
	if err := app.Extend("data", []byte(Collections)); err != nil {
		t.Fatal(err)
	}
	eng := memory.Open()
	migrate(t, app, eng, ApplyOptions{})
	db, err := Open(t.Context(), app, eng, Options{Key: migrateKey})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, k := db.changes, db.kinds["notes"]
	row := func(op Op, made, rev int64) Record {
		rec := make(Record, len(k.Fields))
		rec[spec.OrdID], rec[spec.OrdCreated], rec[spec.OrdUpdated], rec[spec.OrdRev] = expr.TextOf(recordID(1)), expr.TimeOf(made), expr.TimeOf(made), expr.IntOf(rev)
		r := make(Record, len(l.k.Fields))
		r[spec.OrdID] = expr.TextOf(recordID(2))
		r[spec.OrdRev], r[l.row.collection], r[l.row.record], r[l.row.op] = expr.IntOf(rev), expr.TextOf("notes"), expr.TextOf(recordID(1)), expr.TextOf(opWords[op])
		image := expr.TextOf(string(appendImage(nil, k, rec, nil)))
		switch op {
		case Delete:
			r[l.row.old] = image
		default:
			r[l.row.new] = image
		}
		return r
	}
	type life struct {
		op        Op
		made, rev int64
	}
	for _, c := range []struct {
		name      string
		are, want []life
	}{
		{"one life, the wrong way round", []life{{Delete, 1, 1}, {Create, 1, 1}}, []life{{Create, 1, 1}, {Delete, 1, 1}}},
		{"one life with a change", []life{{Delete, 1, 2}, {Create, 1, 1}, {Update, 1, 2}}, []life{{Create, 1, 1}, {Update, 1, 2}, {Delete, 1, 2}}},
		{"two lives", []life{{Delete, 1, 1}, {Create, 2, 1}}, []life{{Delete, 1, 1}, {Create, 2, 1}}},
		{"the second whole", []life{{Delete, 1, 3}, {Create, 2, 1}, {Delete, 2, 1}}, []life{{Delete, 1, 3}, {Create, 2, 1}, {Delete, 2, 1}}},
	} {
		var rows [][]Record
		for _, is := range c.are {
			rows = append(rows, []Record{row(is.op, is.made, is.rev)})
		}
		asked := 0
		rows, err := l.order(rows, func(row Record) (Record, error) { asked++; return row, nil })
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			change, err := l.change(rows[i][0])
			if err != nil {
				t.Fatal(err)
			}
			is := change.New
			if is == nil {
				is = change.Old
			}
			if got := (life{change.Op, is[spec.OrdCreated].Int(), change.Rev}); got != want {
				t.Errorf("%s: %d is %v, want %v", c.name, i, got, want)
			}
		}
		if asked == 0 {
			t.Errorf("%s: nobody looked", c.name)
		}
	}
}
