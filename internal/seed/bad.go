package seed

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bluell/plinth/fault"
)

// maxBad is how many bad records of a file are told.
const maxBad = 100

// fail notes what is wrong with a record. What is not about the record is returned: it ends the loading.
func (s *set) fail(r *record, err error) error {
	switch fault.Of(err) {
	case fault.Internal, fault.Unavailable, fault.Full, fault.Retry, fault.Limited, fault.Capability:
		return err
	}
	if !s.known || lasting(err) {
		s.note(r.n, s.where(r.n)+": "+words(err))
	}
	return nil
}

// lasting says whether a record is bad by itself, whatever the time and the other records are. A file that is
// skipped may have been good when it was loaded.
func lasting(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Kind == fault.Invalid && slices.ContainsFunc(e.Fields, func(f fault.Field) bool {
		return f.Code != "rule" && f.Code != "ref"
	})
}

// certain is what of an error a record without some of its references has in any case; nil for nothing.
func (s *set) certain(r *record, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind == fault.Internal {
		return err
	}
	told := &fault.Error{Kind: fault.Invalid}
	for _, problem := range e.Fields {
		name, _, _ := strings.Cut(strings.TrimPrefix(problem.Pointer, "/"), "/")
		f, ok := s.of.Field(name)
		refers := slices.ContainsFunc(r.refs, func(ref reference) bool { return ref.field.Name == name })
		if problem.Code == "rule" || refers || ok && (f.Set != nil || f.Init != nil) {
			continue
		}
		told.Fields = append(told.Fields, problem)
	}
	if e.Kind != fault.Invalid || len(told.Fields) == 0 {
		return nil
	}
	return told
}

// note keeps the first that is wrong with a record.
func (s *set) note(n int, text string) {
	if s.bad == nil {
		s.bad = map[int]string{}
	}
	if _, told := s.bad[n]; !told && len(s.bad) <= maxBad {
		s.bad[n] = text
	}
}

// where names a record of the file: by its line, where records have lines.
func (s *set) where(n int) string {
	if n <= len(s.lines) {
		return fmt.Sprintf("line %d", s.lines[n-1])
	}
	return fmt.Sprintf("record %d", n)
}

// failure is all that is wrong with the records, nil when nothing is.
func (s *set) failure() error {
	if len(s.bad) == 0 {
		return nil
	}
	var b strings.Builder
	for i, n := range slices.Sorted(maps.Keys(s.bad)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == maxBad {
			b.WriteString("seed/" + s.file + ": and more")
			break
		}
		b.WriteString("seed/" + s.file + ": " + s.bad[n])
	}
	return &fault.Error{Kind: fault.Invalid, Msg: b.String()}
}

// at puts the file before an error.
func at(name string, err error) error {
	return &fault.Error{Kind: fault.Of(err), Msg: "seed/" + name + ": " + words(err), Err: errors.Unwrap(err)}
}

// asText is what a client that sends JSON is told, and whoever writes a file need not know.
var asText = strings.NewReplacer(" as a string of digits", "", " as a string", "")

// words are what an error says to people.
func words(err error) string {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	var parts []string
	if e.Msg != "" {
		parts = append(parts, e.Msg)
	}
	for _, f := range e.Fields {
		name, says := strings.TrimPrefix(f.Pointer, "/")+f.Param, " "
		if f.Code == "ref" || f.Code == "rule" || f.Code == "unknown" { // a sentence of its own
			says = ": "
		}
		if name == "" {
			says = ""
		}
		parts = append(parts, name+says+asText.Replace(f.Message))
	}
	if len(parts) == 0 {
		return e.Error()
	}
	return strings.Join(parts, "; ")
}
