package data

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"maps"
	"math"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A cursor is the sort keys of the last row of a page, signed together with the list they belong to:
// form, keys, MAC. Where the keys are long it is the row's id instead, and the keys are looked up. It is
// opaque to clients and holds nothing they could not see.

const (
	cursorOfKeys = 1
	cursorOfID   = 2
	cursorMAC    = 16
	maxKeys      = 512  // bytes of keys in a cursor
	maxCursor    = 1024 // characters
)

// appendCursor prints the cursor behind a row with these sort keys.
func (db *DB) appendCursor(dst []byte, q *ListQuery, keys []Value) []byte {
	var buf [256]byte
	b := append(buf[:0], cursorOfKeys)
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
	if len(b) > maxKeys {
		b = append(append(b[:0], cursorOfID), keys[len(keys)-1].Text()...) // the last key is the id
	}
	b = db.signCursor(b, q, b)
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// cursorSigner makes MACs of cursors. They are kept, for half of the work is what the key makes of a hash.
type cursorSigner struct {
	mac  hash.Hash
	said []byte
}

// signCursor appends the MAC of a cursor for the list of q.
func (db *DB) signCursor(dst []byte, q *ListQuery, cursor []byte) []byte {
	s, _ := db.signers.Get().(*cursorSigner)
	if s == nil {
		s = &cursorSigner{mac: hmac.New(sha256.New, db.keys.cursor)}
	}
	defer db.signers.Put(s)
	s.said = appendWord(s.said[:0], cursor)
	s.said = appendWord(s.said, q.Collection)
	s.said = appendWord(s.said, q.Filter)
	s.said = appendWord(s.said, q.Sort)
	for _, name := range slices.Sorted(maps.Keys(q.Params)) {
		s.said = appendWord(s.said, name)
		s.said = appendWord(s.said, q.Params[name].AppendCanonical(nil))
	}
	s.mac.Reset()
	s.mac.Write(s.said)
	s.said = s.mac.Sum(s.said[:0])
	return append(dst, s.said[:cursorMAC]...)
}

func appendWord[T string | []byte](dst []byte, word T) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(word))), word...)
}

// readCursor puts the keys of q's cursor into args[1:] and says in key which of them are null: that is
// part of the shape.
func (db *DB) readCursor(ctx context.Context, key []byte, args []Value, q *ListQuery, d *draft) ([]byte, []Value, error) {
	refused := fault.At("cursor", 1, "syntax", "is not a cursor of this list: start again without it")
	if len(q.Cursor) > maxCursor {
		return nil, nil, refused
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) < 1+cursorMAC {
		return nil, nil, refused
	}
	body, mac := b[:len(b)-cursorMAC], b[len(b)-cursorMAC:]
	if !hmac.Equal(mac, db.signCursor(nil, q, body)) {
		return nil, nil, refused
	}
	keys, err := db.cursorKeys(ctx, body, d)
	if err != nil {
		return nil, nil, err
	}
	if keys == nil {
		return nil, nil, refused
	}
	for _, v := range keys {
		args = append(args, v)
		if v.IsNull() {
			key = append(key, 'n')
		} else {
			key = append(key, 'v')
		}
	}
	return key, args, nil
}

// cursorKeys are the sort keys that a cursor holds or stands for; nil when they cannot be told: the
// row is gone, or a field has another type since.
func (db *DB) cursorKeys(ctx context.Context, body []byte, d *draft) ([]Value, error) {
	keys := make([]Value, 0, len(d.sort))
	if body[0] == cursorOfID {
		rec, err := d.k.record(ctx, db.eng, d.k.whole, string(body[1:]))
		if err != nil || rec == nil {
			return nil, err
		}
		for _, k := range d.sort {
			keys = append(keys, rec[k.Ord])
		}
		return keys, nil
	}
	rest := body[1:]
	for _, k := range d.sort {
		v, n := readKey(rest, d.k.Fields[k.Ord])
		if n <= 0 {
			return nil, nil
		}
		keys, rest = append(keys, v), rest[n:]
	}
	if body[0] != cursorOfKeys || len(rest) > 0 {
		return nil, nil
	}
	return keys, nil
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
