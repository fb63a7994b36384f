package sqlite

import (
	"math/big"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// columns is the row a statement stands on. Text is copied into one buffer that the connection keeps.
type columns struct {
	st   *sqlite.Stmt
	out  []sqldb.Output
	buf  []byte
	ends []int // of the texts in buf, for Record
	busy bool
	err  error // the first value that could not be read
}

func (c *columns) Null(i int) bool     { return c.st.ColumnType(i) == sqlite.TypeNull }
func (c *columns) Int(i int) int64     { return c.st.ColumnInt64(i) }
func (c *columns) Float(i int) float64 { return c.st.ColumnFloat(i) }

func (c *columns) Text(i int) []byte {
	n := c.st.ColumnLen(i)
	if n > cap(c.buf) {
		c.buf = make([]byte, max(n, 2*cap(c.buf), 256))
	}
	b := c.buf[:n]
	c.st.ColumnBytes(i, b)
	if c.out[i].Halves {
		return c.whole(b)
	}
	return b
}

// whole makes one number of the halves of a sum.
func (c *columns) whole(halves []byte) []byte {
	up, low, _ := strings.Cut(string(halves), " ")
	upper, ok := new(big.Int).SetString(up, 10)
	lower, ok2 := new(big.Int).SetString(low, 10)
	if !ok || !ok2 {
		return halves
	}
	return upper.Add(upper.Lsh(upper, 32), lower).Append(c.buf[:0], 10)
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
		end := len(c.buf)
		if c.written(i) && !c.Null(i) {
			end += c.st.ColumnLen(i)
			c.buf = slices.Grow(c.buf, end-len(c.buf))[:end]
			c.st.ColumnBytes(i, c.buf[len(c.buf)-c.st.ColumnLen(i):])
		}
		c.ends = append(c.ends, end)
	}
	texts, from := string(c.buf), 0
	for i, end := range c.ends {
		dst[i] = expr.Value{}
		if end > from || !c.Null(i) {
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
		if err != nil && c.err == nil {
			c.err = damaged("read a list", err) // null would be written back by whoever changes the record
		}
		return list
	default:
		return expr.TextOf(text)
	}
}
