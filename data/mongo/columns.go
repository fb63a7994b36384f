package mongo

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// columns is a document as it came: its values by output. A field that is not there is null.
type columns struct {
	s      *stmt
	vals   []bson.RawValue
	id     bson.RawValue
	rev    int64
	parent string // where each parent is asked for
	before []byte // parent and id of the row before, where a list may name a row twice
	buf    []byte
}

// load takes a document. over says that it is passed over: the row was there already, or is none.
func (c *columns) load(d bson.Raw) (over bool, err error) {
	clear(c.vals)
	c.id = bson.RawValue{}
	if c.s.nested {
		c.vals[0] = d.Lookup("_id")
		d = d.Lookup("_r").Document()
	}
	elements, err := d.Elements()
	if err != nil {
		return false, fault.Wrap(fault.Internal, "read", err)
	}
	for _, e := range elements {
		key, v := e.Key(), e.Value()
		if key == emptied && c.s.alone {
			return true, nil
		}
		if key == "_id" {
			c.id = v
			if inner, ok := v.DocumentOK(); ok {
				c.group(inner)
			}
		}
		if key == "rev" {
			c.rev = number64(v)
		}
		for _, i := range c.s.reads[key] {
			c.vals[i] = v
		}
	}
	for i, o := range c.s.outputs {
		if o.sum != "" && number64(d.Lookup(o.sum)) == 0 {
			c.vals[i] = bson.RawValue{}
		}
	}
	if c.s.once {
		is := append(append([]byte(nil), c.vals[0].Value...), c.id.Value...)
		over = bytes.Equal(is, c.before)
		c.before = is
	}
	return over, nil
}

// group takes the fields by which rows are grouped.
func (c *columns) group(d bson.Raw) {
	elements, err := d.Elements()
	if err != nil {
		return
	}
	for _, e := range elements {
		for _, i := range c.s.reads["_id."+e.Key()] {
			c.vals[i] = e.Value()
		}
	}
}

func (c *columns) own(i int) bool { return i == 0 && c.s.each }

func (c *columns) Null(i int) bool {
	t := c.vals[i].Type
	if c.s.outputs[i].kind == expr.Int && c.counted(i) {
		return false
	}
	return !c.own(i) && (t == 0 || t == bson.TypeNull)
}

// counted says that an output is a count: of nothing it is 0.
func (c *columns) counted(i int) bool {
	at := i - len(c.s.q.Group)
	return c.s.q.Count || at >= 0 && at < len(c.s.q.Aggregates) && c.s.q.Aggregates[at].Func == "count"
}

func (c *columns) Int(i int) int64 { return number64(c.vals[i]) }

// number64 reads a whole number, a time or a boolean.
func number64(v bson.RawValue) int64 {
	switch {
	case v.Type == bson.TypeInt32 && len(v.Value) == 4:
		return int64(int32(binary.LittleEndian.Uint32(v.Value)))
	case v.Type == bson.TypeDouble && len(v.Value) == 8:
		return int64(math.Float64frombits(binary.LittleEndian.Uint64(v.Value)))
	case len(v.Value) == 8: // a long, or a date
		return int64(binary.LittleEndian.Uint64(v.Value))
	case v.Type == bson.TypeBoolean && len(v.Value) == 1:
		return int64(v.Value[0])
	default:
		return 0
	}
}

func (c *columns) Float(i int) float64 { return float64Of(c.vals[i]) }

func float64Of(v bson.RawValue) float64 {
	if v.Type == bson.TypeDouble && len(v.Value) == 8 {
		return math.Float64frombits(binary.LittleEndian.Uint64(v.Value))
	}
	return float64(number64(v))
}

func (c *columns) Text(i int) []byte {
	if c.own(i) {
		c.buf = append(c.buf[:0], c.parent...)
		return c.buf
	}
	if c.s.outputs[i].kind == expr.List && !c.Null(i) {
		c.buf = c.list(c.buf[:0], i)
		return c.buf
	}
	return text(c.vals[i])
}

// text is a string or binary value in place, or the digits of a sum: 34 of them are exact.
func text(v bson.RawValue) []byte {
	switch {
	case v.Type == bson.TypeDecimal128:
		n, places, err := v.Decimal128().BigInt()
		if err != nil || places < 0 {
			return nil
		}
		return n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)).Append(nil, 10)
	case v.Type == bson.TypeString && len(v.Value) >= 5:
		return v.Value[4 : len(v.Value)-1]
	case v.Type == bson.TypeBinary:
		_, b, _ := v.BinaryOK()
		return b
	default:
		return nil
	}
}

// list prints a list as a JSON array.
func (c *columns) list(dst []byte, i int) []byte {
	dst = append(dst, '[')
	first := len(dst)
	c.items(i, func(v bson.RawValue) {
		if len(dst) > first {
			dst = append(dst, ',')
		}
		switch c.s.outputs[i].elem {
		case expr.Text, expr.Date:
			dst = doc.AppendText(dst, text(v))
		case expr.Float:
			dst = doc.AppendFloat(dst, float64Of(v))
		default:
			dst = strconv.AppendInt(dst, number64(v), 10)
		}
	})
	return append(dst, ']')
}

func (c *columns) items(i int, each func(bson.RawValue)) {
	array, ok := c.vals[i].ArrayOK()
	if !ok {
		return
	}
	values, err := array.Values()
	if err != nil {
		return
	}
	for _, v := range values {
		each(v)
	}
}

func (c *columns) Value(i int) expr.Value {
	if c.Null(i) {
		return expr.Value{}
	}
	o := c.s.outputs[i]
	if o.kind != expr.List {
		return value(o.kind, o.sc, c.Int(i), c.vals[i], func() []byte { return c.Text(i) })
	}
	list := []expr.Value{}
	c.items(i, func(v bson.RawValue) {
		list = append(list, value(o.elem, o.sc, number64(v), v, func() []byte { return text(v) }))
	})
	return expr.ListOf(list...)
}

func value(k expr.Kind, scale uint8, n int64, v bson.RawValue, s func() []byte) expr.Value {
	switch k {
	case expr.Bool:
		return expr.BoolOf(n != 0)
	case expr.Int:
		return expr.IntOf(n)
	case expr.Bigint:
		return expr.BigintOf(n)
	case expr.Decimal:
		return expr.DecimalOf(n, scale)
	case expr.Time:
		return expr.TimeOf(n)
	case expr.Float:
		return expr.FloatOf(float64Of(v))
	case expr.Date:
		return expr.DateOf(string(s()))
	case expr.JSON:
		return expr.JSONOf(string(s()))
	case expr.Bytes:
		return expr.BytesOf(string(s()))
	default:
		return expr.TextOf(string(s()))
	}
}

func (c *columns) Record(dst driver.Record) {
	for i := range dst {
		dst[i] = c.Value(i)
	}
}
