package sqldb

import (
	"encoding/json"
	"strconv"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

// AppendList writes a list as the JSON array in which it is stored and bound. Equal lists have
// equal texts. Times, dates, decimals and booleans are written as they are stored alone.
func AppendList(dst []byte, items []expr.Value) []byte {
	dst = append(dst, '[')
	for i, v := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch v.Kind() {
		case expr.Null:
			dst = append(dst, "null"...)
		case expr.Float:
			dst = doc.AppendFloat(dst, v.Float())
		case expr.Text, expr.Date, expr.JSON, expr.Bytes:
			dst = doc.AppendString(dst, v.Text())
		case expr.List:
			dst = AppendList(dst, v.List())
		default:
			dst = strconv.AppendInt(dst, v.Int(), 10)
		}
	}
	return append(dst, ']')
}

// ReadList reads what AppendList wrote, for a list of elem.
func ReadList(text []byte, elem expr.Kind) (expr.Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return expr.Value{}, err
	}
	items := make([]expr.Value, len(raw))
	for i, r := range raw {
		var err error
		if items[i], err = readItem(r, elem); err != nil {
			return expr.Value{}, err
		}
	}
	return expr.ListOf(items...), nil
}

func readItem(r json.RawMessage, elem expr.Kind) (expr.Value, error) {
	if string(r) == "null" {
		return expr.Value{}, nil
	}
	switch elem {
	case expr.Float:
		f, err := strconv.ParseFloat(string(r), 64)
		return expr.FloatOf(f), err
	case expr.Text, expr.Date:
		var s string
		if err := json.Unmarshal(r, &s); err != nil {
			return expr.Value{}, err
		}
		if elem == expr.Date {
			return expr.DateOf(s), nil
		}
		return expr.TextOf(s), nil
	}
	n, err := strconv.ParseInt(string(r), 10, 64)
	switch elem {
	case expr.Bigint:
		return expr.BigintOf(n), err
	case expr.Bool:
		return expr.BoolOf(n != 0), err
	case expr.Time:
		return expr.TimeOf(n), err
	default:
		return expr.IntOf(n), err
	}
}
