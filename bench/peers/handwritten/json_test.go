package main

import (
	"encoding/json"
	"testing"
	"time"
)

func TestAppendTimeIsRFC3339(t *testing.T) {
	for ms := int64(0); ms < 4_102_444_800_000; ms += 7_919_333_777 / 3 {
		want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(appendTime(nil, ms)); got != want {
			t.Fatalf("%d is %s, not %s", ms, got, want)
		}
	}
}

func TestAppendStringIsJSON(t *testing.T) {
	for _, want := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "café 😀 \u2028"} {
		var got string
		if err := json.Unmarshal(appendString(nil, want), &got); err != nil || got != want {
			t.Errorf("%q came back as %q: %v", want, got, err)
		}
	}
}

func TestMembersWalksValidJSON(t *testing.T) {
	var got []string
	err := members([]byte(` {"a" : "x\"}" , "b":[{"c":"]"},2], "d":-1.5e3,"e":{} , "f":null} `), func(key string, v []byte) error {
		got = append(got, key+"="+string(v))
		return nil
	})
	want := []string{`a="x\"}"`, `b=[{"c":"]"},2]`, `d=-1.5e3`, `e={}`, `f=null`}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%q, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s instead of %s", got[i], want[i])
		}
	}
}

func TestImages(t *testing.T) {
	old := post{id: "a", created: 1, updated: 2, rev: 3, title: "x", body: nullable[string]{null: true}, status: nullable[string]{value: "draft"},
		views: nullable[int64]{null: true}, author: "b"}
	p := old
	p.rev, p.updated, p.title, p.body, p.status = 4, 3, "y", nullable[string]{value: `"z"`}, nullable[string]{null: true}
	c := patched(&old, &p, title|body|status)
	const wantOld = `{"updated":"1970-01-01T00:00:00.002Z","rev":3,"title":"x","body":null,"status":"draft"}`
	const wantNew = `{"id":"a","created":"1970-01-01T00:00:00.001Z","updated":"1970-01-01T00:00:00.003Z","rev":4,"title":"y","body":"\"z\"","author":"b"}`
	if c.old != wantOld || c.new != wantNew {
		t.Errorf("%s\n%s", c.old, c.new)
	}
}
