package expr

import (
	"strings"
	"testing"
)

func TestOutline(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`author == "Anna"  &&
			views>=10`: `author == ? && views>=?`,
		`title.startsWith('s3cret') || ok == true`:    `title.startsWith(?) || ok == true`,
		`price < -1.5 // s3cret`:                      `price < -?`,
		`tag in ["a", "b"] && x == param.x`:           `tag in [?, ?] && x == param.x`,
		`title == r"s3cret" || title == """s3cret"""`: `title == ? || title == ?`,
		`title == "s3cret`:                            `title ==`,
		``:                                            ``,
	} {
		got := Outline(src)
		if got != want {
			t.Errorf("%s: %q, not %q", src, got, want)
		}
		if strings.Contains(got, "s3cret") {
			t.Errorf("%s: a value is told: %q", src, got)
		}
	}
}
