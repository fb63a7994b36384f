package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// changes: every write leaves its rows in the log, in the order of commits, and nobody who reads on from a position
// misses one, whoever commits last.
func changes(s *suite) {
	p := s.pair(`
  teams: {fields: {name: {type: text, max: 9, ci: true}}, access: {read: true}}
  things:
    fields:
      name: {type: text, max: 20}
      team: {type: ref, to: teams, onDelete: cascade}
      other: {type: ref, to: teams, onDelete: clear}
      all: {type: list, of: ref, to: teams}
      big: {type: bigint}
      f: {type: float}
      yes: {type: bool}
      cost: {type: decimal, precision: 9, scale: 2}
      at: {type: time}
      day: {type: date}
      times: {type: list, of: float}
      j: {type: json}
      secret: {type: text, encrypted: true, searchable: true}
    access: {read: true}
`)
	ctx := context.Background()
	team := func(n int) string { return `"` + id(n) + `"` }
	op := func(op, collection string, n int, body string) data.Operation {
		o := data.Operation{Op: op, Collection: collection, ID: id(n)}
		if op == "create" {
			body, o.ID = `{"id":`+team(n)+`,`+strings.TrimPrefix(body, "{"), ""
		}
		if body != "" {
			o.Body = parse(p, body)
		}
		return o
	}
	alone := [][]data.Operation{
		{op("create", "teams", 1, `{"name":"Éa"}`), op("create", "teams", 2, `{"name":"b"}`)},
		{op("create", "things", 3, `{"name":"t","team":`+team(1)+`,"other":`+team(2)+`,"all":[`+team(1)+`,`+team(2)+`],"big":"-9007199254740995","f":0.1,"yes":true,`+
			`"cost":"12.50","at":"2026-01-02T03:04:05.678Z","day":"2026-02-28","times":[0.1,-2],"j":{"b":[1,null],"a":"x"},"secret":"s"}`)},
		{op("create", "things", 4, `{"name":"u","other":`+team(1)+`}`)},
		{op("update", "things", 3, `{"name":"v","f":null,"secret":"z"}`), op("update", "things", 3, `{"yes":false}`)},
		{op("update", "things", 3, `{"yes":false,"all":[`+team(1)+`]}`)},
		{op("update", "things", 3, `{"yes":false,"all":null}`)},
		{op("update", "things", 3, `{"yes":false}`)}, // nothing
		{op("create", "things", 5, `{"name":"w"}`)},
		{op("delete", "things", 5, "")},
		{op("create", "things", 5, `{"name":"again"}`)}, // its id is free at once
		{op("update", "things", 5, `{"name":"x"}`)},
		{op("delete", "things", 5, "")},
	}
	together := [][]data.Operation{{op("delete", "teams", 2, "")}, {op("delete", "teams", 1, "")}, {op("delete", "things", 4, "")}}
	const wantAlone = `create teams rev 1 id,created,updated,rev,name
create teams rev 1 id,created,updated,rev,name
create things rev 1 id,created,updated,rev,name,team,other,all,big,f,yes,cost,at,day,times,j,secret
create things rev 1 id,created,updated,rev,name,other
update things rev 2 name,f,secret
update things rev 3 yes
update things rev 4 all
update things rev 5 all
create things rev 1 id,created,updated,rev,name
delete things rev 1 id,created,updated,rev,name
create things rev 1 id,created,updated,rev,name
update things rev 2 name
delete things rev 2 id,created,updated,rev,name
`
	const wantTogether = `update things rev 6 other
delete teams rev 1 id,created,updated,rev,name
update things rev 2 other
delete things rev 6 id,created,updated,rev,name,team,big,yes,cost,at,day,times,j,secret
delete teams rev 1 id,created,updated,rev,name
delete things rev 2 id,created,updated,rev,name
`
	leaves := func(all [][]data.Operation, want string) func() error {
		return func() error {
			return logged(p, func(db *data.DB) error {
				for _, ops := range all {
					if err := p.batch(db, ops); err != nil {
						return err
					}
				}
				return nil
			}, want)
		}
	}
	if p.caps.Transactions { // in one, for what gives rows their positions has the clock go on
		p.expect("what they are", leaves(append(alone, together...), wantAlone+wantTogether))
	} else {
		p.expect("what they are", leaves(alone, wantAlone))
		p.expect("what goes with a record", leaves(together, wantTogether))
	}
	p.expect("what is undone leaves none", func() error {
		return logged(p, func(db *data.DB) error {
			_, _, err := db.Batch(ctx, operator, []data.Operation{
				{Op: "create", Collection: "teams", Body: parse(p, `{"name":"x"}`)},
				{Op: "create", Collection: "things", Body: parse(p, `{"team":"`+id(77)+`"}`)},
			}, true, data.WriteOptions{})
			if err == nil {
				return errors.New("it is not refused")
			}
			return nil
		}, "")
	})
	p.expect("a transaction that begins first and commits last", func() error { return lateCommit(p) })
	p.expect("many writers and readers", func() error { return crowd(p) })
	p.expect("clocks that are apart", func() error { return clocksApart(p) })
	p.expect("clocks that are apart and many changes in between", func() error { return farApart(p) })
	p.expect("a transaction that is longer than what is read at once", func() error { return long(p) })
	p.expect("what is swept is not passed over", func() error {
		from, err := p.it.Head(ctx)
		if err != nil {
			return err
		}
		for n := range 5 {
			if _, err := p.it.Create(ctx, operator, "teams", parse(p, fmt.Sprintf(`{"name":"s%d"}`, n)), data.WriteOptions{}); err != nil {
				return err
			}
		}
		if err := p.it.SweepChanges(ctx, time.Hour, 2); err != nil {
			return err
		}
		var old *data.TooOld
		if _, _, err := p.it.Changes(ctx, from); !errors.As(err, &old) {
			return fmt.Errorf("%w, want too old", err)
		}
		from.Number += 3
		all, next, err := p.it.Changes(ctx, from)
		if err != nil || len(all) != 2 || next.Number != from.Number+2 {
			return fmt.Errorf("%d changes, next %v: %w", len(all), next, err)
		}
		if err := p.it.SweepChanges(ctx, -time.Hour, 100); err != nil { // all are too old
			return err
		}
		head, err := p.it.Head(ctx)
		if err != nil || head != next {
			return fmt.Errorf("the head is %v, want %v: %w", head, next, err)
		}
		return nil
	})
	p.expect("another log", func() error {
		from, err := p.it.Head(ctx)
		if err != nil {
			return err
		}
		var old *data.TooOld
		for _, at := range []data.Position{{Epoch: "another", Number: from.Number}, {Epoch: from.Epoch, Number: from.Number + 1}} {
			if _, _, err := p.it.Changes(ctx, at); !errors.As(err, &old) {
				return fmt.Errorf("%v: %w, want too old", at, err)
			}
		}
		return nil
	})
}

