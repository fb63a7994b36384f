package data_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
)

// silent is an engine whose writes wait while the test says so, as behind a network that swallows all.
type silent struct {
	driver.Engine
	wait atomic.Pointer[chan struct{}]
}

func (e *silent) Write(ctx context.Context, fn func(driver.Tx) error) error {
	if c := e.wait.Load(); c != nil {
		<-*c
	}
	return e.Engine.Write(ctx, fn)
}

// Who cannot renew its lease, because the database says nothing at all, is told so before another may have it.
func TestConsumerIsToldWhenTheDatabaseIsSilent(t *testing.T) {
	t.Parallel()
	const lease = 200 * time.Millisecond
	eng := &silent{Engine: memory.Open()}
	h := openOn(t, "name: x\ncollections: {notes: {fields: {name: {type: text}}}}\n", eng)
	body := doc.NewObject()
	body.Set("name", doc.NewString("a"))
	if _, err := h.Create(h.ctx, data.System, "notes", body, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(h.ctx)
	told := make(chan bool, 10)
	ended := make(chan error, 1)
	speaks := make(chan struct{})
	go func() {
		ended <- h.Consume(ctx, data.Consumer{Name: "it", Oldest: true, Lease: lease, Do: func(ctx context.Context, _ []*data.Change) error {
			eng.wait.Store(&speaks)
			select {
			case <-ctx.Done():
				told <- true
			case <-time.After(30 * time.Second):
				told <- false
			}
			eng.wait.Store(nil)
			close(speaks)
			stop()
			return nil
		}})
	}()
	if !<-told {
		t.Error("it was not told")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A lease that was taken by a clock that was a day ahead, and that nobody renews, keeps a consumer waiting for twice its own time.
func TestConsumerAfterTheClockWasPutBack(t *testing.T) {
	t.Parallel()
	h := openOn(t, "name: x\ncollections: {notes: {fields: {name: {type: text}}}}\n", memory.Open())
	gone, held, err := h.Lease(h.ctx, "consumer:it", "gone", 24*time.Hour)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	body := doc.NewObject()
	body.Set("name", doc.NewString("a"))
	if _, err := h.Create(h.ctx, data.System, "notes", body, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(h.ctx, 30*time.Second)
	defer stop()
	told := false
	err = h.Consume(ctx, data.Consumer{Name: "it", Oldest: true, Lease: 50 * time.Millisecond, Do: func(context.Context, []*data.Change) error {
		told = true
		stop()
		return nil
	}})
	if err != nil || !told {
		t.Fatal(told, err)
	}
	if l, held, err := h.Lease(h.ctx, "consumer:it", "gone", time.Second); err != nil || held && l.Term == gone.Term {
		t.Errorf("who had it has it still: %+v %t %v", l, held, err)
	}
}

// interrupted is an engine before whose next write something else happens.
type interrupted struct {
	driver.Engine
	meanwhile func()
}

func (e *interrupted) Write(ctx context.Context, fn func(driver.Tx) error) error {
	if do := e.meanwhile; do != nil {
		e.meanwhile = nil
		do()
	}
	return e.Engine.Write(ctx, fn)
}

// A consumer that goes on while somebody looks has lost nothing.
func TestConsumersWhileTheyGoOn(t *testing.T) {
	t.Parallel()
	eng := &interrupted{Engine: memory.Open()}
	h := openOn(t, "name: x\ncollections: {notes: {fields: {name: {type: text}}}}\n", eng)
	goOn := func() {
		if _, err := h.Create(h.ctx, data.System, "notes", doc.NewObject(), data.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(h.ctx, 30*time.Second)
		defer stop()
		err := h.Consume(ctx, data.Consumer{Name: "it", Oldest: true, Do: func(context.Context, []*data.Change) error { stop(); return nil }})
		if err != nil {
			t.Fatal(err)
		}
	}
	goOn()
	eng.meanwhile = goOn
	all, err := h.Consumers(h.ctx)
	if err != nil || len(all) != 1 || all[0].Behind != 0 || all[0].At.Number != 2 || eng.meanwhile != nil {
		t.Errorf("%+v, %v, want one that is not behind", all, err)
	}
}

// A consumer whose process is gone does not run.
func TestConsumersThatAreGone(t *testing.T) {
	onEach(t, "name: x\ncollections: {notes: {fields: {name: {type: text}}}}\n", func(h *house) {
		if _, held, err := h.Lease(h.ctx, "consumer:gone", "a process that is killed", time.Millisecond); err != nil || !held {
			h.t.Fatal(held, err)
		}
		if _, held, err := h.Lease(h.ctx, "consumer:there", "another", time.Hour); err != nil || !held {
			h.t.Fatal(held, err)
		}
		for end := time.Now().Add(30 * time.Second); ; {
			all, err := h.Consumers(h.ctx)
			if err != nil || len(all) != 2 || all[1].Holder != "another" {
				h.t.Fatal(all, err)
			}
			if all[0].Holder == "" {
				return
			}
			if time.Now().After(end) {
				h.t.Fatalf("who is gone runs: %+v", all)
			}
		}
	})
}
