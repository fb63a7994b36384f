package drivertest

import (
	"fmt"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// numbers: whole numbers, floats, decimals and booleans keep every digit, order by value, and what
// does not fit is refused.
func numbers(s *suite) {
	p := s.pair(`
  ints: {fields: {v: {type: int}}, access: {read: true}}
  bigints: {fields: {v: {type: bigint}}, access: {read: true}}
  floats: {fields: {v: {type: float}}, access: {read: true}}
  decimals: {fields: {v: {type: decimal, precision: 18, scale: 4}}, access: {read: true}}
  bools: {fields: {v: {type: bool}}, access: {read: true}}
  all:
    fields:
      name: {type: text, required: true, max: 9}
      i: {type: int, min: -1000}
      g: {type: bigint}
      f: {type: float}
      d: {type: decimal, precision: 18, scale: 2}
    indexes: [[i], [g], [f], [d]]
    access: {read: true}
`)
	p.stores("ints", "v", [2]string{"0", "0"}, [2]string{"9007199254740991", "9007199254740991"}, [2]string{"-9007199254740991", "-9007199254740991"}, [2]string{"1e3", "1000"}, [2]string{"2.0", "2"})
	p.stores("bigints", "v", [2]string{`"9223372036854775807"`, `"9223372036854775807"`}, [2]string{`"-9223372036854775808"`, `"-9223372036854775808"`}, [2]string{`"9007199254740993"`, `"9007199254740993"`})
	p.stores("floats", "v", [2]string{"16777217", "16777217"}, [2]string{"0.1", "0.1"}, [2]string{"-0.0", "0"}, [2]string{"1.7976931348623157e308", "1.7976931348623157e+308"}, [2]string{"5e-324", "5e-324"}, [2]string{"-1e-7", "-1e-7"})
	p.stores("decimals", "v", [2]string{`"0.1"`, `"0.1000"`}, [2]string{`"99999999999999.9999"`, `"99999999999999.9999"`}, [2]string{`"-99999999999999.9999"`, `"-99999999999999.9999"`}, [2]string{`"-0.0001"`, `"-0.0001"`}, [2]string{`"7"`, `"7.0000"`})
	p.stores("bools", "v", [2]string{"true", "true"}, [2]string{"false", "false"}, [2]string{"null", "null"})
	p.create("all",
		`"name":"a","i":10,"g":"10","f":10,"d":"10"`,
		`"name":"b","i":9,"g":"9","f":9.5,"d":"9.50"`,
		`"name":"c","i":-1,"g":"-9223372036854775808","f":-1e300,"d":"-0.01"`,
		`"name":"d","i":9007199254740991,"g":"9223372036854775807","f":1e300,"d":"9999999999999999.99"`,
		`"name":"e"`)
	p.ask("all",
		question{sort: "i", want: "e c b a d"},
		question{sort: "g", want: "e c b a d"},
		question{sort: "-f", want: "d a b c e"},
		question{sort: "d", want: "e c b a d"},
		question{filter: `i > 9`, want: "a d"},
		question{filter: `i == 9`, want: "b"},
		question{filter: `g == "9223372036854775807"`, want: "d"},
		question{filter: `g > "9007199254740993"`, want: "d"},
		question{filter: `g < 0`, want: "c"},
		question{filter: `f == 9.5`, want: "b"},
		question{filter: `f < 10`, want: "b c"},
		question{filter: `f >= 10`, want: "a d"},
		question{filter: `d == "9.5"`, want: "b"},
		question{filter: `d < 10`, want: "b c"},
		question{filter: `d > 9.49`, want: "a b d"},
		question{filter: `d in ["10.00", "-0.01"]`, want: "a c"},
		question{filter: `i in [9, 10]`, want: "a b"},
		question{filter: `d == "9999999999999999.99"`, want: "d"},
		question{filter: `i > 9007199254740990`, want: "d"},
		question{filter: `i == 11`, want: ""},
	)
	for _, bad := range []struct{ collection, value, code string }{
		{"ints", "9007199254740992", "type"}, {"ints", "1.5", "type"}, {"ints", `"1"`, "type"},
		{"bigints", `"9223372036854775808"`, "type"}, {"bigints", "1", "type"}, {"floats", "1e400", "type"},
		{"decimals", `"0.00001"`, "scale"}, {"decimals", `"100000000000000"`, ""}, {"decimals", "1", "type"}, {"bools", "5", "type"}, {"bools", `"true"`, "type"},
	} {
		p.refuses(bad.collection+" "+bad.value, fault.Invalid, bad.code, func(db *data.DB) error {
			_, err := db.Create(s.Context(), operator, bad.collection, parse(p, `{"v":`+bad.value+`}`), data.WriteOptions{})
			return err
		})
	}
	increment := func(db *data.DB, by string) (string, error) {
		r, err := db.Increment(s.Context(), operator, "all", id(1), parse(p, by), data.WriteOptions{})
		return string(r.Body), err
	}
	p.expect("increment", func() error {
		if _, err := p.both(func(db *data.DB) (string, error) { return increment(db, `{"i":-3,"d":"0.05"}`) }); err != nil {
			return err
		}
		if err := want(p.value("all", id(1), "d"))(`"10.05"`); err != nil {
			return err
		}
		return want(p.value("all", id(1), "i"))("7")
	})
	p.refuses("increment below min", fault.Invalid, "min", func(db *data.DB) error { _, err := increment(db, `{"i":-2000}`); return err })
	p.refuses("increment out of range", fault.Invalid, "", func(db *data.DB) error {
		_, err := db.Increment(s.Context(), operator, "all", id(4), parse(p, `{"g":"1"}`), data.WriteOptions{})
		if err == nil {
			err = fmt.Errorf("it overflowed")
		}
		return err
	})
	for _, none := range []string{"", "\x00", "x'", "\xff", id(1) + "0"} { // engines differ in what they take for a text
		p.refuses(fmt.Sprintf("read by %q, which is no id", none), fault.NotFound, "", func(db *data.DB) error {
			_, _, err := db.Get(s.Context(), operator, data.Target{Collection: "all", ID: none}, data.View{}, nil)
			return err
		})
		p.refuses(fmt.Sprintf("delete by %q, which is no id", none), fault.NotFound, "", func(db *data.DB) error {
			_, err := db.Delete(s.Context(), operator, "all", none, data.WriteOptions{})
			return err
		})
	}
}
