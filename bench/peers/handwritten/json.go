package main

import (
	"strconv"
	"sync"
	"unicode/utf8"
)

// buffer is a reply in the making.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 32<<10)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) > 1<<20 {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}

// How many columns the records have.
const (
	postWidth   = 9
	authorWidth = 6
)

// appendPostRow leaves the object open, for an expansion or the closing brace.
func appendPostRow(b []byte, r cells) []byte {
	b = appendRowHead(b, r, 0)
	b = append(b, `,"title":`...)
	b = appendText(b, r.text(4))
	b = append(b, `,"body":`...)
	b = appendText(b, r.text(5))
	b = append(b, `,"status":`...)
	b = appendText(b, r.text(6))
	b = append(b, `,"views":`...)
	b = r.appendInt(b, 7)
	b = append(b, `,"author":`...)
	return appendText(b, r.text(8))
}

// appendAuthorRow: the author's columns stand from column from on.
func appendAuthorRow(b []byte, r cells, from int) []byte {
	b = appendRowHead(b, r, from)
	b = append(b, `,"name":`...)
	b = appendText(b, r.text(from+4))
	b = append(b, `,"bio":`...)
	return appendText(b, r.text(from+5))
}

func appendRowHead(b []byte, r cells, from int) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, r.text(from)...)
	b = append(b, `","created":"`...)
	b = r.appendTime(b, from+1)
	b = append(b, `","updated":"`...)
	b = r.appendTime(b, from+2)
	b = append(b, `","rev":`...)
	return r.appendInt(b, from+3)
}

func appendText(b, text []byte) []byte {
	if text == nil {
		return append(b, "null"...)
	}
	return appendString(b, text)
}

func appendHead(b []byte, id string, created, updated, rev int64) []byte {
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
	b = appendNullInt(b, p.views)
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

func appendNullInt(b []byte, n nullable[int64]) []byte {
	if n.null {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, n.value, 10)
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
