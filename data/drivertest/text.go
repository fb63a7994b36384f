package drivertest

import (
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// texts: order is by code point, spaces and case count, nothing is normalised but to NFC, and
// searching in a value takes every character for itself.
func texts(s *suite) {
	p := s.pair(`
  words:
    fields:
      name: {type: text, required: true, max: 20}
      s: {type: text, max: 40}
      long: {type: text}
    indexes: [[s]]
    access: {read: true}
`)
	p.create("words",
		`"name":"a","s":"Zebra"`,
		`"name":"b","s":"apple"`,
		`"name":"c","s":"éclair"`,
		`"name":"d","s":"e"`,
		`"name":"e","s":"x"`,
		`"name":"f","s":"x "`,
		`"name":"g","s":" x"`,
		`"name":"h","s":"100%_\\x"`,
		`"name":"i","s":"100"`,
		`"name":"j","s":"\uffee"`,
		`"name":"k","s":"😀"`,
		`"name":"l","s":"e\u0301clair?"`, // stored as NFC
		`"name":"m","s":""`,
		`"name":"n","s":"*?[a]'\"; --"`,
		`"name":"o","s":"\u0001\t\n"`)
	p.ask("words",
		question{sort: "s", want: "m o g n i h a b d e f c l j k"},
		question{sort: "-s", want: "k j l c f e d b a h i n g o m"},
		question{filter: `s == "x"`, want: "e"},
		question{filter: `s == "x "`, want: "f"},
		question{filter: `s != "x"`, sort: "name", want: "a b c d f g h i j k l m n o"},
		question{filter: `s == "zebra"`, want: ""},
		question{filter: `s == "é"`, want: ""},
		question{filter: `s < "a"`, want: "a g h i m n o"},
		question{filter: `s > "x"`, sort: "s", want: "f c l j k"},
		question{filter: `s >= "x " && s < "\uffee"`, want: "c f l"},
		question{filter: `s.startsWith("e\u0301")`, want: "c l"},
		question{filter: `s.startsWith("e")`, want: "d"},
		question{filter: `s.startsWith("")`, sort: "name", want: "a b c d e f g h i j k l m n o"},
		question{filter: `s.startsWith("\uffee")`, want: "j"},
		question{filter: `s.startsWith("😀")`, want: "k"},
		question{filter: `s.startsWith("100%")`, want: "h"},
		question{filter: `s.endsWith("_\\x")`, want: "h"},
		question{filter: `s.contains("%")`, want: "h"},
		question{filter: `s.contains("_")`, want: "h"},
		question{filter: `s.contains("\\")`, want: "h"},
		question{filter: `s.contains("*")`, want: "n"},
		question{filter: `s.contains("'")`, want: "n"},
		question{filter: `s.contains("X")`, want: ""},
		question{filter: `s.contains("")`, sort: "name", want: "a b c d e f g h i j k l m n o"},
		question{filter: `s.endsWith(" ")`, want: "f"},
		question{filter: `s.endsWith("")`, sort: "name", want: "a b c d e f g h i j k l m n o"},
		question{filter: `s.contains("clair?")`, want: "l"},
		question{filter: `size(s) == 1`, sort: "name", want: "d e j k"},
		question{filter: `size(s) == 7`, want: "h l"},
		question{filter: `s in ["x ", "😀", "nothing"]`, want: "f k"},
		question{filter: `s == "\u0001\t\n"`, want: "o"},
	)
	p.expect("a text is read as it is stored", func() error {
		return want(p.value("words", id(14), "s"))(`"*?[a]'\"; --"`)
	})
	p.expect("NFC", func() error { return want(p.value("words", id(12), "s"))(`"éclair?"`) })
	p.expect("Hangul is composed", func() error {
		if err := p.update("words", id(1), `{"long":"\u1112\u1161\u11ab"}`); err != nil {
			return err
		}
		return want(p.value("words", id(1), "long"))(`"한"`)
	})
	p.refuses("U+0000", fault.Invalid, "type", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "words", parse(p, `{"name":"z","s":"a\u0000b"}`), data.WriteOptions{})
		return err
	})
	p.refuses("too long", fault.Invalid, "max", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "words", parse(p, `{"name":"012345678901234567890"}`), data.WriteOptions{})
		return err
	})
}
