package drivertest

import (
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

func (p *pair) group(collection, filter, group, aggregate string) (string, error) {
	return p.both(func(db *data.DB) (string, error) {
		b, err := db.Groups(p.Context(), operator, &data.GroupQuery{Collection: collection, Filter: filter, Group: group, Aggregate: aggregate}, nil)
		return string(b), err
	})
}

// groups: groups are sorted, null is one of them, aggregates leave nulls out and are exact.
func groups(s *suite) {
	p := s.pair(`
  sales:
    fields:
      name: {type: text, max: 9}
      state: {type: enum, values: [open, shut]}
      paid: {type: bool}
      n: {type: int}
      big: {type: bigint}
      price: {type: decimal, precision: 18, scale: 2}
      f: {type: float}
      at: {type: time}
      day: {type: date}
    indexes: [[state]]
    access: {read: true}
`)
	p.create("sales",
		`"name":"a","state":"open","paid":true,"n":1,"big":"9007199254740993","price":"0.10","f":0.5,"at":"2024-01-01T00:00:00Z","day":"2024-01-01"`,
		`"name":"b","state":"open","n":2,"big":"-1","price":"0.20","f":-1.5,"at":"1999-01-01T00:00:00Z"`,
		`"name":"c","state":"shut","paid":false,"price":"9999999999999999.99"`,
		`"name":"d"`)
	for _, c := range []struct{ name, filter, group, aggregate, want string }{
		{"count", "", "", "count", `{"groups":[{"count":4}]}`},
		{"count by enum", "", "state", "count", `{"groups":[{"state":null,"count":1},{"state":"open","count":2},{"state":"shut","count":1}]}`},
		{"count by bool", "", "paid", "count", `{"groups":[{"paid":null,"count":2},{"paid":false,"count":1},{"paid":true,"count":1}]}`},
		{"by two", "", "state,paid", "count", `{"groups":[{"state":null,"paid":null,"count":1},{"state":"open","paid":null,"count":1},{"state":"open","paid":true,"count":1},{"state":"shut","paid":false,"count":1}]}`},
		{"sum", "", "", "sum(n),sum(big),sum(price)", `{"groups":[{"sum(n)":3,"sum(big)":"9007199254740992","sum(price)":"10000000000000000.29"}]}`},
		{"avg", "", "", "avg(n),avg(price)", `{"groups":[{"avg(n)":"1.5000","avg(price)":"3333333333333333.430000"}]}`},
		{"avg of nothing", `state == "shut"`, "", "avg(n),sum(n),min(n)", `{"groups":[{"avg(n)":null,"sum(n)":null,"min(n)":null}]}`},
		{"min and max", "", "", "min(n),max(n),min(price),max(f),min(at),max(at),min(name),max(day)", `{"groups":[{"min(n)":1,"max(n)":2,"min(price)":"0.10","max(f)":0.5,"min(at)":"1999-01-01T00:00:00.000Z","max(at)":"2024-01-01T00:00:00.000Z","min(name)":"a","max(day)":"2024-01-01"}]}`},
		{"of each group", "", "state", "sum(n),max(price)", `{"groups":[{"state":null,"sum(n)":null,"max(price)":null},{"state":"open","sum(n)":3,"max(price)":"0.20"},{"state":"shut","sum(n)":null,"max(price)":"9999999999999999.99"}]}`},
		{"filtered", "n > 1", "state", "count", `{"groups":[{"state":"open","count":1}]}`},
		{"no groups", "n > 100", "state", "count", `{"groups":[]}`},
		{"none of none", "n > 100", "", "count,sum(n)", `{"groups":[{"count":0,"sum(n)":null}]}`},
		{"without an aggregate", "", "state", "", `{"groups":[{"state":null},{"state":"open"},{"state":"shut"}]}`},
		{"by day", "", "day", "count", `{"groups":[{"day":null,"count":3},{"day":"2024-01-01","count":1}]}`},
	} {
		p.expect(c.name, func() error { return want(p.group("sales", c.filter, c.group, c.aggregate))(c.want) })
	}
	const nine = "name,state,paid,n,big,price,f,at,day"
	p.refuses("by nine", fault.BadRequest, "syntax", func(db *data.DB) error {
		_, err := db.Groups(p.Context(), operator, &data.GroupQuery{Collection: "sales", Group: nine, Aggregate: "count"}, nil)
		return err
	})
	p.refuses("sorted by nine", fault.BadRequest, "syntax", func(db *data.DB) error {
		_, err := list(db, &data.ListQuery{Collection: "sales", Sort: nine})
		return err
	})
	s.sums()
}

// sums: a sum is exact where it fits into 64 bits, whatever its parts do in which order, and an average always is.
func (s *suite) sums() {
	p := s.pair(`
  sums:
    fields:
      name: {type: text, max: 9}
      set: {type: text, max: 9}
      big: {type: bigint}
      price: {type: decimal, precision: 18, scale: 2}
    indexes: [[set]]
    access: {read: true}
`)
	const most, least, price = "9223372036854775807", "-9223372036854775808", "9999999999999999.99"
	var bodies []string
	add := func(set string, values ...string) {
		for _, v := range values {
			bodies = append(bodies, `"set":"`+set+`",`+v)
		}
	}
	big := func(v string) string { return `"big":"` + v + `"` }
	add("few", big("1"), big("-3"))
	add("large", big(most), big(most), big("2"))
	add("parts", big(most), big(most), big(least), big(least), big("1"), big("4294967296"), big("-4294967297"))
	add("small", big(least), big("-1"), big(most), big("0"))
	for range 20 {
		add("dear", `"price":"`+price+`"`)
	}
	for range 19 {
		add("even", `"price":"`+price+`"`)
	}
	for range 19 {
		add("even", `"price":"-`+price+`"`)
	}
	add("even", `"price":"0.01"`)
	p.create("sums", bodies...)
	for _, c := range []struct{ name, filter, aggregate, want string }{
		{"a sum whose parts do not fit", `set == "parts"`, "sum(big),avg(big)", `{"groups":[{"sum(big)":"-2","avg(big)":"-0.2857"}]}`},
		{"parts below 64 bits", `set == "small"`, "sum(big),avg(big)", `{"groups":[{"sum(big)":"-2","avg(big)":"-0.5000"}]}`},
		{"an average whose sum does not fit", `set == "large"`, "avg(big)", `{"groups":[{"avg(big)":"6148914691236517205.3333"}]}`},
		{"decimals whose parts do not fit", `set == "even"`, "sum(price),avg(price)", `{"groups":[{"sum(price)":"0.01","avg(price)":"0.000256"}]}`},
		{"an average of decimals whose sum does not fit", `set == "dear"`, "avg(price)", `{"groups":[{"avg(price)":"9999999999999999.990000"}]}`},
	} {
		p.expect(c.name, func() error { return want(p.group("sums", c.filter, "", c.aggregate))(c.want) })
	}
	p.expect("averages of groups, of which one's sum does not fit", func() error {
		return want(p.group("sums", "big != null", "set", "avg(big),count"))(`{"groups":[{"set":"few","avg(big)":"-1.0000","count":2},` +
			`{"set":"large","avg(big)":"6148914691236517205.3333","count":3},{"set":"parts","avg(big)":"-0.2857","count":7},{"set":"small","avg(big)":"-0.5000","count":4}]}`)
	})
	p.refuses("beyond 64 bits", fault.BadRequest, "", func(db *data.DB) error {
		_, err := db.Groups(p.Context(), operator, &data.GroupQuery{Collection: "sums", Filter: `set == "large"`, Aggregate: "sum(big)"}, nil)
		return err
	})
	p.refuses("decimals beyond 64 bits", fault.BadRequest, "", func(db *data.DB) error {
		_, err := db.Groups(p.Context(), operator, &data.GroupQuery{Collection: "sums", Group: "set", Aggregate: "sum(price)"}, nil)
		return err
	})
}
