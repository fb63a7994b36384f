package fault

import "testing"

func TestEveryKindHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]Kind{}
	for k := range Unique + 1 {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		} else if other, twice := seen[k.String()]; twice {
			t.Errorf("kinds %d and %d are both %q", other, k, k)
		}
		seen[k.String()] = k
	}
}

func TestPointer(t *testing.T) {
	t.Parallel()
	for want, steps := range map[string][]string{"": nil, "/": {""}, "/a/0": {"a", "0"}, "/~01/~1~0": {"~1", "/~"}} {
		if got := Pointer(steps...); got != want {
			t.Errorf("%q: %s, want %s", steps, got, want)
		}
	}
}
