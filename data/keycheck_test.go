package data

import (
	"testing"

	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

var wrongKey = []byte("another key, which is long enough too")

func TestAWrongKeyIsRefused(t *testing.T) {
	t.Parallel()
	app := appOf(t, `
  people: {fields: {name: {type: text, max: 9}}}
`)
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			eng := e.open(t)
			migrate(t, app, eng, ApplyOptions{})
			for range 2 {
				if _, err := Plan(t.Context(), app, eng, wrongKey); !fault.Is(err, fault.Invalid) {
					t.Errorf("another key: %v", err)
				}
				for _, key := range [][]byte{migrateKey, nil} {
					m, err := Plan(t.Context(), app, eng, key)
					if err != nil {
						t.Fatal(err)
					}
					if err := m.KeepKey(t.Context(), eng); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// A database that was made before keys were noted, or without one, gets its key noted at the next start;
// one that does not open what is sealed there is refused, and the right one goes on.
func TestAKeyIsNotedLater(t *testing.T) {
	t.Parallel()
	app := appOf(t, `
  people: {fields: {name: {type: text, max: 9}, code: {type: text, max: 9, encrypted: true}}}
`)
	eng := memory.Open()
	m, err := Plan(t.Context(), app, eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(t.Context(), eng, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, app, eng, "people", map[string]Value{"code": expr.TextOf("x")})
	start := func(key []byte) error {
		m, err := Plan(t.Context(), app, eng, key)
		if err != nil {
			return err
		}
		if len(m.Steps) > 0 {
			t.Errorf("steps: %q", texts(m))
		}
		return m.KeepKey(t.Context(), eng)
	}
	for _, s := range []struct {
		key  []byte
		want bool
	}{{wrongKey, false}, {migrateKey, true}, {wrongKey, false}, {migrateKey, true}} {
		if err := start(s.key); (err == nil) != s.want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", s.key, err)
		}
	}
}
