package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxBody = 1 << 20

// readBody reads a whole request body and makes sure that it is one JSON value in UTF-8.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := make([]byte, 0, max(512, min(r.ContentLength+1, maxBody)))
	src := http.MaxBytesReader(w, r.Body, maxBody)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				return nil, problem(http.StatusRequestEntityTooLarge, "max", "", "is too large")
			}
			return nil, err
		}
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errSyntax
	}
	return body, nil
}

var errSyntax = problem(http.StatusBadRequest, "syntax", "", "is not a JSON object in UTF-8")

// members visits the members of an object in valid JSON. A key that comes twice is the
// visitor's to refuse.
func members(b []byte, visit func(key string, value []byte) error) error {
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) == 0 || b[0] != '{' {
		return errSyntax
	}
	for i := skipSpace(b, 1); b[i] != '}'; {
		end := skipValue(b, i)
		key, err := unquote(b[i:end])
		if err != nil {
			return err
		}
		i = skipSpace(b, end)
		i = skipSpace(b, i+1) // the colon
		end = skipValue(b, i)
		if err := visit(key, b[i:end]); err != nil {
			return err
		}
		i = skipSpace(b, end)
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

// elements visits the elements of an array in valid JSON.
func elements(b []byte, visit func(value []byte) error) error {
	if b[0] != '[' {
		return errSyntax
	}
	for i := skipSpace(b, 1); b[i] != ']'; {
		end := skipValue(b, i)
		if err := visit(b[i:end]); err != nil {
			return err
		}
		i = skipSpace(b, end)
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// skipValue returns where the value that starts at i ends.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		for i++; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch b[i] {
			case '"':
				i = skipValue(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	default:
		for ; i < len(b); i++ {
			switch b[i] {
			case ',', '}', ']', ' ', '\n', '\t', '\r':
				return i
			}
		}
		return i
	}
}

// unquote gives the text of a JSON string.
func unquote(value []byte) (string, error) {
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", errSyntax
	}
	return s, nil
}

func isNull(value []byte) bool { return value[0] == 'n' }

// text gives a value as normalised text, or the reason why it is none.
func text(value []byte) (string, *fieldError) {
	if value[0] != '"' {
		return "", &fieldError{Code: "type", Message: "must be text"}
	}
	s, err := unquote(value)
	escaped := len(s) != len(value)-2
	if err != nil || escaped && (strings.ContainsRune(s, 0) || hasLoneSurrogate(value, s)) {
		return "", &fieldError{Code: "type", Message: "holds a character that text cannot hold"}
	}
	if !norm.NFC.IsNormalString(s) {
		s = norm.NFC.String(s)
	}
	return s, nil
}

// hasLoneSurrogate: the decoder put U+FFFD where the sender wrote something else.
func hasLoneSurrogate(value []byte, s string) bool {
	written := bytes.Count(value, []byte("\uFFFD")) + bytes.Count(bytes.ToLower(value), []byte(`\ufffd`))
	return strings.Count(s, "\uFFFD") > written
}

const maxInt = 1<<53 - 1

// integer gives a value as a whole number that every client can hold.
func integer(value []byte) (int64, *fieldError) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(value), 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) > maxInt {
			return 0, &fieldError{Code: "type", Message: "must be a whole number"}
		}
		n = int64(f)
	}
	if n > maxInt || n < -maxInt {
		return 0, &fieldError{Code: "type", Message: "must be a whole number within 2^53-1"}
	}
	return n, nil
}
