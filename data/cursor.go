package data

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A cursor is the sort keys of the last row of a page, signed together with the list they belong to:
// version, keys, MAC. It is opaque to clients and holds nothing they could not see.

const (
	cursorVersion = 1
	cursorMAC     = 16
	maxCursor     = 4096 // characters
)

// appendCursor prints the cursor behind a row with these sort keys.
func (db *DB) appendCursor(dst []byte, q *ListQuery, keys []Value) []byte {
	var buf [256]byte
	b := append(buf[:0], cursorVersion)
	for _, v := range keys {
		b = append(b, byte(v.Kind()))
		switch v.Kind() {
		case expr.Null:
		case expr.Float:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float()))
		case expr.Text, expr.Date, expr.Bytes:
			b = binary.AppendUvarint(b, uint64(len(v.Text())))
			b = append(b, v.Text()...)
		default:
			b = binary.AppendVarint(b, v.Int())
		}
	}
	b = db.signCursor(b, q, b)
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// signCursor appends the MAC of a cursor for the list of q.
func (db *DB) signCursor(dst []byte, q *ListQuery, cursor []byte) []byte {
	m := hmac.New(sha256.New, db.keys.cursor)
	m.Write(cursor)
	word := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		m.Write(n[:])
		m.Write([]byte(s))
	}
	word(q.Collection)
	word(q.Filter)
	word(q.Sort)
	for _, name := range slices.Sorted(maps.Keys(q.Params)) {
		word(name)
		m.Write(q.Params[name].AppendCanonical(nil))
	}
	var sum [sha256.Size]byte
	return append(dst, m.Sum(sum[:0])[:cursorMAC]...)
}

// readCursor puts the keys of q's cursor into args[1:] and says in key which of them are null: that is
// part of the shape.
func (db *DB) readCursor(key []byte, args []Value, q *ListQuery, d *draft) ([]byte, []Value, error) {
	refused := fault.At("cursor", 1, "syntax", "is not a cursor of this list: start again without it")
	if len(q.Cursor) > maxCursor {
		return nil, nil, refused
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) < 1+cursorMAC || b[0] != cursorVersion {
		return nil, nil, refused
	}
	body, mac := b[:len(b)-cursorMAC], b[len(b)-cursorMAC:]
	if !hmac.Equal(mac, db.signCursor(nil, q, body)) {
		return nil, nil, refused
	}
	rest := body[1:]
	for _, k := range d.sort {
		v, n := readKey(rest, d.k.Fields[k.Ord])
		if n <= 0 {
			return nil, nil, refused // signed by another version of the app, whose field had another type
		}
		rest = rest[n:]
		args = append(args, v)
		if v.IsNull() {
			key = append(key, 'n')
		} else {
			key = append(key, 'v')
		}
	}
	return key, args, nil
}

// readKey reads one key of a cursor; n is how long it is, or 0.
func readKey(b []byte, f *spec.Field) (v Value, n int) {
	if len(b) == 0 {
		return v, 0
	}
	kind := expr.Kind(b[0])
	if kind == expr.Null {
		return v, 1
	}
	if kind != f.Kind() {
		return v, 0
	}
	b = b[1:]
	switch kind {
	case expr.Float:
		if len(b) < 8 {
			return v, 0
		}
		return expr.FloatOf(math.Float64frombits(binary.BigEndian.Uint64(b))), 9
	case expr.Text, expr.Date:
		size, w := binary.Uvarint(b)
		if w <= 0 || uint64(len(b)-w) < size {
			return v, 0
		}
		s := string(b[w : w+int(size)])
		if kind == expr.Date {
			return expr.DateOf(s), 1 + w + int(size)
		}
		return expr.TextOf(s), 1 + w + int(size)
	}
	i, w := binary.Varint(b)
	if w <= 0 {
		return v, 0
	}
	switch kind {
	case expr.Bool:
		v = expr.BoolOf(i != 0)
	case expr.Int:
		v = expr.IntOf(i)
	case expr.Bigint:
		v = expr.BigintOf(i)
	case expr.Decimal:
		v = expr.DecimalOf(i, uint8(f.Scale))
	case expr.Time:
		v = expr.TimeOf(i)
	default:
		return v, 0
	}
	return v, 1 + w
}

// afterOf is the driver's form of where a page begins: key says for each sort key whether it is null
// ("-": the list begins at its beginning).
func afterOf(key []byte) *driver.After {
	if len(key) == 0 || key[0] == '-' {
		return nil
	}
	a := &driver.After{Args: make([]int, len(key)), Null: make([]bool, len(key))}
	for i, b := range key {
		a.Args[i], a.Null[i] = i+1, b == 'n'
	}
	return a
}
