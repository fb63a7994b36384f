package drivertest

// times: UTC, truncated to milliseconds, years 1000 to 9999; dates are days and nothing else.
func times(s *suite) {
	p := s.pair(`
  moments: {fields: {v: {type: time}}, access: {read: true}}
  days: {fields: {v: {type: date}}, access: {read: true}}
  events:
    fields:
      name: {type: text, required: true, max: 9}
      at: {type: time}
      day: {type: date}
    indexes: [[at], [day, at]]
    access: {read: true}
`)
	p.stores("moments", "v",
		[2]string{`"2024-02-29T12:30:00Z"`, `"2024-02-29T12:30:00.000Z"`},
		[2]string{`"2024-02-29T12:30:00.1239999Z"`, `"2024-02-29T12:30:00.123Z"`},
		[2]string{`"2024-02-29T00:30:00+02:00"`, `"2024-02-28T22:30:00.000Z"`},
		[2]string{`"1000-01-01T00:00:00Z"`, `"1000-01-01T00:00:00.000Z"`},
		[2]string{`"9999-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59.999Z"`},
		[2]string{`"1969-12-31T23:59:59.9999Z"`, `"1969-12-31T23:59:59.999Z"`},
		[2]string{`"2038-01-19T03:14:08Z"`, `"2038-01-19T03:14:08.000Z"`})
	p.stores("days", "v", [2]string{`"2024-02-29"`, `"2024-02-29"`}, [2]string{`"1000-01-01"`, `"1000-01-01"`}, [2]string{`"9999-12-31"`, `"9999-12-31"`})
	p.create("events",
		`"name":"a","at":"2024-01-01T00:00:00Z","day":"2024-01-01"`,
		`"name":"b","at":"2024-01-01T00:00:00.001Z","day":"2023-12-31"`,
		`"name":"c","at":"1500-06-01T00:00:00Z","day":"1500-06-01"`,
		`"name":"d"`)
	p.ask("events",
		question{sort: "at", want: "d c a b"},
		question{sort: "-day", want: "a b c d"},
		question{filter: `at == timestamp("2024-01-01T00:00:00Z")`, want: "a"},
		question{filter: `at > timestamp("2024-01-01T00:00:00Z")`, want: "b"},
		question{filter: `at <= timestamp("2024-01-01T01:00:00+01:00")`, sort: "at", want: "c a"},
		question{filter: `at < now`, want: "a b c"},
		question{filter: `at > now - duration("24h")`, want: ""},
		question{filter: `day >= "2023-12-31"`, want: "a b"},
		question{filter: `day in ["1500-06-01", "2024-01-01"]`, want: "a c"},
		question{filter: `day != "2024-01-01"`, want: "b c d"},
	)
}
