package plinth

import (
	"context"
	"testing"
	"time"
)

func TestTurnstile(t *testing.T) {
	t.Parallel()
	var gate turnstile
	if !gate.enter(t.Context()) {
		t.Fatal("it is shut from the start")
	}
	shut := make(chan struct{})
	go func() {
		gate.close(time.Hour)
		close(shut)
	}()
	for { // until close has begun: then nobody comes in
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		entered := gate.enter(ctx)
		cancel()
		if !entered {
			break
		}
		gate.leave()
	}
	select {
	case <-shut:
		t.Fatal("it did not wait for the one inside")
	default:
	}
	gate.leave()
	<-shut
	came := make(chan bool)
	go func() { came <- gate.enter(t.Context()) }()
	select {
	case <-came:
		t.Fatal("somebody came in while it was shut")
	case <-time.After(10 * time.Millisecond):
	}
	gate.open()
	if !<-came {
		t.Fatal("nobody came in when it opened")
	}
	gate.close(time.Millisecond) // the one inside does not leave: that does not hold it for ever
	gate.open()
	gate.leave()
	if n := gate.inside.Load(); n != 0 {
		t.Errorf("%d inside", n)
	}
}
