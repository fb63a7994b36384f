package mysql

import (
	sqldriver "database/sql/driver"
	"time"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// timeForm is how times are written: UTC, as every connection's.
const timeForm = "2006-01-02 15:04:05.000"

// bound is a value as the library takes it; elem is the kind of a list's items.
func bound(v expr.Value, elem expr.Kind) sqldriver.Value {
	switch v.Kind() {
	case expr.Null:
		return nil
	case expr.Bool, expr.Int, expr.Bigint, expr.Decimal, expr.Duration:
		return v.Int()
	case expr.Float:
		return v.Float()
	case expr.Time:
		return timeText(v)
	case expr.Date:
		return dateText(v)
	case expr.List:
		return listText(v.List(), elem)
	default:
		return v.Text()
	}
}

func timeText(v expr.Value) string { return time.UnixMilli(v.Int()).UTC().Format(timeForm) }

// dateText: what is no date comes before every one.
func dateText(v expr.Value) string {
	if s := v.Text(); len(s) == len(time.DateOnly) {
		return s
	}
	return "0001-01-01"
}

// listText is a list as a JSON array, in which times and dates are written as columns are.
func listText(items []expr.Value, elem expr.Kind) string {
	if elem == expr.Time || elem == expr.Date {
		texts := make([]expr.Value, len(items))
		for i, v := range items {
			switch v.Kind() {
			case expr.Time:
				texts[i] = expr.TextOf(timeText(v))
			case expr.Date:
				texts[i] = expr.TextOf(dateText(v))
			}
		}
		items = texts
	}
	return string(sqldb.AppendList(nil, items))
}
