package rest

import (
	"strings"
	"testing"
)

func TestByteRanges(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"bytes=0-3": "0-3", "Bytes=5-": "5-", "bytes=-5": "-5", "bytes= 0-1 ,, 3-4": "0-1,3-4", "bytes=007-010": "7-10",
		"bytes=0-99999999999999999999": "0-" + beyond, "bytes=99999999999999999999-": beyond + "-", "bytes=-99999999999999999999": "-" + beyond,
		"bytes=0-9223372036854775808": "0-" + beyond, "bytes=0-" + beyond: "0-" + beyond, "bytes=-0": beyond + "-",
		"items=0-1": "", "bytes": "", "bytes=": "", "bytes=,": "", "bytes=a": "", "bytes=-": "", "bytes=a-b": "", "bytes=2-1": "", "bytes=0--1": "",
		"bytes=0-1,x": "", "bytes=99999999999999999999-99999999999999999998": "", "bytes =0-1": "", "bytes=+1-2": "",
	} {
		if got := byteRanges(asked); got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
}

func FuzzByteRanges(f *testing.F) {
	f.Add("bytes=0-3, -5,7-")
	f.Fuzz(func(t *testing.T, asked string) {
		if once := byteRanges(asked); once != "" && (byteRanges("bytes="+once) != once || strings.ContainsAny(once, " \t")) {
			t.Errorf("%q: %q", asked, once)
		}
	})
}
