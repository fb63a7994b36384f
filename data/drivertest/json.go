package drivertest

import (
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// jsons: JSON is kept in its canonical form, whatever is in it.
func jsons(s *suite) {
	p := s.pair(`
  papers:
    fields:
      name: {type: text, max: 9}
      v: {type: json}
    access: {read: true}
`)
	p.stores("papers", "v",
		[2]string{`{"b":1,"a":[true,null,"x"]}`, `{"a":[true,null,"x"],"b":1}`},
		[2]string{`"text"`, `"text"`},
		[2]string{`[]`, `[]`},
		[2]string{`{}`, `{}`},
		[2]string{`0`, `0`},
		[2]string{`false`, `false`},
		[2]string{`""`, `""`},
		[2]string{`{"e\u0301":"e\u0301"}`, "{\"e\u0301\":\"e\u0301\"}"}, // not normalised
		[2]string{`[1.5,100,12345678901234567]`, `[1.5,100,12345678901234567]`},
		[2]string{`{"$type":1,"a.b":2,"":3}`, `{"":3,"$type":1,"a.b":2}`},
		[2]string{`null`, `null`})
	p.expect("null is asked for", func() error {
		return want(p.both(func(db *data.DB) (string, error) {
			text, err := list(db, &data.ListQuery{Collection: "papers", Filter: "v != null", Count: true, Limit: 1, Fields: "id"})
			return text[max(0, strings.LastIndex(text, `"total"`)):], err
		}))(`"total":10}`)
	})
	p.refuses("more than 64 KiB", fault.Invalid, "max", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "papers", parse(p, `{"v":"`+strings.Repeat("x", 64<<10)+`"}`), data.WriteOptions{})
		return err
	})
}
