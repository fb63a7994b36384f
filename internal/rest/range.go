package rest

import (
	"cmp"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// understood is a request whose Range http.ServeContent answers as RFC 9110 wants: what is no range of bytes is
// ignored (14.2), and a number too large for it is as large as can be.
func understood(r *http.Request) *http.Request {
	asked := r.Header.Get("Range")
	if asked == "" {
		return r
	}
	own := *r
	own.Header = r.Header.Clone()
	own.Header.Del("Range")
	if specs := byteRanges(asked); specs != "" {
		own.Header.Set("Range", "bytes="+specs)
	}
	return &own
}

// byteRanges are the ranges of a Range in bytes; "" for one in another unit, or that is not well formed.
func byteRanges(asked string) string {
	unit, set, _ := strings.Cut(asked, "=")
	if !strings.EqualFold(unit, "bytes") {
		return ""
	}
	var specs []string
	for spec := range strings.SplitSeq(set, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		first, last, dash := strings.Cut(spec, "-")
		if !dash || strings.Trim(first+last, "0123456789") != "" || first+last == "" {
			return ""
		}
		first, last = shortest(first), shortest(last)
		switch {
		case first != "" && last != "" && cmp.Or(cmp.Compare(len(first), len(last)), cmp.Compare(first, last)) > 0:
			return ""
		case first == "" && last == "0": // the last no bytes are nowhere
			first, last = beyond, ""
		}
		specs = append(specs, bounded(first)+"-"+bounded(last))
	}
	return strings.Join(specs, ",")
}

var beyond = strconv.Itoa(math.MaxInt64)

// shortest is a number without zeros that say nothing.
func shortest(digits string) string {
	if digits == "" {
		return ""
	}
	return cmp.Or(strings.TrimLeft(digits, "0"), "0")
}

// bounded is a number, or the largest of 64 bits.
func bounded(digits string) string {
	if len(digits) > len(beyond) || len(digits) == len(beyond) && digits > beyond {
		return beyond
	}
	return digits
}
