package postgres

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

// columns is a row as it came, in the binary format.
type columns struct {
	raw  [][]byte
	out  []sqldb.Output
	buf  []byte
	ends []int // of the texts in buf, for Record
}

func (c *columns) Null(i int) bool { return c.raw[i] == nil }

func (c *columns) Int(i int) int64 { return integer(c.out[i].Kind, c.raw[i]) }

func integer(kind expr.Kind, raw []byte) int64 {
	switch {
	case len(raw) == 1: // a boolean
		return int64(raw[0])
	case len(raw) == 2: // smallint and integer are columns that others made
		return int64(int16(binary.BigEndian.Uint16(raw)))
	case len(raw) == 4:
		return int64(int32(binary.BigEndian.Uint32(raw)))
	case len(raw) != 8:
		return 0
	case kind == expr.Time:
		return int64(binary.BigEndian.Uint64(raw))/1000 + epochMillis
	default:
		return int64(binary.BigEndian.Uint64(raw))
	}
}

func (c *columns) Float(i int) float64 { return float(c.raw[i]) }

func float(raw []byte) float64 {
	if len(raw) != 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(raw))
}

func (c *columns) Text(i int) []byte {
	switch c.out[i].Kind {
	case expr.List, expr.Date:
		if c.raw[i] == nil {
			return nil
		}
		c.buf = c.print(c.buf[:0], i)
		return c.buf
	default:
		return c.raw[i]
	}
}

// print writes what Text answers.
func (c *columns) print(dst []byte, i int) []byte {
	switch o := c.out[i]; o.Kind {
	case expr.Date:
		return appendDate(dst, int32(binary.BigEndian.Uint32(c.raw[i])))
	case expr.List:
		dst = append(dst, '[')
		first := len(dst)
		items(c.raw[i], func(item []byte) {
			if len(dst) > first {
				dst = append(dst, ',')
			}
			switch o.Elem {
			case expr.Text:
				dst = doc.AppendText(dst, item)
			case expr.Float:
				dst = doc.AppendFloat(dst, float(item))
			default:
				dst = strconv.AppendInt(dst, integer(o.Elem, item), 10)
			}
		})
		return append(dst, ']')
	default:
		return append(dst, c.raw[i]...)
	}
}

func (c *columns) Value(i int) expr.Value {
	if c.Null(i) {
		return expr.Value{}
	}
	if c.written(i) {
		return c.value(i, string(c.Text(i)))
	}
	return c.value(i, "")
}

// Record keeps all texts of a row in one string.
func (c *columns) Record(dst driver.Record) {
	c.buf, c.ends = c.buf[:0], c.ends[:0]
	for i := range dst {
		if c.written(i) && !c.Null(i) {
			c.buf = c.print(c.buf, i)
		}
		c.ends = append(c.ends, len(c.buf))
	}
	texts, from := string(c.buf), 0
	for i, end := range c.ends {
		dst[i] = expr.Value{}
		if !c.Null(i) {
			dst[i] = c.value(i, texts[from:end])
		}
		from = end
	}
}

// written says whether a value of an output has a text.
func (c *columns) written(i int) bool {
	switch c.out[i].Kind {
	case expr.Text, expr.Date, expr.JSON, expr.Bytes:
		return true
	}
	return false
}

// value is an output that is not null; text is what is written there.
func (c *columns) value(i int, text string) expr.Value {
	switch o := c.out[i]; o.Kind {
	case expr.Bool:
		return expr.BoolOf(c.Int(i) != 0)
	case expr.Int:
		return expr.IntOf(c.Int(i))
	case expr.Bigint:
		return expr.BigintOf(c.Int(i))
	case expr.Decimal:
		return expr.DecimalOf(c.Int(i), o.Scale)
	case expr.Time:
		return expr.TimeOf(c.Int(i))
	case expr.Float:
		return expr.FloatOf(c.Float(i))
	case expr.Date:
		return expr.DateOf(text)
	case expr.JSON:
		return expr.JSONOf(text)
	case expr.Bytes:
		return expr.BytesOf(text)
	case expr.List:
		return c.list(i)
	default:
		return expr.TextOf(text)
	}
}

func (c *columns) list(i int) expr.Value {
	list := []expr.Value{}
	items(c.raw[i], func(item []byte) {
		switch c.out[i].Elem {
		case expr.Text:
			list = append(list, expr.TextOf(string(item)))
		case expr.Float:
			list = append(list, expr.FloatOf(float(item)))
		default:
			list = append(list, expr.IntOf(integer(expr.Int, item)))
		}
	})
	return expr.ListOf(list...)
}
