package data_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

// A question that is slow is told once a minute for all of its shape, without its values, with the index that would help.
func TestSlowQuestions(t *testing.T) {
	t.Parallel()
	eng, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eng.Close() })
	app := slowModel(t)
	var b bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ctx := t.Context()
	m, err := data.Plan(ctx, app, eng, slowKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(ctx, eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(ctx, app, eng, data.Options{Key: slowKey, Clock: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&b, nil)), Slow: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		body := doc.NewObject()
		body.Set("title", doc.NewString(fmt.Sprint("s3cret ", i)))
		if _, err := db.Create(ctx, data.Caller{}, "posts", body, data.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(by data.Caller, filter string) []map[string]any {
		t.Helper()
		b.Reset()
		if _, err := db.List(ctx, by, &data.ListQuery{Collection: "posts", Filter: filter, Sort: "-views"}, nil); err != nil {
			t.Fatal(err)
		}
		var lines []map[string]any
		for line := range strings.Lines(b.String()) {
			var one map[string]any
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, one)
		}
		return lines
	}
	lines := list(data.Caller{}, `title != "s3cret 0"  && views < 7`)
	if len(lines) != 1 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	one := lines[0]
	if one["msg"] != "slow question" || one["collection"] != "posts" || one["filter"] != "title != ? && views < ?" || one["sort"] != "-views" || one["rows"] != 2.0 ||
		one["rule"] != "views < 100" || one["advice"] != "add to posts: indexes: - [views]" || one["ms"].(float64) <= 0 {
		t.Errorf("the line is %v", one)
	}
	if lines := list(data.Caller{}, `title != "other" && views < 8`); len(lines) != 0 {
		t.Errorf("the same shape is told again: %v", lines)
	}
	now = now.Add(time.Minute)
	if lines := list(data.Caller{}, `title != "other" && views < 8`); len(lines) != 1 {
		t.Errorf("after a minute there are %d lines", len(lines))
	}
	if lines := list(data.Caller{Operator: true}, `title == "s3cret 1"`); len(lines) != 1 || lines[0]["rule"] != nil || strings.Contains(fmt.Sprint(lines), "s3cret") {
		t.Errorf("for an operator: %v", lines)
	}
	b.Reset()
	if _, err := db.Groups(ctx, data.Caller{}, &data.GroupQuery{Collection: "posts", Group: "views", Aggregate: "count"}, nil); err != nil || !strings.Contains(b.String(), `"group":"views"`) {
		t.Errorf("groups: %s %v", b.String(), err)
	}
	quick, err := data.Open(context.Background(), app, eng, data.Options{Key: slowKey, Log: slog.New(slog.NewJSONHandler(&b, nil)), Slow: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	db = quick
	if lines := list(data.Caller{}, `title != "x"`); len(lines) != 0 {
		t.Errorf("a question that is not slow is told: %v", lines)
	}
}

func slowModel(t *testing.T) *spec.App {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(`collections:
  posts:
    fields: {title: {type: text, required: true}, views: {type: int, default: 0}}
    access: {read: views < 100, create: true}
`)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Extend("data", []byte(data.Collections)); err != nil {
		t.Fatal(err)
	}
	return app
}

var slowKey = []byte("a key of tests, which is long enough for that")
