package rest

import (
	"mime"
	"net/http"
	"strings"
)

// mediaType decides what a file is, from what its sender says and from how it begins. It refuses a
// file whose beginning contradicts its sender.
func mediaType(declared string, head []byte) (string, bool) {
	sniffed, _, _ := mime.ParseMediaType(http.DetectContentType(head))
	said, _, err := mime.ParseMediaType(declared)
	if err != nil || said == "application/octet-stream" || !strings.Contains(said, "/") {
		return sniffed, true
	}
	if alias, ok := aliases[said]; ok {
		said = alias
	}
	if alias, ok := aliases[sniffed]; ok {
		sniffed = alias
	}
	return said, said == sniffed || fits(said, sniffed)
}

// aliases are other names of types, as browsers and tools send them.
var aliases = map[string]string{
	"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png", "image/vnd.microsoft.icon": "image/x-icon",
	"audio/wav": "audio/wave", "audio/x-wav": "audio/wave", "audio/mp3": "audio/mpeg", "audio/x-aiff": "audio/aiff",
	"application/gzip": "application/x-gzip", "application/x-zip-compressed": "application/zip", "application/x-pdf": "application/pdf",
	"application/x-rar": "application/x-rar-compressed", "application/vnd.rar": "application/x-rar-compressed",
	"text/json": "application/json", "application/javascript": "text/javascript", "application/x-javascript": "text/javascript",
	"application/xml": "text/xml",
}

// recognised are the types that the first bytes prove: who says one of them must begin like it.
var recognised = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/bmp": true, "image/x-icon": true,
	"audio/wave": true, "audio/aiff": true, "audio/midi": true, "video/avi": true, "video/webm": true,
	"application/pdf": true, "application/postscript": true, "application/zip": true, "application/x-gzip": true,
	"application/x-rar-compressed": true, "font/woff": true, "font/woff2": true, "font/ttf": true, "font/otf": true, "font/collection": true,
}

// fits says whether a file that begins like sniffed can be what it is said to be.
func fits(said, sniffed string) bool {
	if recognised[said] {
		return false
	}
	switch sniffed {
	case "application/octet-stream": // bytes that prove nothing, but no text
		return !textual(said)
	case "text/plain", "text/html", "text/xml":
		return textual(said)
	case "application/zip":
		return strings.HasPrefix(said, "application/vnd.") || said == "application/epub+zip" || said == "application/java-archive"
	case "application/x-gzip":
		return said == "application/x-tar" || strings.HasSuffix(said, "+gzip") || said == "application/x-compressed-tar"
	case "application/ogg":
		return said == "audio/ogg" || said == "video/ogg"
	case "video/mp4":
		return said == "audio/mp4" || said == "audio/x-m4a" || said == "video/quicktime" || said == "video/x-m4v"
	case "video/webm":
		return said == "audio/webm" || said == "video/x-matroska" || said == "audio/x-matroska"
	case "audio/mpeg":
		return said == "video/mpeg"
	}
	return false
}

// textual says whether a type is some text.
func textual(t string) bool {
	switch t {
	case "application/json", "application/x-ndjson", "application/yaml", "application/toml", "application/sql",
		"application/rtf", "application/x-sh", "application/graphql", "application/pgp-keys", "application/x-x509-ca-cert", "application/x-pem-file":
		return true
	}
	return strings.HasPrefix(t, "text/") || strings.HasPrefix(t, "message/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml")
}

// accepted says whether a field takes a type: by its name, or by its kind as in image/*. An empty
// list takes everything.
func accepted(accept []string, media string) bool {
	if len(accept) == 0 {
		return true
	}
	for _, a := range accept {
		a = strings.ToLower(a)
		if alias, ok := aliases[a]; ok {
			a = alias
		}
		if kind, any := strings.CutSuffix(a, "*"); a == media || any && strings.HasPrefix(media, kind) || a == "*/*" {
			return true
		}
	}
	return false
}
