package drivertest

import "strings"

// names: whatever the contract allows as a name works as one, words of query languages and the
// longest ones too.
func names(s *suite) {
	long := strings.Repeat("long_name_", 4)
	p := s.pair(strings.ReplaceAll(`
  select:
    fields:
      name: {type: text, required: true, max: 9}
      order: {type: int}
      group: {type: text, max: 9, ci: true, unique: true}
      where: {type: ref, to: LONG, inverse: from}
      table: {type: list, of: ref, to: select, inverse: index}
      rowid: {type: int}
      value: {type: text, max: 9}
      key: {type: list, of: text, max: 5}
    indexes:
      - {fields: [order, value], name: LONG}
      - [value, rowid]
      - [key]
    access: {read: true}
  LONG:
    fields:
      name: {type: text, required: true, max: 9}
      LONG: {type: text, max: 9, ci: true, unique: true}
      primary: {type: ref, to: LONG, inverse: unique}
    indexes: [{fields: [primary, LONG], unique: true, where: 'name != "x"', name: LONG}]
    access: {read: true}
`, "LONG", long))
	p.create(long, `"name":"a","`+long+`":"ONE"`, `"name":"b","`+long+`":"two","primary":"`+id(1)+`"`)
	p.create("select", `"name":"c","order":2,"group":"G","where":"`+id(2)+`","table":[],"rowid":7,"value":"v","key":["k"]`,
		`"name":"d","order":1,"table":["`+id(1)+`"],"rowid":5`)
	p.ask("select",
		question{sort: "order", want: "d c"},
		question{filter: `group == "g"`, want: "c"},
		question{filter: `where.` + long + ` == "TWO"`, want: "c"},
		question{filter: `where.primary.name == "a"`, want: "c"},
		question{filter: `table.exists(x, x.rowid == 7)`, want: "d"},
		question{filter: `index.exists(x, x.order == 1)`, want: "c"},
		question{filter: `rowid > 5 && value == "v"`, want: "c"},
		question{filter: `"k" in key`, want: "c"},
	)
	p.ask(long,
		question{filter: `from.exists(s, s.order == 2)`, want: "b"},
		question{filter: `unique.exists(s, s.name == "b")`, want: "a"},
		question{sort: "-" + long, want: "b a"},
	)
}
