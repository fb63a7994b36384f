package mysql

import (
	sqldriver "database/sql/driver"
	"fmt"
	"strconv"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// columns is a row as the library gives it: whole numbers, floats and bytes, which lie in its buffer.
type columns struct {
	vals []sqldriver.Value
	out  []sqldb.Output
	buf  []byte
	ends []int // of the texts in buf, for Record
	err  error // the first value that could not be read
}

func (c *columns) Null(i int) bool { return c.vals[i] == nil }

func (c *columns) Int(i int) int64 {
	switch v := c.vals[i].(type) {
	case int64:
		return v
	case []byte:
		return millis(v)
	default:
		return 0
	}
}

func (c *columns) Float(i int) float64 {
	f, _ := c.vals[i].(float64)
	return f
}

func (c *columns) Text(i int) []byte {
	b, _ := c.vals[i].([]byte)
	return b
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
		if c.written(i) {
			c.buf = append(c.buf, c.Text(i)...)
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

// written says whether an output is stored as text or bytes.
func (c *columns) written(i int) bool {
	switch c.out[i].Kind {
	case expr.Text, expr.Date, expr.JSON, expr.Bytes, expr.List:
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
		list, err := sqldb.ReadList([]byte(text), o.Elem)
		if err != nil && c.err == nil { // null would be written back by whoever changes the record
			c.err = &fault.Error{Kind: fault.Internal, Op: "read a list", Msg: "the database is damaged: restore a backup", Err: err}
		}
		return list
	default:
		return expr.TextOf(text)
	}
}

// millis reads "2006-01-02 15:04:05.000", which is in UTC. A fraction may be missing.
func millis(text []byte) int64 {
	if len(text) < len(time.DateTime) {
		return 0
	}
	n := func(from, to int) (n int) {
		for _, c := range text[from:min(to, len(text))] {
			n = 10*n + int(c-'0')
		}
		return n
	}
	t := time.Date(n(0, 4), time.Month(n(5, 7)), n(8, 10), n(11, 13), n(14, 16), n(17, 19), 0, time.UTC).UnixMilli()
	if len(text) >= len("2006-01-02 15:04:05.000") {
		t += int64(n(20, 23))
	}
	return t
}

// textOf is a value as text; null is none.
func textOf(v sqldriver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return fmt.Sprint(v)
	}
}
