package password

import (
	"bytes"
	"compress/flate"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var zxcvbn = flag.String("zxcvbn", "", "make common.deflate anew of this file: src/frequency_lists.coffee of npm's zxcvbn 4.4.2")

// The list is sorted, as looking through it needs, and has enough that no other rule refuses.
func TestCommonList(t *testing.T) {
	if *zxcvbn != "" {
		makeCommon(t, *zxcvbn)
	}
	words := strings.Split(strings.TrimSuffix(string(common()), "\n"), "\n")
	if !slices.IsSorted(words) || len(slices.Compact(slices.Clone(words))) != len(words) {
		t.Error("the list is not sorted, or has something twice")
	}
	long := 0
	for _, w := range words {
		if !listed(w) {
			t.Errorf("%q is in the list and not found", w)
		}
		if len(w) >= 8 {
			long++
		}
	}
	if long < 10_000 {
		t.Errorf("%d of %d have 8 characters or more", long, len(words))
	}
	t.Logf("%d words, %d of at least 8 characters, %d bytes packed, %d unpacked", len(words), long, len(packed), len(common()))
	for _, w := range []string{"", "\n", "password\npassword", "passwordd", "zzzzzzzzzzzz~", "!"} {
		if listed(w) {
			t.Errorf("%q is found and not in the list", w)
		}
	}
}

func makeCommon(t *testing.T, file string) {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*passwords: '([^']*)'`).FindSubmatch(source)
	if found == nil {
		found = regexp.MustCompile(`(?m)^\s*passwords: "([^"]*)"`).FindSubmatch(source)
	}
	if found == nil {
		t.Fatal("there is no list of passwords in it")
	}
	var words []string
	for _, w := range strings.Split(string(found[1]), ",") {
		if f := fold(w); len(f) >= shortest {
			words = append(words, skeleton(f))
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	var plain, out bytes.Buffer
	before := ""
	for _, w := range words {
		n := 0
		for n < len(w) && n < len(before) && w[n] == before[n] {
			n++
		}
		plain.WriteByte(byte(n))
		plain.WriteString(w[n:] + "\n")
		before = w
	}
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(plain.Bytes()) // a Buffer takes everything
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	packed = bytes.Clone(out.Bytes())
	if err := os.WriteFile("common.deflate", packed, 0o644); err != nil {
		t.Fatal(err)
	}
}
