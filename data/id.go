package data

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// ids makes UUIDv7s (RFC 9562) that grow within one process, so that ids made in order sort in order:
// the 12 bits after the version count within a millisecond.
type ids struct {
	mu   sync.Mutex
	last int64 // milliseconds << 12 | counter
	pool [512]byte
	left int
}

// next makes an id for a moment. A clock that stands still or steps back does not make ids smaller.
func (g *ids) next(now time.Time) string {
	var b [16]byte
	g.mu.Lock()
	at := now.UnixMilli() << 12
	if at <= g.last {
		at = g.last + 1
	}
	g.last = at
	if g.left < 8 {
		rand.Read(g.pool[:])
		g.left = len(g.pool)
	}
	copy(b[8:], g.pool[g.left-8:g.left])
	g.left -= 8
	g.mu.Unlock()
	binary.BigEndian.PutUint64(b[:8], uint64(at>>12)<<16|0x7000|uint64(at&0xfff))
	b[8] = b[8]&0x3f | 0x80
	return formatID(b)
}

func formatID(b [16]byte) string {
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	s[8] = '-'
	hex.Encode(s[9:13], b[4:6])
	s[13] = '-'
	hex.Encode(s[14:18], b[6:8])
	s[18] = '-'
	hex.Encode(s[19:23], b[8:10])
	s[23] = '-'
	hex.Encode(s[24:36], b[10:16])
	return string(s[:])
}

// ValidID says whether s is a UUIDv7 in lower case, the only form of an id.
func ValidID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || s[14] != '7' {
		return false
	}
	if v := s[19]; v != '8' && v != '9' && v != 'a' && v != 'b' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c == '-' && (i == 8 || i == 13 || i == 18 || i == 23):
		default:
			return false
		}
	}
	return true
}
