package spec

import (
	"strings"
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	a, err := load(`schedules:
  nightly: {cron: "0 3 * * *", zone: Europe/Berlin, missed: skip, create: {collection: notes, body: {title: "07", n: 7, done: true, meta: {a: [1, x]}}}}
  clean: {every: 90m, delete: {collection: notes, filter: created < now - duration("720h")}}
  report: {cron: "@daily", job: report, payload: {to: [a, b]}}
collections: {notes: {fields: {title: {type: text, required: true}, n: {type: int}, done: {type: bool}, meta: {type: json}}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Schedules) != 3 {
		t.Fatalf("%d schedules", len(a.Schedules))
	}
	nightly, clean, report := a.Schedules[0], a.Schedules[1], a.Schedules[2]
	if got := string(nightly.Body.AppendCanonical(nil)); nightly.Create != "notes" || !nightly.Skip || got != `{"done":true,"meta":{"a":[1,"x"]},"n":7,"title":"07"}` {
		t.Errorf("%+v %s", nightly, got)
	}
	after := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[*Schedule]string{nightly: "2026-03-02T02:00:00Z", clean: "2026-03-01T13:30:00Z", report: "2026-03-02T00:00:00Z"} {
		if got := s.Next(after).Format(time.RFC3339); got != want {
			t.Errorf("%s fires at %s, want %s", s.Name, got, want)
		}
	}
	if clean.Delete != "notes" || clean.Filter != `created < now - duration("720h")` {
		t.Errorf("%+v", clean)
	}
	if got := string(report.Body.AppendCanonical(nil)); report.Job != "report" || got != `{"to":["a","b"]}` {
		t.Errorf("%+v %s", report, got)
	}
	if err := a.CheckKinds([]string{"report"}); err != nil {
		t.Error(err)
	}
	if err := a.CheckKinds([]string{"reports"}); err == nil || !strings.HasPrefix(err.Error(), `plinth.yaml:4:33: nothing works on jobs of the kind "report"`) {
		t.Error(err)
	}
}
