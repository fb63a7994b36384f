package sqldb

import "github.com/bluell/plinth/expr"

// number binds the number that the row with an id has, most likely.
func number(id *expr.Node) Bind {
	b := Bind{Arg: -1, Val: id.Val, As: Number, Kind: expr.Int}
	if id.Op == expr.OpParam {
		b.Arg = id.Index
	}
	return b
}

// RowNumber is the first 60 bits of an id, a UUIDv7, without its version: 48 of milliseconds and the 12 that a
// process counts or draws within one (RFC 9562, 5.7 and 6.2). It is a hint: another id may have the same, and
// what is no id has one too.
func RowNumber(id string) int64 {
	var n int64
	for i := 0; i < len(id) && i < 18; i++ {
		var digit int64
		switch c := id[i]; {
		case i == 14 || c == '-':
			continue
		case c >= '0' && c <= '9':
			digit = int64(c - '0')
		default:
			digit = int64(c-'a'+10) & 15
		}
		n = n<<4 | digit
	}
	return n & (1<<60 - 1)
}
