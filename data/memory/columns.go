package memory

import (
	"strconv"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

// columns is one row of answers.
type columns []expr.Value

func (c columns) Null(i int) bool          { return c[i].IsNull() }
func (c columns) Int(i int) int64          { return c[i].Int() }
func (c columns) Float(i int) float64      { return c[i].Float() }
func (c columns) Value(i int) expr.Value   { return c[i] }
func (c columns) Record(dst driver.Record) { copy(dst, c) }

func (c columns) Text(i int) []byte {
	if c[i].Kind() == expr.List {
		return appendList(nil, c[i].List())
	}
	return []byte(c[i].Text())
}

// appendList writes a list as a JSON array: whole numbers and floats as numbers, all else as strings.
func appendList(b []byte, items []expr.Value) []byte {
	b = append(b, '[')
	for i, v := range items {
		if i > 0 {
			b = append(b, ',')
		}
		switch v.Kind() {
		case expr.Int:
			b = strconv.AppendInt(b, v.Int(), 10)
		case expr.Float:
			b = doc.AppendFloat(b, v.Float())
		default:
			b = doc.AppendString(b, v.Text())
		}
	}
	return append(b, ']')
}
