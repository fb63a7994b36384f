package sqlite

import (
	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// columns is the row a statement stands on. Text is copied into one buffer that the connection keeps.
type columns struct {
	st   *sqlite.Stmt
	out  []sqldb.Output
	buf  []byte
	busy bool
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
	return b
}

func (c *columns) Value(i int) expr.Value {
	if c.Null(i) {
		return expr.Value{}
	}
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
		return expr.DateOf(string(c.Text(i)))
	case expr.JSON:
		return expr.JSONOf(string(c.Text(i)))
	case expr.Bytes:
		return expr.BytesOf(string(c.Text(i)))
	case expr.List:
		list, err := sqldb.ReadList(c.Text(i), o.Elem)
		if err != nil {
			return expr.Value{} // only this engine writes the column, by AppendList
		}
		return list
	default:
		return expr.TextOf(string(c.Text(i)))
	}
}
