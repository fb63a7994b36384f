package doc

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// AppendCanonical prints the document in its one form: no spaces, keys sorted by code point,
// strings with the fewest escapes, numbers as they were written.
func (n *Node) AppendCanonical(dst []byte) []byte { return n.append(dst, true) }

// Append prints the document without spaces, keys in their own order.
func (n *Node) Append(dst []byte) []byte { return n.append(dst, false) }

func (n *Node) append(dst []byte, sorted bool) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.Kind {
	case Bool:
		if n.Bool {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case Number:
		return append(dst, n.Text...)
	case String:
		return AppendString(dst, n.Text)
	case Array:
		dst = append(dst, '[')
		for i := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = n.Items[i].append(dst, sorted)
		}
		return append(dst, ']')
	case Object:
		return n.appendObject(dst, sorted)
	}
	return append(dst, "null"...)
}

func (n *Node) appendObject(dst []byte, sorted bool) []byte {
	dst = append(dst, '{')
	if !sorted || slices.IsSorted(n.Keys) {
		for i := range n.Items {
			dst = n.appendMember(dst, i, i > 0, sorted)
		}
		return append(dst, '}')
	}
	order := make([]int, len(n.Keys))
	for i := range order {
		order[i] = i
	}
	// UTF-8 sorts by bytes as it sorts by code points.
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(n.Keys[a], n.Keys[b]) })
	for place, i := range order {
		dst = n.appendMember(dst, i, place > 0, true)
	}
	return append(dst, '}')
}

func (n *Node) appendMember(dst []byte, i int, comma, sorted bool) []byte {
	if comma {
		dst = append(dst, ',')
	}
	dst = AppendString(dst, n.Keys[i])
	dst = append(dst, ':')
	return n.Items[i].append(dst, sorted)
}

// AppendString appends s as a JSON string, with quotes. s is valid UTF-8: everything in
// Plinth is checked where it comes in.
func AppendString(dst []byte, s string) []byte {
	return AppendText(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// AppendText is AppendString for bytes.
func AppendText(dst, s []byte) []byte {
	dst = append(dst, '"')
	for {
		i := special(s)
		dst = append(dst, s[:i]...)
		if i == len(s) {
			return append(dst, '"')
		}
		dst = appendEscape(dst, s[i])
		s = s[i+1:]
	}
}

const hex = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// special is the index of the first byte that a JSON string must escape: a quote, a backslash
// or a control character. It looks at eight bytes at a time; a byte's high bit in the result
// says that it is one (the classic test for a zero byte, after an exclusive or with the byte
// that is sought). A borrow may mark a byte too many, but only above a true one, and the
// lowest is taken.
func special(s []byte) int {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		q, b := w^(ones*'"'), w^(ones*'\\')
		if m := ((w-ones*0x20)&^w | (q-ones)&^q | (b-ones)&^b) & high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// AppendFloat prints a float as ECMAScript does, so that every client reads the same digits back.
func AppendFloat(dst []byte, f float64) []byte {
	if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is printed e-9
		dst = dst[:n-1]
	}
	return dst
}
