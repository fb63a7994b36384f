package drivertest

import (
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// names: whatever the contract allows as a name works as one, words of query languages and the
// longest ones too.
func names(s *suite) {
	s.kept()
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

// kept are names that databases keep for themselves: of columns that every table has, of tables of the system's.
func (s *suite) kept() {
	fields := []string{"xmin", "xmax", "ctid", "tableoid", "oid", "db_row_id", "db_trx_id", "fts_doc_id"}
	declared, values := "", ""
	for i, f := range fields {
		declared += "      " + f + ": {type: int, unique: " + fmt.Sprint(i%2 == 0) + "}\n"
		values += fmt.Sprintf(`,"%s":%d`, f, i)
	}
	text := ""
	collections := []string{"pg_class", "sqlite_things", "first"}
	for _, c := range collections {
		text += "  " + c + ":\n    fields:\n      name: {type: text, max: 9, ci: true, unique: true}\n      up: {type: ref, to: " + c + ", inverse: downs}\n" +
			"      tags: {type: list, of: text}\n" + declared + "    indexes: [[tags], [xmax, db_trx_id]]\n    access: {read: true}\n"
	}
	p := s.pair(text)
	for _, c := range collections {
		p.create(c, `"name":"a","tags":["x"]`+values, `"name":"b","up":"`+id(1)+`"`)
		p.ask(c,
			question{filter: `xmin == 0 && xmax == 1 && ctid == 2 && "x" in tags`, want: "a"},
			question{filter: `up.db_row_id == 5`, want: "b"},
			question{filter: `downs.exists(d, d.tableoid == null)`, want: "a"},
			question{sort: "-xmax", want: "a b"},
		)
		p.refuses(c+": a unique value of such a name", fault.Conflict, "unique", func(db *data.DB) error {
			_, err := db.Update(s.Context(), operator, c, id(2), parse(p, `{"xmin":0}`), data.WriteOptions{})
			return err
		})
		p.expect(c+": a change", func() error {
			if err := p.update(c, id(1), `{"xmin":7,"tags":["y"]}`); err != nil {
				return err
			}
			return want(p.value(c, id(1), "xmin"))("7")
		})
	}
}
