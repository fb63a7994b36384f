package data

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// pausedAt applies an app and pauses behind the nth mark for longer than the lease, while another
// process applies the same to its end. It says at which mark, and what became of the first.
func pausedAt(t *testing.T, app *spec.App, eng driver.Engine, n int) (at string, err error) {
	t.Helper()
	m, err := Plan(t.Context(), app, eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true, batch: 3, after: func(text string) error {
		if n--; n == -1 {
			at = text
			late := func() time.Time { return time.Now().Add(time.Hour) }
			migrate(t, app, eng, ApplyOptions{AllowLoss: true, batch: 3, clock: late})
		}
		return nil
	}})
	return at, err
}

// A process that was suspended for longer than its lease, and overtaken, changes nothing more: its next
// step, whatever it is, is refused whole.
func TestAnOvertakenProcessChangesNothing(t *testing.T) {
	t.Parallel()
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			after := appOf(t, shopAfter)
			straight := shop(t, e.open(t))
			marks := 0
			migrate(t, after, straight, ApplyOptions{AllowLoss: true, batch: 3, after: func(string) error { marks++; return nil }})
			wantTables, _ := straight.Inspect(t.Context())
			want := append(rows(t, after, straight, "people"), rows(t, after, straight, "posts")...)
			if marks < 30 {
				t.Fatalf("%d marks: the case tests nothing", marks)
			}
			for i, every := 0, sparser(t, e.every); i < marks; i += every {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					eng := shop(t, e.open(t))
					at, err := pausedAt(t, after, eng, i)
					if at != "end" && (!fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "another process")) {
						t.Errorf("overtaken at %q it ends with %v, want a conflict", at, err)
					}
					compareTables(t, eng, wantTables)
					if got := append(rows(t, after, eng, "people"), rows(t, after, eng, "posts")...); !cmp.Equal(want, got) {
						t.Errorf("overtaken at %q: %s", at, cmp.Diff(want, got))
					}
					left, err := Plan(t.Context(), after, eng, migrateKey)
					if err != nil || len(left.Steps) != 0 || len(left.Drift) != 0 {
						t.Errorf("overtaken at %q, left to do: %v %q (%v)", at, texts(left), left.Drift, err)
					}
				})
			}
		})
	}
}

// The column that a conversion made has the name of the one that it replaced: a process that wakes before
// its step to drop the old one must not drop the new.
func TestAnOvertakenProcessDropsNoConvertedColumn(t *testing.T) {
	t.Parallel()
	for _, e := range migrated {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			eng := e.open(t)
			before := appOf(t, "  posts: {fields: {a: {type: int}}, access: {read: true}}\n")
			after := appOf(t, "  posts: {fields: {a: {type: text}}, access: {read: true}}\n")
			migrate(t, before, eng, ApplyOptions{})
			put(t, before, eng, "posts", map[string]Value{"a": expr.IntOf(7)}, map[string]Value{"a": expr.IntOf(8)})
			marks := []string{}
			m, err := Plan(t.Context(), after, eng, migrateKey)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Apply(t.Context(), eng, ApplyOptions{after: func(text string) error {
				if marks = append(marks, text); strings.HasPrefix(text, "noted ") && strings.HasSuffix(text, ": copy the values") {
					migrate(t, after, eng, ApplyOptions{clock: func() time.Time { return time.Now().Add(time.Minute) }})
					marks = append(marks, "overtaken")
				}
				return nil
			}})
			if !fault.Is(err, fault.Conflict) || marks[len(marks)-1] != "overtaken" {
				t.Errorf("%v behind %q, want a conflict behind what overtook it", err, marks[len(marks)-1])
			}
			if diff := cmp.Diff([]string{`a="7"`, `a="8"`}, rows(t, after, eng, "posts")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A process whose clock is far behind takes over from one that died as soon as another would.
func TestAClockThatIsBehindTakesOver(t *testing.T) {
	t.Parallel()
	eng, after := shop(t, memory.Open()), appOf(t, shopAfter)
	m, err := Plan(t.Context(), after, eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true, after: func(string) error { return errPulled }})
	if !errors.Is(err, errPulled) {
		t.Fatalf("%v, want the crash", err)
	}
	var asked time.Duration
	start := time.Now().Add(-time.Hour)
	behind := func() time.Time { asked++; return start.Add(asked * time.Second) }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := m.Apply(ctx, eng, ApplyOptions{AllowLoss: true, clock: behind}); err != nil {
		t.Error(err)
	}
}

// slow is an engine whose tables change while they are told.
type slow struct {
	driver.Engine
	meanwhile func()
}

func (e *slow) Inspect(ctx context.Context) ([]driver.Table, error) {
	tables, err := e.Engine.Inspect(ctx)
	if do := e.meanwhile; do != nil {
		e.meanwhile = nil
		do()
	}
	return tables, err
}

// What was done is judged by tables that are not older than the journal: a column that had the name of
// the converted one before the conversion does not show that it is done.
func TestTakingOverLooksAtTheTablesOfTheJournal(t *testing.T) {
	t.Parallel()
	eng := &slow{Engine: memory.Open()}
	before := appOf(t, "  posts: {fields: {a: {type: int}}, access: {read: true}}\n")
	after := appOf(t, "  posts: {fields: {a: {type: text}}, access: {read: true}}\n")
	migrate(t, before, eng, ApplyOptions{})
	put(t, before, eng, "posts", map[string]Value{"a": expr.IntOf(7)})
	m, err := Plan(t.Context(), after, eng, migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	eng.meanwhile = func() {
		err := m.Apply(t.Context(), eng, ApplyOptions{after: func(text string) error {
			if strings.HasPrefix(text, "noted drop the old column") {
				return errPulled
			}
			return nil
		}})
		if !errors.Is(err, errPulled) {
			t.Errorf("%v, want the crash", err)
		}
	}
	late := func() time.Time { return time.Now().Add(time.Minute) }
	if err := m.Apply(t.Context(), eng, ApplyOptions{clock: late}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`a="7"`}, rows(t, after, eng, "posts")); diff != "" {
		t.Error(diff)
	}
}
