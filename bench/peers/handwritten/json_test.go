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
