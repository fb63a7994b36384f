package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

// Schedule is one entry of the schedules section (docs/jobs.md): when something is done, and what.
type Schedule struct {
	Name   string
	Cron   *Cron // nil: Every
	Zone   *time.Location
	Every  time.Duration
	Skip   bool // ticks that were missed are not made up for
	Job    string
	Body   *doc.Node // of the job, or of the record that is created; nil: none
	Create string    // the collection
	Delete string    // the collection, of which goes what the filter finds
	Filter string
	Pos    Pos // of its name
	At     Pos // of what it does
}

// Passes says whether ticks follow the time that passes, not the times of day.
func (s *Schedule) Passes() bool { return s.Cron == nil || s.Cron.passes }

// Next is the first tick after a moment. Ticks of every are multiples of it since 1970-01-01T00:00:00Z, so that all
// processes mean the same.
func (s *Schedule) Next(after time.Time) time.Time {
	if s.Cron != nil {
		return s.Cron.Next(after, s.Zone)
	}
	every := s.Every.Milliseconds()
	return time.UnixMilli((after.UnixMilli()/every + 1) * every).UTC()
}

const (
	maxSchedules = 200
	maxEvery     = 366 * 24 * time.Hour
)

// schedules reads the schedules section, when all collections are there.
func (l *loader) schedules(n *node) {
	if n == nil || n.kind != object {
		return
	}
	if len(n.keys) > maxSchedules {
		l.report(n.keys[maxSchedules], "limit", "an app has at most %d schedules", maxSchedules)
		return
	}
	for i, k := range n.keys {
		if !l.name(k, "a schedule") {
			continue
		}
		v := &Schedule{Name: k.text, Zone: time.UTC, Pos: k.pos(), At: k.pos()}
		s := l.section(n.items[i], scheduleShape)
		before := len(l.problems)
		l.when(s, v)
		l.what(s, v)
		if len(l.problems) == before {
			l.app.Schedules = append(l.app.Schedules, v)
		}
	}
}

// CheckKinds refuses schedules whose kind of job nothing registers: known are those that something does. It is a
// *Problems.
func (a *App) CheckKinds(known []string) error {
	var bad []Problem
	for _, s := range a.Schedules {
		if s.Job == "" || slices.Contains(known, s.Job) {
			continue
		}
		near := Nearest(s.Job, known)
		bad = append(bad, Problem{s.At.File, s.At.Line, s.At.Column, "unknown",
			fmt.Sprintf("nothing works on jobs of the kind %s: the Go program that embeds Plinth registers it with plinth.Job", quoted(s.Job)), near})
	}
	if bad == nil {
		return nil
	}
	return &Problems{bad}
}

// when reads when it fires.
func (l *loader) when(s section, v *Schedule) {
	cron, every, zone := s.values["cron"], s.values["every"], s.values["zone"]
	switch {
	case s.get("cron") == nil && s.get("every") == nil:
		l.report(s.node, "required", `when does it fire? Add cron: "0 3 * * *", or every: 10m`)
	case s.get("cron") != nil && s.get("every") != nil:
		l.report(s.node, "conflict", "cron does not go with every: remove one of the two")
	}
	if cron != nil {
		c, err := ParseCron(cron.text)
		if err != nil {
			l.report(cron, "value", "%s is no schedule: %s", cron.show(), err)
		}
		v.Cron = c
	}
	if every != nil {
		v.Every, _ = durationOf(every.text)
		if v.Every < time.Second || v.Every > maxEvery || v.Every%time.Second != 0 {
			l.report(every, "value", "every is from 1s to 366d in whole seconds, not %s", every.show())
		}
		if zone != nil {
			l.report(zone, "option", "zone is for cron: every counts from 1970-01-01T00:00:00Z, wherever")
		}
	} else if zone != nil {
		place, err := time.LoadLocation(zone.text)
		if err != nil || zone.text == "" || zone.text == "Local" {
			l.report(zone, "value", "there is no time zone %s: it is a name like Europe/Berlin or UTC", zone.show())
		} else {
			v.Zone = place
		}
	}
	v.Skip = s.text("missed") == "skip"
}

