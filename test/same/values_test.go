package same_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// pools are values of each kind as JSON; they are literals of the filter language too.
var pools = map[string][]string{
	"text": {`"a"`, `"b"`, `""`, `"A"`, `"é"`, `"e\u0301"`, `"É"`, `"ß"`, `"ss"`, `"SS"`, `" a"`, `"a "`, `"a  "`, `"%"`, `"_"`, `"a_b"`, `"\\"`, `"\""`,
		`"\n"`, `"a\n"`, `"😀"`, `"\uffee"`, `"ab"`, `"aé"`, `"ﬃ"`, `"İ"`, `"ı"`, `"Σ"`, `"ς"`, `"\u0001"`, `"\u200b"`, `"$a"`, `"{}"`, `"[a]"`, `"a.b"`, `"` + annID + `"`},
	"email":   {`"a@b.co"`, `"A@b.co"`, `"a@B.co"`, `"a+b@c.org"`, `"é@b.co"`},
	"int":     {"0", "1", "-1", "2", "3", "9007199254740991", "-9007199254740991"},
	"bigint":  {`"0"`, `"1"`, `"-1"`, `"9223372036854775807"`, `"-9223372036854775808"`, `"9007199254740993"`},
	"float":   {"0.0", "0.5", "-1.5", "1e300", "-1e300", "2.0", "16777217.0", "0.1", "5e-324", "-0.0", "1e21", "123456789.123456789"},
	"decimal": {`"0"`, `"1.50"`, `"-0.01"`, `"9999999999.99"`, `"-9999999999.99"`, `"2"`, `"0.1"`},
	"bool":    {"true", "false"},
	"time": {`"1000-01-01T00:00:00Z"`, `"1969-12-31T23:59:59.999Z"`, `"2024-02-29T12:00:00.001Z"`, `"9999-12-31T23:59:59.999Z"`, `"2026-03-01T12:00:00Z"`,
		`"2026-03-01T12:00:05.005Z"`, `"2026-01-31T12:00:00.123987+02:00"`, `"2038-01-19T03:14:08Z"`},
	"date": {`"1000-01-01"`, `"2024-02-29"`, `"9999-12-31"`},
	"enum": {`"one"`, `"two"`, `"three"`},
	"json": {`{"a":1}`, `[]`, `"x"`, `0`, `{"b":1.50,"a":[null,true]}`, `{"a":{"c":"é"}}`, `12345678901234567890.123`, `{}`, `false`, `{"$a.b":"c"}`},
}

// wrong are values that few fields take.
var wrong = []string{"true", `"x"`, "1.5", "9007199254740992", `"9223372036854775808"`, `"1.555"`, `"\u0000"`, "[]", `["a",null]`, "{}", `"2026-02-30"`,
	`"0999-01-01T00:00:00Z"`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, `"four"`, "1e400", `"01900000-0000-7000-8000-0000000009ff"`, `["a","b","c","d","e","f"]`}

func literal(t *rapid.T, kind string) string {
	switch v := pick(t, pools[poolOf(kind)]...); kind {
	case "time":
		return pick(t, "timestamp("+v+")", v, "now")
	default:
		return v
	}
}

func poolOf(kind string) string {
	switch kind {
	case "fold", "sealed", "keyed", "texts":
		return "text"
	case "ints":
		return "int"
	case "enums":
		return "enum"
	}
	return kind
}

// most is the number of the last record of a collection that anybody speaks of.
const most = 9

func idOf(c *collection, n int) string {
	return fmt.Sprintf("01900000-0000-7000-8000-00000000%02d%02d", c.n+1, n)
}

func anyID(t *rapid.T, c *collection) string { return idOf(c, rapid.IntRange(1, most).Draw(t, "id")) }

// value is a value for a field as JSON, "" to leave it out.
func value(t *rapid.T, f *field) string {
	if often(t, 4) {
		return pick(t, wrong...)
	}
	if often(t, 25) && !f.required {
		return pick(t, "", "null")
	}
	items := func(item func() string) string {
		var out []string
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			out = append(out, item())
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	there := func() string { return `"` + idOf(f.to, rapid.IntRange(1, max(1, f.to.rows)).Draw(t, "ref")) + `"` }
	switch f.kind {
	case "ref":
		return there()
	case "refs":
		return items(there)
	case "texts", "ints", "enums":
		return items(func() string { return pick(t, pools[poolOf(f.kind)]...) })
	}
	return pick(t, pools[poolOf(f.kind)]...)
}

// record is a whole record as JSON, without its braces.
func record(t *rapid.T, c *collection) string {
	var parts []string
	add := func(name, v string) {
		if v != "" {
			parts = append(parts, `"`+name+`":`+v)
		}
	}
	add("name", pick(t, "", `"a"`, `"b"`, `"B c"`, `"é"`))
	add("owner", pick(t, "", `"`+annID+`"`, `"bob"`))
	for _, f := range c.fields {
		if strings.Contains(f.more, " set:") && !often(t, 5) {
			continue
		}
		add(f.name, value(t, f))
	}
	return strings.Join(parts, ",")
}
