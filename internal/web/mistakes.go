package web

import (
	"strconv"

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

// Err is fault.BadRequest with all mistakes, or nil.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	msg := strconv.Itoa(len(m)) + " parts of the request need attention"
	if len(m) == 1 {
		if msg = m[0].Param + ": " + m[0].Message; m[0].Param == "" {
			msg = "the body is not as it should be: " + m[0].Pointer + " " + m[0].Message
		}
	}
	return &fault.Error{Kind: fault.BadRequest, Msg: msg, Fields: m}
}
