package certs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// attempt is one order of a first certificate.
type attempt struct {
	end context.CancelFunc
	err error
}

type attemptKey struct{}

// over ends the attempt that a context is of.
func over(ctx context.Context, err error) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		a.err = err
		a.end()
	}
}

// postponed is that it is not yet the time to order again.
type postponed struct{ until time.Time }

func (p *postponed) Error() string {
	return "an order has failed, and the next is due at " + p.until.UTC().Format(time.RFC3339)
}

// failure is what processes tell each other of orders of a name that have failed since the last that has not.
type failure struct {
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
	Next  time.Time `json:"next"`
}

func failureKey(name string) string { return "failures/" + name + ".json" }

// steps are the waits after failures, in units: of a minute, so that a name is looked at five times in the first hour, as
// Let's Encrypt allows.
var steps = []float64{1. / 3, 4, 12, 30, 60, 180, 360}

func (m *Managed) wait(times int) time.Duration {
	return time.Duration(steps[min(times, len(steps))-1] * float64(m.o.unit))
}

func (m *Managed) failure(ctx context.Context, name string) (f failure) {
	text, err := m.store.Load(ctx, failureKey(name))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		m.log.Warn("it is not known how often orders of a certificate have failed", "domain", name, "error", err)
	}
	return f
}

// later is *postponed when an order of a name has failed, at any process, and the next is not due; what failed before this process
// began does not count: whoever has repaired something starts it anew.
func (m *Managed) later(ctx context.Context, name string) error {
	if f := m.failure(ctx, name); f.Last.After(m.since) && time.Now().Before(f.Next) {
		return &postponed{f.Next}
	}
	return nil
}

// event hears what certmagic does, with the lock of the name held.
func (m *Managed) event(ctx context.Context, event string, about map[string]any) error {
	name, _ := about["identifier"].(string)
	renewal, _ := about["renewal"].(bool)
	switch event {
	case "cert_obtaining":
		if err := m.later(ctx, name); err != nil {
			over(ctx, err)
			return err
		}
	case "cert_failed":
		err, _ := about["error"].(error)
		m.failed(ctx, name, err)
		over(ctx, &postponed{})
	case "cert_obtained":
		if err := m.store.Delete(ctx, failureKey(name)); err != nil {
			m.log.Warn("it could not be noted that a certificate was obtained", "domain", name, "error", err)
		}
		m.why.take(name)
		m.log.Info("a certificate was obtained", "domain", name, "issuer", about["issuer"], "renewal", renewal)
	}
	return nil
}

// failed notes a failure for all processes, and tells it.
func (m *Managed) failed(ctx context.Context, name string, err error) {
	why := strings.Join(m.why.take(name), "; ")
	if why == "" {
		why = fmt.Sprint(err)
	}
	if ctx.Err() != nil {
		return // the process ends
	}
	f := m.failure(ctx, name)
	f.Times, f.Last = f.Times+1, time.Now().UTC()
	f.Next = f.Last.Add(m.wait(f.Times))
	text, _ := json.Marshal(f)
	if err := m.store.Store(ctx, failureKey(name), text); err != nil {
		m.log.Warn("it could not be noted that an order of a certificate has failed", "domain", name, "error", err)
	}
	attrs := []any{"domain", name, "error", why, "times", f.Times, "next", f.Next}
	if leaf := m.served(name); leaf != nil {
		m.log.Warn("a certificate was not renewed: the present one is served", append(attrs, "until", leaf.NotAfter)...)
		return
	}
	m.log.Warn("a certificate was not obtained: https does not answer under this name yet", attrs...)
}