// logged compares what writes leave in the log with the oracle's, and with want: a line for each change, with the fields
// that are different.
func logged(p *pair, write func(*data.DB) error, want string) error {
	got, err := p.both(func(db *data.DB) (string, error) {
		from, err := db.Head(context.Background())
		if err != nil {
			return "", err
		}
		if err := write(db); err != nil {
			return "", err
		}
		all, next, err := db.Changes(context.Background(), from)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for i, c := range all {
			if c.Position != from.Number+1+int64(i) {
				return "", fmt.Errorf("change %d has the position %d behind %v", i, c.Position, from)
			}
			coll, _ := p.app.Collection(c.Collection)
			fmt.Fprintf(&b, "%s %s rev %d ", c.Op, c.Collection, c.Rev)
			var names []string
			var values []byte
			for _, f := range coll.Fields {
				var was, is data.Value
				if c.Old != nil {
					was = c.Old[f.Ord]
				}
				if c.New != nil {
					is = c.New[f.Ord]
				}
				if f.Companion == spec.Own && (was.Kind() != is.Kind() || !expr.Equal(was, is)) {
					if c.Op != data.Update || f.Ord >= spec.OrdFirst {
						names = append(names, f.Name)
					}
					values = data.AppendJSON(append(data.AppendJSON(append(values, ' '), was), '>'), is)
				}
			}
			fmt.Fprintf(&b, "%s\n#%s %s\n", strings.Join(names, ","), c.ID, values)
		}
		if next.Number != from.Number+int64(len(all)) {
			return "", fmt.Errorf("%d changes behind %v lead to %v", len(all), from, next)
		}
		return b.String(), nil
	})
	if err != nil {
		return err
	}
	var lines strings.Builder
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "#") {
			lines.WriteString(line)
		}
	}
	if lines.String() != want {
		return fmt.Errorf("the log has\n%swant\n%s", lines.String(), want)
	}
	return nil
}

