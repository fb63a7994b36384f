package web

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/fault"
)

// Mistakes are what is wrong with the parameters or the body of a request, before any record is looked
// at: all of it is told at once.
type Mistakes []fault.Field

// maxMistakes bounds what is told of a request that is wrong throughout.
const maxMistakes = 100

// Param adds a mistake in a query parameter: at a position of its value, counted from 1, or 0.
func (m *Mistakes) Param(name string, at int, code, message string) {
	m.add(fault.Field{Param: short(name), At: at, Code: code, Message: message})
}

// Body adds a mistake at a place of the body: a JSON pointer, and the offset of the byte.
func (m *Mistakes) Body(pointer string, offset int, code, message string) {
	m.add(fault.Field{Pointer: pointer, At: offset + 1, Code: code, Message: message})
}

func (m *Mistakes) add(f fault.Field) {
	if len(*m) < maxMistakes {
		*m = append(*m, f)
	}
}

// With adds what err says of the other parts of the request, if it is of the same kind.
func (m Mistakes) With(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.BadRequest {
		told := m[:len(m):len(m)]
		for _, f := range e.Fields {
			if !slices.ContainsFunc(told, func(t fault.Field) bool { return t.Param == f.Param && Within(f.Pointer, t.Pointer) }) {
				m.add(f)
			}
		}
	}
	return m.Err()
}

// Within says whether a JSON pointer leads to a value or into it.
func Within(pointer, value string) bool {
	rest, ok := strings.CutPrefix(pointer, value)
	return ok && (rest == "" || rest[0] == '/')
}

// Err is fault.BadRequest with all mistakes, or nil.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	msg := strconv.Itoa(len(m)) + " parts of the request need attention"
	if len(m) == 1 {
		switch f := m[0]; {
		case f.Param != "":
			msg = f.Param + ": " + f.Message
		case f.Pointer != "":
			msg = "the body is not as it should be: " + f.Pointer + " " + f.Message
		default:
			msg = "the body " + f.Message
		}
	}
	return &fault.Error{Kind: fault.BadRequest, Msg: msg, Fields: m}
}
