package web

import (
	"net/http"
	"strings"

	"github.com/bluell/plinth/fault"
)

// Minimal says whether the client prefers no body (RFC 7240).
func Minimal(r *http.Request) bool {
	for _, line := range r.Header["Prefer"] {
		for p := range strings.SplitSeq(line, ",") {
			p, _, _ = strings.Cut(p, ";")
			name, value, _ := strings.Cut(p, "=")
			if strings.EqualFold(strings.TrimSpace(name), "return") && strings.EqualFold(strings.Trim(value, "\" \t"), "minimal") {
				return true
			}
		}
	}
	return false
}

// IdempotencyKey reads Idempotency-Key: a structured string (RFC 9651), or bare. "" when there is none.
func IdempotencyKey(r *http.Request) (string, error) {
	lines := r.Header["Idempotency-Key"]
	if len(lines) == 0 {
		return "", nil
	}
	wrong := fault.New(fault.BadRequest, "Idempotency-Key should be one string of 1 to 255 printable ASCII characters in quotes")
	s := strings.Trim(lines[0], " \t")
	if len(lines) > 1 {
		return "", wrong
	}
	if !strings.HasPrefix(s, `"`) {
		if len(s) < 1 || len(s) > 255 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == ',' || c == ';' }) {
			return "", wrong
		}
		return s, nil
	}
	var key strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if i != len(s)-1 || key.Len() < 1 || key.Len() > 255 {
				return "", wrong
			}
			return key.String(), nil
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", wrong
			}
			c = s[i]
		case c < ' ' || c > '~':
			return "", wrong
		}
		key.WriteByte(c)
	}
	return "", wrong
}

// Accepts says whether the client takes a media type (RFC 9110, 12.5.1): the most specific range
// that fits decides, and a weight of 0 refuses. No Accept takes everything.
func Accepts(r *http.Request, mediaType string) bool {
	lines := r.Header["Accept"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) == 1 && (lines[0] == "*/*" || lines[0] == mediaType || lines[0] == "") {
		return true
	}
	kind, _, _ := strings.Cut(mediaType, "/")
	best, accepted := 0, false
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			fit := 0
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case mediaType:
				fit = 3
			case kind + "/*":
				fit = 2
			case "*/*":
				fit = 1
			}
			if fit > best {
				best, accepted = fit, !zeroWeight(params)
			}
		}
	}
	return accepted
}

func zeroWeight(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			value = strings.TrimSpace(value)
			return value != "" && strings.Trim(value, "0.") == ""
		}
	}
	return false
}

// Names says whether the client asks for a media type by its name, as EventSource asks for
// text/event-stream and a browser that goes to a page for text/html.
func Names(r *http.Request, mediaType string) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), mediaType) && !zeroWeight(params) {
				return true
			}
		}
	}
	return false
}
