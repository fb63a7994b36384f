package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/bluell/plinth/spec"
)

// Options of New.
type Options struct {
	Metrics bool // there is a listener on which they are asked for
	Timing  bool // answers tell how long they took (Server-Timing)

	Env     func(string) (string, bool) // OTEL_…
	Name    string                      // of the app, where OTEL_SERVICE_NAME is not set
	Version string                      // of Plinth
	Engine  string                      // of the database
	Log     *slog.Logger
}

// Telemetry observes a server. The methods of its observers are called by many goroutines.
type Telemetry struct {
	*metrics // nil: none are asked for
	traces   *traces
	timing   bool
	system   attribute.KeyValue // the database

	proxies atomic.Pointer[spec.Proxies]
}

// New makes what observes a server; nil where nothing is asked for. A variable that is wrong is an error that names it.
func New(o Options) (*Telemetry, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	traced, err := newTraces(&o)
	if err != nil {
		return nil, err
	}
	if !o.Metrics && !o.Timing && traced == nil {
		return nil, nil
	}
	t := &Telemetry{traces: traced, timing: o.Timing, system: attribute.String("db.system.name", systemOf(o.Engine))}
	if o.Metrics {
		t.metrics = newMetrics(&o)
	}
	return t, nil
}

// systemOf is the name that OpenTelemetry has for a database.
func systemOf(engine string) string {
	switch engine {
	case "postgres":
		return "postgresql"
	case "mongo":
		return "mongodb"
	}
	return engine
}

// Trust says whose traceparent is taken over: that of these proxies. It may be called again.
func (t *Telemetry) Trust(proxies spec.Proxies) {
	if t != nil {
		t.proxies.Store(&proxies)
	}
}

// Close sends what is left of the traces.
func (t *Telemetry) Close() error {
	if t == nil || t.traces == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return t.traces.provider.Shutdown(ctx)
}

// closing is how long the receiver of traces may take when the server ends.
const closing = 5 * time.Second

// act is a request, or a job, while it is worked on: whatever is observed in it belongs to it.
type act struct {
	context.Context
	span     trace.Span // nil: nobody looks at it
	start    time.Time
	db, rule atomic.Int64 // ns
	of       *act         // a transaction's: what it is part of
}

type actKey struct{}

func (a *act) Value(key any) any {
	if key == (actKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// actOf finds what goes on; nil: nothing that anybody looks at.
func (t *Telemetry) actOf(ctx context.Context) *act {
	if t.traces == nil && !t.timing {
		return nil
	}
	a, _ := ctx.Value(actKey{}).(*act)
	return a
}

// child begins a span below what goes on, at a moment that may have passed.
func (t *Telemetry) child(a *act, name string, start time.Time, kind trace.SpanKind, attrs ...attribute.KeyValue) trace.Span {
	_, span := t.traces.tracer.Start(trace.ContextWithSpan(context.Background(), a.span), name, trace.WithTimestamp(start), trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	return span
}
