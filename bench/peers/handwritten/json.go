package main

import (
	"strconv"
	"sync"
	"unicode/utf8"

	"zombiezen.com/go/sqlite"
)

// buffer is a reply in the making, with room for one column's bytes.
type buffer struct {
	b       []byte
	scratch []byte
}

var buffers = sync.Pool{New: func() any {
	return &buffer{b: make([]byte, 0, 32<<10), scratch: make([]byte, 4<<10)}
}}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) > 1<<20 {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}

// row reads the columns of the current row, counted from column from.
type row struct {
	stmt *sqlite.Stmt
	out  *buffer
	from int
}

const postWidth = 9

func (r *row) has(col int) bool { return r.stmt.ColumnType(r.from+col) != sqlite.TypeNull }

func (r *row) int(col int) int64 { return r.stmt.ColumnInt64(r.from + col) }

// text is valid until the next call.
func (r *row) text(col int) []byte {
	n := r.stmt.ColumnBytes(r.from+col, r.out.scratch)
	if n == len(r.out.scratch) {
		r.out.scratch = make([]byte, r.stmt.ColumnLen(r.from+col)+1)
		n = r.stmt.ColumnBytes(r.from+col, r.out.scratch)
	}
	return r.out.scratch[:n]
}

func (r *row) appendText(b []byte, col int) []byte {
	if !r.has(col) {
		return append(b, "null"...)
	}
	return appendString(b, r.text(col))
}

func (r *row) appendInt(b []byte, col int) []byte {
	if !r.has(col) {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, r.int(col), 10)
}

// appendPostRow leaves the object open, for an expansion or the closing brace.
func appendPostRow(b []byte, r *row) []byte {
	b = appendHead(b, r.text(0), r.int(1), r.int(2), r.int(3))
	b = append(b, `,"title":`...)
	b = r.appendText(b, 4)
	b = append(b, `,"body":`...)
	b = r.appendText(b, 5)
	b = append(b, `,"status":`...)
	b = r.appendText(b, 6)
	b = append(b, `,"views":`...)
	b = r.appendInt(b, 7)
	b = append(b, `,"author":`...)
	return r.appendText(b, 8)
}

func appendAuthorRow(b []byte, r *row) []byte {
	b = appendHead(b, r.text(0), r.int(1), r.int(2), r.int(3))
	b = append(b, `,"name":`...)
	b = r.appendText(b, 4)
	b = append(b, `,"bio":`...)
	return r.appendText(b, 5)
}

func appendHead[T string | []byte](b []byte, id T, created, updated, rev int64) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","created":"`...)
	b = appendTime(b, created)
	b = append(b, `","updated":"`...)
	b = appendTime(b, updated)
	b = append(b, `","rev":`...)
	return strconv.AppendInt(b, rev, 10)
}

func appendPost(b []byte, p *post) []byte {
	b = appendHead(b, p.id, p.created, p.updated, p.rev)
	b = append(b, `,"title":`...)
	b = appendString(b, p.title)
	b = append(b, `,"body":`...)
	b = appendNullString(b, p.body)
	b = append(b, `,"status":`...)
	b = appendNullString(b, p.status)
	b = append(b, `,"views":`...)
	if p.views.null {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, p.views.value, 10)
	}
	b = append(b, `,"author":`...)
	b = appendString(b, p.author)
	return append(b, '}')
}

func appendAuthor(b []byte, a *author) []byte {
	b = appendHead(b, a.id, a.created, a.updated, a.rev)
	b = append(b, `,"name":`...)
	b = appendString(b, a.name)
	b = append(b, `,"bio":`...)
	b = appendNullString(b, a.bio)
	return append(b, '}')
}

func appendNullString(b []byte, s nullable[string]) []byte {
	if s.null {
		return append(b, "null"...)
	}
	return appendString(b, s.value)
}

// appendString quotes text that is known to be valid UTF-8.
func appendString[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' || c >= utf8.RuneSelf {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendTime writes milliseconds since 1970 as 2006-01-02T15:04:05.678Z. The date is the
// "days to civil" computation of Howard Hinnant's chrono paper, for years from 1970 on.
func appendTime(b []byte, ms int64) []byte {
	days, rest := ms/86_400_000, ms%86_400_000
	z := days + 719_468
	era := z / 146_097
	doe := z - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day := doy - (153*mp+2)/5 + 1
	month := mp + 3
	year := yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	b = appendDigits(b, year, 4)
	b = append(b, '-')
	b = appendDigits(b, month, 2)
	b = append(b, '-')
	b = appendDigits(b, day, 2)
	b = append(b, 'T')
	b = appendDigits(b, rest/3_600_000, 2)
	b = append(b, ':')
	b = appendDigits(b, rest/60_000%60, 2)
	b = append(b, ':')
	b = appendDigits(b, rest/1000%60, 2)
	b = append(b, '.')
	b = appendDigits(b, rest%1000, 3)
	return append(b, 'Z')
}

func appendDigits(b []byte, n int64, width int) []byte {
	var d [4]byte
	for i := width - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:width]...)
}
