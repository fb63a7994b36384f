package rest

import (
	"mime"
	"mime/multipart"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bluell/plinth/data"
)

// rawFileName is the name as the client sent it: Part.FileName cuts it at slashes of its own system.
func rawFileName(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return params["filename"]
}

const maxFileName = 120 // code points

// fileName makes a name that is safe in an address, in a header and on the disks of those who
// download: the last part of a path, NFC, without control and invisible formatting characters and
// what Windows forbids, without leading or trailing dots, not too long; "file" when nothing is left.
func fileName(raw string) string {
	raw = strings.ToValidUTF8(raw, "_")
	if i := strings.LastIndexAny(raw, `/\`); i >= 0 {
		raw = raw[i+1:]
	}
	raw = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return -1
		case strings.ContainsRune(`<>:"|?*%`, r):
			return '_'
		}
		return r
	}, norm.NFC.String(raw))
	raw = strings.Join(strings.Fields(raw), " ")
	raw = strings.Trim(raw, ". ")
	if utf8.RuneCountInString(raw) > maxFileName {
		ext := path.Ext(raw)
		if utf8.RuneCountInString(ext) > 16 {
			ext = ""
		}
		stem := []rune(strings.TrimSuffix(raw, ext))
		raw = strings.TrimRight(string(stem[:maxFileName-utf8.RuneCountInString(ext)]), ". ") + ext
	}
	if raw == "" {
		return "file"
	}
	return raw
}

// distinct gives a second file of the same name another one: the address of a file ends with it.
func distinct(name string, others []data.Upload) string {
	taken := func(name string) bool {
		for _, o := range others {
			if o.Name == name {
				return true
			}
		}
		return false
	}
	ext := path.Ext(name)
	candidate := name
	for n := 2; taken(candidate); n++ {
		candidate = strings.TrimSuffix(name, ext) + " (" + strconv.Itoa(n) + ")" + ext
	}
	return candidate
}

// disposition is a Content-Disposition (RFC 6266) that makes every browser save the file under its
// name: an ASCII form for old clients and the name itself, encoded as RFC 8187 says.
func disposition(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	var b strings.Builder
	b.WriteString(`attachment; filename="` + ascii + `"`)
	if ascii == name {
		return b.String()
	}
	b.WriteString(`; filename*=UTF-8''`)
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(name) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
