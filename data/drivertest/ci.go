package drivertest

import (
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// ci: a ci field compares, sorts, groups and is unique by its full Unicode fold, and shows what was written.
func ci(s *suite) {
	p := s.pair(`
  people:
    fields:
      name: {type: text, required: true, max: 20}
      mail: {type: email, ci: true, unique: true}
      nick: {type: text, max: 30, ci: true}
    indexes: [[nick]]
    access: {read: true}
`)
	p.create("people",
		`"name":"a","mail":"Ann@Example.com","nick":"STRASSE"`,
		`"name":"b","mail":"bob@example.com","nick":"straße"`,
		`"name":"c","nick":"É"`,
		`"name":"d","nick":"e\u0301"`,
		`"name":"e","nick":"Σίσυφος"`,
		`"name":"f","nick":"ΣΊΣΥΦΟΣ"`,
		`"name":"g","nick":"zed"`,
		`"name":"h"`)
	p.ask("people",
		question{filter: `mail == "ANN@EXAMPLE.COM"`, want: "a"},
		question{filter: `mail != "ANN@EXAMPLE.COM"`, want: "b c d e f g h"},
		question{filter: `nick == "Straße"`, want: "a b"},
		question{filter: `nick == "é"`, want: "c d"},
		question{filter: `nick == "e"`, want: ""},
		question{filter: `nick == "σίσυφοσ"`, want: "e f"},
		question{filter: `nick.startsWith("STR")`, want: "a b"},
		question{filter: `nick.contains("SS")`, want: "a b"},
		question{filter: `nick.endsWith("SSE")`, want: "a b"},
		question{filter: `nick in ["ZED", "é"]`, want: "c d g"},
		question{filter: `nick > "T"`, sort: "name", want: "c d e f g"},
		question{filter: `nick == null`, want: "h"},
		question{sort: "nick", want: "h a b g c d e f"},
		question{sort: "-nick,name", want: "e f c d g a b h"},
	)
	p.expect("what was written is shown", func() error { return want(p.value("people", id(1), "mail"))(`"Ann@Example.com"`) })
	p.expect("it is found by its value in any case", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			b, _, err := db.Get(s.Context(), operator, data.Target{Collection: "people", By: "mail", Value: "ANN@example.COM"}, data.View{}, nil)
			return string(b), err
		})
		return err
	})
	p.refuses("unique by its fold", fault.Conflict, "unique", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "people", parse(p, `{"name":"x","mail":"ANN@EXAMPLE.COM"}`), data.WriteOptions{})
		return err
	})
	p.expect("a new spelling of its own", func() error { return p.update("people", id(1), `{"mail":"ANN@example.com"}`) })
	p.expect("groups by its fold", func() error {
		return want(p.group("people", "", "nick", "count"))(`{"groups":[{"nick":null,"count":1},{"nick":"strasse","count":2},{"nick":"zed","count":1},{"nick":"é","count":2},{"nick":"σίσυφοσ","count":2}]}`)
	})
	s.longFolds()
}

// longFolds: a fold may be three times as long as its text, but in an index 730 characters at most.
func (s *suite) longFolds() {
	p := s.pair(`
  words:
    fields:
      name: {type: text, required: true, max: 9}
      s: {type: text, max: 255, ci: true}
      one: {type: text, max: 255, ci: true, unique: true}
      mail: {type: email, ci: true}
    indexes: [[s], [mail], {fields: [mail, name], unique: true}]
    access: {read: true}
`)
	long := strings.Repeat("\ufb03", 243)
	p.create("words",
		`"name":"a","s":"`+long+`","one":"`+long+`","mail":"B@example.com"`,
		`"name":"b","s":"FFI","one":"`+strings.Repeat("FFI", 85)+`"`,
		`"name":"c","mail":"a@example.com"`)
	p.ask("words",
		question{sort: "s", want: "c b a"},
		question{sort: "-s", want: "a b c"},
		question{sort: "mail", want: "b c a"},
		question{filter: `s == "` + long + `"`, want: "a"},
		question{filter: `s.startsWith("FfiF")`, want: "a"},
	)
	p.refuses("a fold is too long", fault.Invalid, "max", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "words", parse(p, `{"name":"x","s":"`+long+`\ufb03"}`), data.WriteOptions{})
		return err
	})
	p.refuses("a long fold is unique", fault.Conflict, "unique", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "words", parse(p, `{"name":"x","one":"`+long+`"}`), data.WriteOptions{})
		return err
	})
}
