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
	p.expect("a sum that does not fit", func() error {
		if err := p.update("sales", id(1), `{"big":"9223372036854775807"}`); err != nil {
			return err
		}
		return p.update("sales", id(3), `{"big":"9223372036854775807"}`)
	})
	p.refuses("beyond 64 bits", fault.BadRequest, "", func(db *data.DB) error {
		_, err := db.Groups(p.Context(), operator, &data.GroupQuery{Collection: "sales", Aggregate: "sum(big)"}, nil)
		return err
	})
}
