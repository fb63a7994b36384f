package postgres_test

import (
	"strings"
	"testing"

	"github.com/bluell/plinth/data/postgres/pgtest"
)

// TestWarnings: a server that syncs nothing is warned of, and one that does is not.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address string
		want    []string // what each says is to be set
	}{
		{pgtest.Database(t), []string{"fsync = on", "full_page_writes = on"}},
		{pgtest.Start(t, "fsync=on", "full_page_writes=on", "synchronous_commit=off").Database(t), nil},
	} {
		got, err := open(t, c.address).Warnings(t.Context())
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%q (%v), want %q", got, err, c.want)
			continue
		}
		for i, text := range got {
			if !strings.HasSuffix(text, "; set "+c.want[i]) {
				t.Errorf("%q does not say %q", text, c.want[i])
			}
		}
	}
}
