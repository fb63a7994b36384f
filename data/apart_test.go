package data

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
)

// apart is an engine whose tables do not change in transactions. It crashes between the step and the
// fence when crash is counted down.
type apart struct {
	driver.Engine
	crash int
}

var errUndo = errors.New("undo")

func (e *apart) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	if fence == nil {
		return e.Engine.Apply(ctx, s, nil)
	}
	err := e.Write(ctx, func(tx driver.Tx) error {
		if err := fence(tx); err != nil {
			return err
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		return err
	}
	if err := e.Engine.Apply(ctx, s, nil); err != nil {
		return err
	}
	if e.crash--; e.crash == 0 {
		return errPulled
	}
	return e.Write(ctx, fence)
}

// A step whose entry was lost is found to be done by what the tables show, and the plan goes on behind it.
func TestApplyResumesBehindAStepThatWasNotNoted(t *testing.T) {
	t.Parallel()
	after := appOf(t, shopAfter)
	straight := shop(t, memory.Open())
	migrate(t, after, straight, ApplyOptions{AllowLoss: true})
	wantTables, _ := straight.Inspect(t.Context())
	want := append(rows(t, after, straight, "people"), rows(t, after, straight, "posts")...)
	for i := 1; ; i++ {
		eng := &apart{Engine: shop(t, memory.Open())}
		m, err := Plan(t.Context(), after, eng, migrateKey)
		if err != nil {
			t.Fatal(err)
		}
		eng.crash = i
		err = m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true})
		if err == nil {
			if i < 20 {
				t.Errorf("%d steps: the case tests nothing", i)
			}
			return
		}
		if !errors.Is(err, errPulled) {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			m, err := Plan(t.Context(), after, eng, migrateKey)
			if err != nil || len(m.Drift) > 0 {
				t.Fatalf("%q (%v)", m.Drift, err)
			}
			if err := m.Apply(t.Context(), eng, ApplyOptions{AllowLoss: true}); err != nil {
				t.Fatal(err)
			}
			compareTables(t, eng, wantTables)
			if diff := cmp.Diff(want, append(rows(t, after, eng, "people"), rows(t, after, eng, "posts")...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
