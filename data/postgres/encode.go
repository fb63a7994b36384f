package postgres

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/bluell/plinth/expr"
)

// arguments are values in the binary format (PostgreSQL's manual, "Frontend/Backend Protocol"). A list
// goes without its nulls, which equal nothing.
type arguments struct {
	buf  []byte
	vals [][]byte
}

func (a *arguments) reset() { a.buf, a.vals = a.buf[:0], a.vals[:0] }

// add appends an argument; elem is the kind of a list's items.
func (a *arguments) add(v expr.Value, elem expr.Kind) {
	if v.IsNull() {
		a.vals = append(a.vals, nil)
		return
	}
	from := len(a.buf)
	a.buf = appendBinary(a.buf, v, elem)
	end := len(a.buf)
	if a.buf == nil { // an empty text is not null
		a.buf = make([]byte, 0, 512)
	}
	a.vals = append(a.vals, a.buf[from:end:end])
}

// epoch is PostgreSQL's, 2000-01-01, in milliseconds and days since 1970.
const (
	epochMillis = 946_684_800_000
	epochDays   = 10_957
	day         = 24 * 60 * 60
)

func appendBinary(dst []byte, v expr.Value, elem expr.Kind) []byte {
	switch v.Kind() {
	case expr.Bool:
		return append(dst, byte(v.Int()))
	case expr.Int, expr.Bigint, expr.Decimal, expr.Duration:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int()))
	case expr.Float:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case expr.Time:
		return binary.BigEndian.AppendUint64(dst, uint64((v.Int()-epochMillis)*1000))
	case expr.Date:
		return binary.BigEndian.AppendUint32(dst, uint32(daysOf(v.Text())))
	case expr.List:
		return appendArray(dst, v.List(), elem)
	default:
		return append(dst, v.Text()...)
	}
}

// The identifiers of types in pg_type, which are the same on every server.
var oids = map[expr.Kind]uint32{expr.Bool: 16, expr.Int: 20, expr.Bigint: 20, expr.Decimal: 20, expr.Duration: 20,
	expr.Text: 25, expr.JSON: 25, expr.Bytes: 17, expr.Float: 701, expr.Date: 1082, expr.Time: 1184}

// appendArray: dimensions, whether there are nulls, the type of the items, then of the one dimension its
// length and its first index, then each item behind its length. An empty array has no dimensions.
func appendArray(dst []byte, items []expr.Value, elem expr.Kind) []byte {
	n := 0
	for _, v := range items {
		if !v.IsNull() {
			n++
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(min(n, 1)))
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, oids[elem])
	if n == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for _, v := range items {
		if v.IsNull() {
			continue
		}
		at := len(dst)
		dst = appendBinary(append(dst, 0, 0, 0, 0), v, expr.Null)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// column appends an argument that is an array of the values of a column, nulls among them.
func (a *arguments) column(kind expr.Kind, n int, value func(int) expr.Value) {
	from := len(a.buf)
	if kind == expr.JSON {
		kind = expr.Text
	}
	dst := binary.BigEndian.AppendUint32(a.buf, 1)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, oids[kind])
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for i := range n {
		at := len(dst)
		dst = append(dst, 0xff, 0xff, 0xff, 0xff) // null
		if v := value(i); !v.IsNull() {
			dst = appendBinary(dst, v, expr.Null)
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		}
	}
	a.buf = dst
	a.vals = append(a.vals, dst[from:len(dst):len(dst)])
}

// items calls yield for each item of an array.
func items(array []byte, yield func(item []byte)) {
	if len(array) < 20 || binary.BigEndian.Uint32(array) == 0 {
		return
	}
	n := binary.BigEndian.Uint32(array[12:])
	array = array[20:]
	for range n {
		size := binary.BigEndian.Uint32(array)
		yield(array[4 : 4+size])
		array = array[4+size:]
	}
}

// daysOf is the number of days from 2000-01-01 to a date YYYY-MM-DD.
func daysOf(date string) int32 {
	if len(date) != len(time.DateOnly) {
		return math.MinInt32 // before every date
	}
	year, _ := strconv.Atoi(date[:4])
	month, _ := strconv.Atoi(date[5:7])
	dom, _ := strconv.Atoi(date[8:])
	return int32(time.Date(year, time.Month(month), dom, 0, 0, 0, 0, time.UTC).Unix()/day - epochDays)
}

// appendDate writes the date that is so many days after 2000-01-01.
func appendDate(dst []byte, days int32) []byte {
	return time.Unix((int64(days)+epochDays)*day, 0).UTC().AppendFormat(dst, time.DateOnly)
}