// lateCommit: a row is stored by a transaction that is still under way while another commits. Where writes are done one
// after the other, the other one waits instead.
func lateCommit(p *pair) error {
	ctx := context.Background()
	from, err := p.it.Head(ctx)
	if err != nil {
		return err
	}
	log, _ := p.app.Collection("_changes")
	stored, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	row := changeRow(log, "0190ffff-0000-7000-8000-000000000001", id(901), "create", 1)
	ordered := p.caps.Ordered
	if ordered {
		row[spec.OrdID] = expr.TextOf(fmt.Sprintf("%08x-%04x-7%03x-8000-000000000000", (from.Number+1)>>28, (from.Number+1)>>12&0xffff, (from.Number+1)&0xfff))
	}
	go func() {
		ended <- p.eng.Write(ctx, func(tx driver.Tx) error {
			if err := leave(p, tx, log, row); err != nil {
				return err
			}
			close(stored)
			<-release
			return nil
		})
	}()
	select {
	case <-stored:
	case err := <-ended:
		return fmt.Errorf("the first: %w", err)
	}
	second := make(chan error, 1)
	go func() {
		_, err := p.it.Create(ctx, operator, "teams", parse(p, `{"id":"`+id(902)+`","name":"late"}`), data.WriteOptions{})
		second <- err
	}()
	if !ordered {
		select {
		case err := <-second:
			if err != nil {
				close(release)
				return fmt.Errorf("the second: %w", err)
			}
		case <-time.After(10 * time.Second):
			close(release)
			return errors.Join(errors.New("the second waits for the first"), <-ended, <-second)
		}
	}
	before, at, err := p.it.Changes(ctx, from) // nobody waits for the first
	close(release)
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	if ordered {
		if err := <-second; err != nil {
			return fmt.Errorf("the second: %w", err)
		}
	}
	after, _, err := p.it.Changes(ctx, at)
	if err != nil {
		return err
	}
	var got []string
	for i, c := range append(before, after...) {
		got = append(got, c.ID[len(c.ID)-3:])
		if c.Position != from.Number+1+int64(i) {
			return fmt.Errorf("change %d has the position %d behind %v", i, c.Position, from)
		}
	}
	want := []string{"902", "901"}
	if ordered {
		want = []string{"901", "902"}
	}
	if !slices.Equal(got, want) || !ordered && len(before) != 1 || ordered && len(before) != 0 {
		return fmt.Errorf("the changes are of %q, %d of them seen early; want %q", got, len(before), want)
	}
	return nil
}

// leave stores a row of the log, of a team, and with it the change that it tells of where that carries it.
func leave(p *pair, tx driver.Tx, log *spec.Collection, row driver.Record) error {
	carrier, ok := tx.(driver.CarryTx)
	if !ok {
		return tx.Insert(log, row)
	}
	teams, _ := p.app.Collection("teams")
	text := func(name string) string { f, _ := log.Field(name); return row[f.Ord].Text() }
	rev := row[spec.OrdRev].Int()
	r := make(driver.Record, len(teams.Fields))
	r[spec.OrdID], r[spec.OrdCreated], r[spec.OrdUpdated], r[spec.OrdRev] = expr.TextOf(text("record")), expr.TimeOf(0), expr.TimeOf(0), expr.IntOf(rev)
	var err error
	switch text("op") {
	case "create":
		err = tx.Insert(teams, r)
	case "update":
		ok, err = tx.Update(teams, text("record"), rev-1, r, []int{spec.OrdRev})
	default:
		var n int
		n, err = tx.Delete(teams, []string{text("record")})
		ok = n == 1
	}
	if err == nil && !ok {
		err = fmt.Errorf("revision %d of %s cannot be made", rev, text("record"))
	}
	if err != nil {
		return err
	}
	return carrier.Carry(log, []driver.Record{row})
}

