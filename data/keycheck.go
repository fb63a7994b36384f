package data

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// The journal keeps a value derived from the app's secret. With another secret nothing that is sealed
// could be opened, and new values would be sealed that the right one cannot open: the database is
// refused instead.

// checkOf is what the journal keeps of a secret; "" of none. The secret does not follow from it.
func checkOf(key []byte) (string, error) {
	if len(key) == 0 {
		return "", nil
	}
	b, err := Derive(key, "know the key again")
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:16]), nil
}

func otherKey() error {
	return fault.New(fault.Invalid, "this is not the key that the database is used with: give the right one, in PLINTH_KEY or data/key")
}

// suits refuses a key that is not the one of the database. Without a key there is nothing to compare.
func (j *journal) suits(key []byte) error {
	check, err := checkOf(key)
	if err != nil || check == "" || j.check == "" {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(check), []byte(j.check)) == 0 {
		return otherKey()
	}
	return nil
}

// KeepKey notes the key in a database that has none noted yet, so that another is refused from then on.
// A key that does not open what is sealed there is refused already.
func (m *Migration) KeepKey(ctx context.Context, eng driver.Engine) error {
	if m.keyed || len(m.key) == 0 {
		return nil
	}
	var tokens ids
	j, err := acquire(ctx, eng, tokens.next(time.Now()), time.Now, nil)
	if err != nil {
		return err
	}
	err = j.keepKey(ctx, m.key)
	if e := j.release(context.WithoutCancel(ctx)); err == nil {
		err = e
	}
	m.keyed = err == nil
	return err
}

// keepKey sets the check of a journal that is going to be saved.
func (j *journal) keepKey(ctx context.Context, key []byte) error {
	if err := j.suits(key); err != nil || j.check != "" || len(key) == 0 {
		return err
	}
	keys, err := keyring(key)
	if err != nil {
		return err
	}
	for _, t := range j.shape.Tables {
		for _, col := range t.Columns {
			if err := opens(ctx, j.eng, keys, t, col); err != nil {
				return err
			}
		}
	}
	j.check, err = checkOf(key)
	return err
}

// opens tries one sealed value of a column, if there is one.
func opens(ctx context.Context, eng driver.Engine, keys *Keyring, t *tableShape, col *columnShape) error {
	if col.Plain == nil {
		return nil
	}
	from := collectionOf(t)
	ord := ordinalOf(from, col.Name)
	stmt, err := eng.Prepare(&driver.Query{From: from, Where: notNull(from.Fields[ord]), Sort: byIDs, Limit: 0, Cols: []driver.Col{{Ord: 0}, {Ord: ord}}})
	if err != nil {
		return err
	}
	return eng.Read(ctx, func(r driver.Reader) error {
		return r.Rows(ctx, stmt, []Value{expr.IntOf(1)}, func(cols driver.Columns) error {
			if _, err := openColumn(keys, col, t.Name, string(cols.Text(0)), cols.Value(1)); err != nil {
				return otherKey()
			}
			return nil
		})
	})
}
