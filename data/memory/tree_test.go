package memory

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTreeIsAMapAndKeepsItsPast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type moment struct {
			tree tree[int]
			want map[string]int
		}
		var past []moment
		now := moment{want: map[string]int{}}
		for i := range rapid.IntRange(1, 80).Draw(t, "changes") {
			key := rapid.StringMatching(`[a-d]{0,2}`).Draw(t, "key")
			want := maps.Clone(now.want)
			if rapid.Bool().Draw(t, "delete") {
				delete(want, key)
				now = moment{now.tree.del(key), want}
			} else {
				want[key] = i
				now = moment{now.tree.put(key, i), want}
			}
			past = append(past, now)
		}
		for _, m := range past {
			var keys []string
			m.tree.each(func(k string, v int) bool {
				keys = append(keys, k)
				if got, ok := m.tree.get(k); !ok || got != v || m.want[k] != v {
					t.Fatalf("%q is %d, want %d", k, v, m.want[k])
				}
				return true
			})
			if want := slices.Sorted(maps.Keys(m.want)); !slices.Equal(keys, want) || m.tree.size != len(want) {
				t.Fatalf("keys %q (size %d), want %q", keys, m.tree.size, want)
			}
		}
	})
}