// changeRow is a row of the log, of a team.
func changeRow(log *spec.Collection, own, record, op string, rev int64) driver.Record {
	r := make(driver.Record, len(log.Fields))
	set := func(name string, v expr.Value) {
		f, _ := log.Field(name)
		r[f.Ord] = v
	}
	set("id", expr.TextOf(own))
	set("created", expr.TimeOf(0))
	set("updated", expr.TimeOf(0))
	set("rev", expr.IntOf(rev))
	set("collection", expr.TextOf("teams"))
	set("record", expr.TextOf(record))
	set("op", expr.TextOf(op))
	image := expr.TextOf(fmt.Sprintf(`{"id":"%s","created":"2026-01-02T03:04:05.678Z","updated":"2026-01-02T03:04:05.678Z","rev":%d}`, record, rev))
	if op != "delete" {
		set("new", image)
	}
	if op != "create" {
		set("old", image)
	}
	return r
}

// clocksApart: a process whose clock is ahead makes a change, then one whose clock is behind changes the same record. Their
// rows get positions together.
func clocksApart(p *pair) error {
	if p.caps.Ordered {
		return nil // positions are given by the writes
	}
	ctx := context.Background()
	from, err := p.it.Head(ctx)
	if err != nil {
		return err
	}
	log, _ := p.app.Collection("_changes")
	rows := []driver.Record{
		changeRow(log, "0190ffff-0000-7000-8005-000000000000", id(950), "create", 1),
		changeRow(log, "0190ffff-0000-7000-8004-000000000000", id(950), "update", 2),
		changeRow(log, "0190ffff-0000-7000-8003-000000000000", id(951), "create", 1),
		changeRow(log, "0190ffff-0000-7000-8002-000000000000", id(950), "update", 3),
		changeRow(log, "0190ffff-0000-7000-8001-000000000000", id(950), "delete", 3),
	}
	for n, row := range rows {
		if err := p.eng.Write(ctx, func(tx driver.Tx) error { return leave(p, tx, log, row) }); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	all, _, err := p.it.Changes(ctx, from)
	if err != nil {
		return err
	}
	var got []string
	for _, c := range all {
		if c.ID == id(950) {
			got = append(got, fmt.Sprintf("%s %d", c.Op, c.Rev))
		}
	}
	if want := []string{"create 1", "update 2", "update 3", "delete 3"}; !slices.Equal(got, want) || len(all) != 5 {
		return fmt.Errorf("the changes are %q of %d, want %q", got, len(all), want)
	}
	return nil
}

// farApart: the row of a change stands far before that of the one on which it rests, and more than are given positions together lie
// in between.
func farApart(p *pair) error {
	if p.caps.Ordered || !p.caps.Transactions {
		return nil // positions are given by the writes; or what waits is in order by itself
	}
	ctx := context.Background()
	from, err := p.it.Head(ctx)
	if err != nil {
		return err
	}
	const between = 900
	log, _ := p.app.Collection("_changes")
	rows := []driver.Record{changeRow(log, "0190ffff-0000-7000-9fff-000000000000", id(960), "create", 1),
		changeRow(log, "0190ffff-0000-7000-8000-000000000000", id(960), "update", 2)}
	for n := range between {
		rows = append(rows, changeRow(log, fmt.Sprintf("0190ffff-0000-7000-9%03x-000000000000", n), id(2000+n), "create", 1))
	}
	err = p.eng.Write(ctx, func(tx driver.Tx) error {
		for _, row := range rows {
			if err := leave(p, tx, log, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	all, err := until(p, from, from.Number+int64(len(rows)))
	if err != nil {
		return err
	}
	var got []string
	for _, c := range all {
		if c.ID == id(960) {
			got = append(got, fmt.Sprintf("%s %d", c.Op, c.Rev))
		}
	}
	if want := []string{"create 1", "update 2"}; !slices.Equal(got, want) {
		return fmt.Errorf("the changes are %q, want %q", got, want)
	}
	return nil
}

// until reads the changes behind a position, up to another.
func until(p *pair, from data.Position, to int64) (all []*data.Change, err error) {
	for from.Number < to {
		some, next, err := p.it.Changes(context.Background(), from)
		if err != nil {
			return nil, err
		}
		if next == from {
			return nil, fmt.Errorf("the log ends at %v, want %d", from, to)
		}
		all, from = append(all, some...), next
	}
	return all, nil
}

// long: a transaction of many changes has its positions together, and is read whole, however few are asked for; a sweep may cut it.
func long(p *pair) error {
	if !p.caps.Transactions {
		return nil // a transaction is one change
	}
	ctx := context.Background()
	from, err := p.it.Head(ctx)
	if err != nil {
		return err
	}
	const several = 5
	n := int64(several * data.MaxBatch)
	if _, err := p.it.Create(ctx, operator, "teams", parse(p, `{"name":"first"}`), data.WriteOptions{}); err != nil {
		return err
	}
	err = p.it.Transact(ctx, operator, func(tx *data.Tx) error {
		for i := range n {
			if _, err := tx.Create("teams", parse(p, fmt.Sprintf(`{"name":"l%d"}`, i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := p.it.Create(ctx, operator, "teams", parse(p, `{"name":"last"}`), data.WriteOptions{}); err != nil {
		return err
	}
	if head, err := p.it.Head(ctx); err != nil || head.Number != from.Number+n+2 {
		return fmt.Errorf("the head is %v behind %v: %w", head, from, err)
	}
	from.Number++
	first, next, err := p.it.Changes(ctx, from)
	if err != nil {
		return err
	}
	if int64(len(first)) != n || next.Number != from.Number+n {
		return fmt.Errorf("%d changes are read together, up to %v; want %d behind %v", len(first), next, n, from)
	}
	for i, c := range first {
		if c.Position != from.Number+1+int64(i) || c.First != from.Number+1 || c.Last != from.Number+n {
			return fmt.Errorf("change %d has position %d and is of %d to %d, behind %v", i, c.Position, c.First, c.Last, from)
		}
	}
	if second, _, err := p.it.Changes(ctx, next); err != nil || len(second) != 1 || second[0].First != second[0].Last {
		return fmt.Errorf("behind it are %d changes: %w", len(second), err)
	}
	if err := p.it.SweepChanges(ctx, time.Hour, n/2); err != nil {
		return err
	}
	left, err := until(p, data.Position{Epoch: from.Epoch, Number: from.Number + n/2 + 1}, from.Number+n+1)
	if err != nil || int64(len(left)) != n/2 || left[0].First != from.Number+1 {
		return fmt.Errorf("a sweep has left %d changes: %w", len(left), err)
	}
	var old *data.TooOld
	if _, _, err := p.it.Changes(ctx, data.Position{Epoch: from.Epoch, Number: from.Number + n/2}); !errors.As(err, &old) {
		return fmt.Errorf("%w, want too old", err)
	}
	return nil
}

// crowd: writers change records beside each other while readers follow. Each reader sees every change once, those of a
// record in the order of its revisions, and those of a transaction together.
func crowd(p *pair) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const writers, each, readers = 8, 30, 3
	from, err := p.it.Head(ctx)
	if err != nil {
		return err
	}
	for n := range 4 {
		if _, err := p.it.Create(ctx, operator, "teams", parse(p, fmt.Sprintf(`{"id":"%s","name":"c%d"}`, id(800+n), n)), data.WriteOptions{}); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	made := map[string]bool{}       // by record and revision
	together := map[string]string{} // what else the transaction has made, by the first of it
	for n := range 4 {
		made[fmt.Sprintf("%s %d", id(800+n), 1)] = true
	}
	seen := make([][]string, readers)
	groups := make([]map[string]bool, readers)
	for i := range groups {
		groups[i] = map[string]bool{}
	}
	keys := func(t []*data.Change) string {
		var all []string
		for _, c := range t {
			all = append(all, fmt.Sprintf("%s %d", c.ID, c.Rev))
		}
		return strings.Join(all, ",")
	}
	done := make(chan struct{})
	var reading, writing sync.WaitGroup
	errs := make(chan error, readers+writers)
	total := func() int { mu.Lock(); defer mu.Unlock(); return len(made) }
	for i := range readers {
		reading.Go(func() {
			revs := map[string]int64{}
			at := from.Number
			err := p.it.Follow(ctx, from, func(all []*data.Change, to data.Position) error {
				for t := range data.Transactions(all) {
					if t[0].First != t[0].Position || t[0].Last != t[len(t)-1].Position || to.Number < t[0].Last {
						return fmt.Errorf("a part of a transaction, %d to %d of %d to %d", t[0].Position, t[len(t)-1].Position, t[0].First, t[0].Last)
					}
					groups[i][keys(t)] = true
				}
				for _, c := range all {
					if at++; c.Position != at {
						return fmt.Errorf("position %d follows %d", c.Position, at-1)
					}
					if c.Rev != revs[c.ID]+1 && c.Op != data.Delete {
						return fmt.Errorf("revision %d of %s follows %d", c.Rev, c.ID, revs[c.ID])
					}
					revs[c.ID] = c.Rev
					seen[i] = append(seen[i], fmt.Sprintf("%s %d", c.ID, c.Rev))
				}
				select {
				case <-done:
					if len(seen[i]) == total() {
						return errGivenUp
					}
				default:
				}
				return nil
			})
			if err != errGivenUp {
				errs <- err
			}
		})
	}
	for n := range writers {
		writing.Go(func() {
			for i := range each {
				to := id(800 + (n+i)%4)
				ops := []data.Operation{{Op: "create", Collection: "teams", Body: parse(p, `{"name":"n"}`)}}
				if i%2 == 0 {
					ops = append(ops, data.Operation{Op: "update", Collection: "teams", ID: to, Body: parse(p, fmt.Sprintf(`{"name":"w%d.%d"}`, n, i))})
				}
				results, _, err := p.it.Batch(ctx, operator, ops, p.caps.Transactions, data.WriteOptions{})
				for _, r := range results {
					err = errors.Join(err, r.Err)
				}
				if err != nil {
					errs <- err
					return
				}
				var own []string
				for _, r := range results {
					own = append(own, fmt.Sprintf("%s %d", r.ID, r.Rev))
				}
				mu.Lock()
				for _, c := range own {
					made[c] = true
				}
				if p.caps.Transactions {
					together[own[0]] = strings.Join(own, ",")
				}
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	mu.Lock()
	made[id(899)+" 1"] = true // one more, which nobody has seen yet
	mu.Unlock()
	close(done)
	if _, err := p.it.Create(ctx, operator, "teams", parse(p, `{"id":"`+id(899)+`","name":"end"}`), data.WriteOptions{}); err != nil {
		return err
	}
	reading.Wait()
	close(errs)
	for err := range errs {
		return err
	}
	for i := range seen {
		for _, c := range seen[i] {
			if !made[c] {
				return fmt.Errorf("reader %d sees %s, which nobody has made", i, c)
			}
		}
		for _, t := range together {
			if !groups[i][t] {
				return fmt.Errorf("reader %d does not see %s together", i, t)
			}
		}
		if len(seen[i]) != len(made) {
			return fmt.Errorf("reader %d has seen %d changes of %d", i, len(seen[i]), len(made))
		}
	}
	return nil
}
