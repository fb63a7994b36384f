package web

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// Params are the query parameters of a request, each known and there once.
type Params struct {
	list []param
	few  [8]param
}

type param struct{ name, value string }

// maxParams bounds the number of parameters; MaxAddress, which Guard holds, their length.
const maxParams = 1100

// Query reads the query string. Every parameter must be one of names, and there once; a name
// that ends with * stands for all that begin so, a name that ends with + may be repeated. What is
// wrong with it is told wholly.
func (p *Params) Query(r *http.Request, names ...string) (wrong Mistakes) {
	p.list = p.few[:0]
	raw := r.URL.RawQuery
	var seen map[string]bool // once there are many
	for count := 0; raw != ""; {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if count++; count > maxParams {
			wrong.Param("", 0, "syntax", "there are too many parameters")
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok := unescape(name)
		if !ok {
			wrong.Param("the query string", 0, "syntax", "a name is not percent-encoded UTF-8")
			continue
		}
		repeats, known := find(names, name)
		if !known {
			wrong.Param(name, 0, "unknown", unknown(names))
			continue
		}
		if value, ok = unescape(value); !ok {
			value = ""
			wrong.Param(name, 0, "syntax", "is not percent-encoded UTF-8 without U+0000")
		}
		if !repeats {
			if seen == nil && len(p.list) >= 16 {
				seen = make(map[string]bool)
				for _, q := range p.list {
					seen[q.name] = true
				}
			}
			if _, there := p.Get(name); seen == nil && there || seen[name] {
				wrong.Param(name, 0, "syntax", "is there twice")
				continue
			}
			if seen != nil {
				seen[name] = true
			}
		}
		p.list = append(p.list, param{name, value})
	}
	return wrong
}

// Get is the value of a parameter. Of many, it is the first.
func (p *Params) Get(name string) (string, bool) {
	for i := range p.list {
		if p.list[i].name == name {
			return p.list[i].value, true
		}
	}
	return "", false
}

// All are the values of a parameter that may be repeated.
func (p *Params) All(name string) []string {
	var values []string
	for i := range p.list {
		if p.list[i].name == name {
			values = append(values, p.list[i].value)
		}
	}
	return values
}

// Len is how many parameters there are.
func (p *Params) Len() int { return len(p.list) }

// Each calls f for each parameter whose name begins with prefix, with what follows it.
func (p *Params) Each(prefix string, f func(name, value string)) {
	for i := range p.list {
		if rest, ok := strings.CutPrefix(p.list[i].name, prefix); ok {
			f(rest, p.list[i].value)
		}
	}
}

func find(names []string, name string) (repeats, known bool) {
	for _, n := range names {
		switch last := n[len(n)-1]; {
		case n == name && last != '*' && last != '+':
			return false, true
		case last == '*' && len(name) >= len(n) && strings.HasPrefix(name, n[:len(n)-1]):
			return false, true
		case last == '+' && name == n[:len(n)-1]:
			return true, true
		}
	}
	return false, false
}

func unknown(names []string) string {
	msg := "is not a parameter here"
	if len(names) > 0 {
		plain := make([]string, len(names))
		for i, n := range names {
			plain[i] = strings.Replace(strings.TrimSuffix(n, "+"), "*", "NAME", 1)
		}
		msg += "; there are " + strings.Join(plain, ", ")
	}
	return msg
}

// short keeps a name that the client made up from filling the answer.
func short(name string) string {
	if utf8.RuneCountInString(name) <= 60 {
		return name
	}
	return string([]rune(name)[:60]) + "…"
}

// unescape decodes a part of a query string: once, wholly, to UTF-8 without U+0000.
func unescape(s string) (string, bool) {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '%' || c == '+' || c >= utf8.RuneSelf || c == 0 {
			plain = false
			break
		}
	}
	if plain {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if len(s)-i < 3 {
				return "", false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high|low > 15 {
				return "", false
			}
			c = high<<4 | low
			i += 2
		}
		if c == 0 {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), utf8.Valid(b)
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
