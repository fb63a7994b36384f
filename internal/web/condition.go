package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// ETag is the strong entity tag of a revision.
func ETag(rev int64) string {
	var b [24]byte
	return string(append(strconv.AppendInt(append(b[:0], '"'), rev, 10), '"'))
}

// tagged are the headers of the revisions that most records are at.
var tagged = func() (made [64][]string) {
	for rev := range made {
		made[rev] = []string{ETag(int64(rev))}
	}
	return made
}()

// Tag sets the ETag of a revision.
func Tag(h http.Header, rev int64) {
	if rev >= 0 && rev < int64(len(tagged)) {
		h["Etag"] = tagged[rev]
		return
	}
	h["Etag"] = []string{ETag(rev)}
}

// IfMatch reads If-Match; nil when there is none. It compares strongly (RFC 9110, 13.1.1): weak
// tags, and tags that are no revision, match nothing. The tag of an answer that was encoded (TagOf) names its revision: what
// is to be changed is the record, however it was sent.
func IfMatch(r *http.Request) (*data.Match, error) { return condition(r, "If-Match", false) }

// IfNoneMatch reads If-None-Match; nil when there is none. It compares weakly (13.1.2).
func IfNoneMatch(r *http.Request) (*data.Match, error) { return condition(r, "If-None-Match", true) }

func condition(r *http.Request, header string, weak bool) (*data.Match, error) {
	lines := r.Header[http.CanonicalHeaderKey(header)]
	if len(lines) == 0 {
		return nil, nil
	}
	s := strings.TrimSpace(strings.Join(lines, ","))
	if s == "*" {
		return &data.Match{Any: true}, nil
	}
	m := &data.Match{}
	wrong := fault.New(fault.BadRequest, `%s should be * or entity tags in quotes, like "3"`, header)
	count := 0
	for s != "" {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			break
		}
		isWeak := strings.HasPrefix(s, "W/")
		s = strings.TrimPrefix(s, "W/")
		if s == "" || s[0] != '"' {
			return nil, wrong
		}
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return nil, wrong
		}
		tag := untagged(s[1 : 1+end])
		s = strings.TrimLeft(s[end+2:], " \t")
		if s != "" && s[0] != ',' {
			return nil, wrong
		}
		count++
		m.Weak = m.Weak || isWeak && !weak
		rev, err := strconv.ParseInt(tag, 10, 64)
		if err == nil && strconv.FormatInt(rev, 10) == tag && (weak || !isWeak) {
			m.Revs = append(m.Revs, rev)
		}
	}
	if count == 0 {
		return nil, wrong
	}
	return m, nil
}
