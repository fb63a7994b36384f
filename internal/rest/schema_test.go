package rest

import "testing"

func TestPortable(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		`^[a-z0-9-]+$`: true, `^[^#]*$`: true, `^(?:a|b){1,3}\.\d{2,}$`: true, `^[\w\-.]+\/x$`: true, `^[0-9+()/ .-]{5,40}$`: true,
		`(?i)a`: false, `(?i:a)`: false, `(?P<n>a)`: false, `[[:digit:]]`: false, `\pL`: false, `\p{Greek}`: false, `\A1\z`: false,
		`\s`: false, `\Qa.b\E`: false, `\x{10FFFF}`: false, `a\-b`: false, `\@`: false, `[]a]`: false, `[^]a]`: false,
		`a}`: false, `a]`: false, `a{,2}`: false, `{`: false, `a\`: false,
	} {
		if portable(pattern) != want {
			t.Errorf("%s: %t", pattern, !want)
		}
	}
}