// what reads what it does: it makes a job, or a record, or deletes records.
func (l *loader) what(s section, v *Schedule) {
	var said []string
	for _, name := range []string{"job", "create", "delete"} {
		if s.get(name) != nil {
			said = append(said, name)
		}
	}
	switch len(said) {
	case 0:
		l.report(s.node, "required", "what does it do? Add create: {collection, body}, delete: {collection, filter}, or job: KIND")
	case 1:
	default:
		l.report(s.node, "conflict", "a schedule does one thing: remove all but one of %s", strings.Join(said, " "))
	}
	if n := s.values["job"]; n != nil {
		v.Job, v.At = n.text, n.pos()
		if !kindPattern().MatchString(n.text) || strings.HasPrefix(n.text, "plinth.") {
			l.report(n, "value", "a kind of job is 1 to 60 of a-z, 0-9, _, - and ., not %s", n.show())
		}
	}
	if n := s.values["payload"]; n != nil {
		if v.Job == "" {
			l.report(n, "option", "payload is for job")
		}
		v.Body, _ = l.json(n)
		l.travels(n, v.Body)
	}
	if n := s.values["create"]; n != nil {
		c := l.section(n, createShape)
		v.At = n.pos()
		if at := l.target(c.values["collection"]); at != nil {
			v.Create = at.Name
			v.Body = l.newRecord(at, c.values["body"], n, "body")
			l.travels(c.values["body"], v.Body)
		}
	}
	if n := s.values["delete"]; n != nil {
		d := l.section(n, deleteShape)
		v.At = n.pos()
		if at := l.target(d.values["collection"]); at != nil {
			v.Delete, v.Filter = at.Name, d.text("filter")
			l.scheduleFilter(d.values["filter"], at)
		}
	}
}

// scheduleFilter checks the filter of what is deleted: nobody asks, so it has neither a caller nor parameters.
func (l *loader) scheduleFilter(n *node, c *Collection) {
	e := l.compile(n, c, expr.InFilter)
	if e == nil {
		return
	}
	expr.Walk(e.Root, func(x *expr.Node) bool {
		if x.Op == expr.OpAuth {
			l.reportIn(n, x.Pos, "rule", "", "nobody asks this: a schedule has no auth")
		}
		return true
	})
	for _, p := range e.Params {
		if p.Name != "" {
			l.report(n, "rule", "param.%s is given by nobody: write its value", p.Name)
			return
		}
	}
	_, lits, err := expr.Shape(n.text)
	if err == nil { // its values are read when it is asked: one that is none would fail at each tick
		var args []expr.Value
		if args, err = e.Args(nil, lits, nil, func(_, text string) (string, error) { return text, nil }); err == nil {
			err = e.Computes(args, time.Now().UnixMilli())
		}
	}
	if err != nil {
		l.compiled(n, c, nil, err)
	}
}

// mostTaken is how many bytes a job takes with it (data.NewJob), in which the body of a schedule travels.
const mostTaken = 64<<10 - 512 // the rest says what is to be done with it

// travels says of a body that it is too long to be done by a job.
func (l *loader) travels(n *node, body *doc.Node) {
	if body != nil && n != nil && len(body.Append(nil)) > mostTaken {
		l.report(n, "max", "it has %d bytes as JSON: a schedule takes at most %d", len(body.Append(nil)), mostTaken)
	}
}

var kindPattern = pattern(`^[a-z0-9_.-]{1,60}$`)

// target finds a collection of the app's own.
func (l *loader) target(n *node) *Collection {
	if n == nil {
		return nil
	}
	c := l.app.byName[n.text]
	if c == nil {
		var names []string
		for _, c := range l.app.Collections {
			names = append(names, c.Name)
		}
		l.suggest(n, names, "unknown", "there is no collection %s", n.show())
	}
	return c
}

// newRecord reads a record that will be created; key is where its fields stand.
func (l *loader) newRecord(c *Collection, n, at *node, key string) *doc.Node {
	if n == nil {
		n = &node{kind: object, src: at.src, line: at.line, column: at.column}
	}
	if n.kind != object {
		l.report(n, "type", "%s is a map of fields and values, not %s", key, n.show())
		return nil
	}
	out := doc.NewObject()
	for i, k := range n.keys {
		f := c.byName[k.text]
		if f == nil || f.Ord < OrdFirst || f.Companion != Own {
			if !l.broken[member{c.Name, k.text}] {
				l.suggest(k, c.ownNames(), "unknown", "%s has no field %s", c.Name, k.show())
			}
			continue
		}
		item := n.items[i]
		switch {
		case f.Set != nil || f.Type == File:
			l.report(k, "option", "%s cannot be written in %s: it is made by the server, or a file", k.show(), key)
			continue
		case !item.null() && f.Type != JSON:
			if v, ok := l.value(f, f.Type, item, k.text); !ok || !l.within(f, v, item, k.text) {
				continue
			}
		}
		if v, ok := l.bodyValue(f, item); ok {
			out.Set(k.text, v)
		}
	}
	for _, f := range c.Fields[OrdFirst:] {
		if f.Required && f.Companion == Own && f.Default == nil && f.Init == nil && f.Set == nil && n.get(f.Name) == nil {
			l.report(n, "required", "%s is missing in %s: %s requires it", f.Name, key, c.Name)
		}
	}
	return out
}

// bodyValue is a value as a client would send it.
func (l *loader) bodyValue(f *Field, n *node) (*doc.Node, bool) {
	if n.kind == scalar && !n.null() {
		switch f.Type {
		case Int, Float:
			return doc.NewNumber(n.text), true
		case Bool:
			b, _ := boolOf(n.text)
			return doc.NewBool(b), true
		case JSON:
		default:
			return doc.NewString(n.text), true
		}
	}
	return l.json(n)
}
