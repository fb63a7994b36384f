package web

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// tag is a language as mails and pages are written in: what has the form of a BCP 47 tag.
var tag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`) })

// Language is what a client would like to read: the first of Accept-Language (RFC 9110, 12.5.4). What is no language is none:
// a request is not refused for it, nor is its mail.
func Language(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	lang, _, _ := strings.Cut(first, ";")
	if lang = strings.TrimSpace(lang); len(lang) > 35 || !tag().MatchString(lang) {
		return ""
	}
	return lang
}
