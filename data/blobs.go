package data

import (
	"context"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// BlobsInUse calls yield with the key of every stored file that a record names, at one moment. What it
// cannot read is an error: a file that is not told may be in use all the same.
func (db *DB) BlobsInUse(ctx context.Context, yield func(blob string)) error {
	if err := db.knowsAll(ctx); err != nil {
		return err
	}
	return db.eng.Read(ctx, func(rd driver.Reader) error {
		for _, c := range db.app.Collections {
			for _, f := range c.Fields {
				if f.Type != spec.File {
					continue
				}
				if err := db.blobsOf(ctx, rd, c, f, yield); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// knowsAll is an error when a column could name files that the app does not know of: a newer app has applied
// its schema, and this one goes on.
func (db *DB) knowsAll(ctx context.Context) error {
	tables, err := db.eng.Inspect(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		c, known := db.app.Collection(t.Name)
		for _, col := range t.Columns {
			if col.Kind != expr.JSON && col.Kind != expr.Bytes {
				continue
			}
			if known {
				if _, ok := c.Field(col.Name); ok {
					continue
				}
			}
			if t.Name != journalTable {
				return fault.New(fault.Conflict, "%s.%s is not in this app file: which files are in use cannot be told", t.Name, col.Name)
			}
		}
	}
	return nil
}

func (db *DB) blobsOf(ctx context.Context, rd driver.Reader, c *spec.Collection, f *spec.Field, yield func(blob string)) error {
	stmt, err := db.eng.Prepare(&driver.Query{From: c, Sort: byIDs, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}, {Ord: f.Ord}}})
	if err != nil {
		return err
	}
	return rd.Rows(ctx, stmt, nil, func(cols driver.Columns) error {
		if cols.Null(1) {
			return nil
		}
		rec := make(Record, len(c.Fields))
		rec[spec.OrdID], rec[f.Ord] = expr.TextOf(string(cols.Text(0))), cols.Value(1)
		if err := db.keys.open(c, rec); err != nil {
			return err
		}
		files, err := storedFiles(rec[f.Ord].Text())
		if err != nil {
			return err
		}
		for _, file := range files {
			yield(file.Blob)
		}
		return nil
	})
}
