package telemetry

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/bluell/plinth/internal/web"
)

var _ web.Observer = (*Telemetry)(nil)

// Began begins the span of a request.
func (t *Telemetry) Began(r *http.Request) context.Context {
	if t.metrics != nil {
		t.inFlight.Add(1)
	}
	ctx := r.Context()
	if t.traces == nil && !t.timing {
		return ctx
	}
	a := &act{Context: ctx, start: time.Now()}
	if t.traces != nil {
		t.begin(a, r)
		if a.span == nil && !t.timing {
			return ctx
		}
	}
	return a
}

// begin begins a trace. Where a proxy of ours has begun one, the request is part of it. What anybody else says of a trace is only a link: or
// strangers would decide what is kept, and under which id.
func (t *Telemetry) begin(a *act, r *http.Request) {
	parent := context.Background()
	opts := [3]trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(a.start)}
	n := 2
	if len(r.Header["Traceparent"]) == 1 {
		said := trace.SpanContextFromContext(w3c.Extract(parent, propagation.HeaderCarrier(r.Header)))
		switch {
		case !said.IsValid():
		case t.trusts(r.RemoteAddr):
			parent = trace.ContextWithRemoteSpanContext(parent, said)
		default:
			opts[n], n = trace.WithLinks(trace.Link{SpanContext: said}), n+1
		}
	}
	ctx, span := t.traces.tracer.Start(parent, "request", opts[:n]...)
	if span.IsRecording() {
		a.span = span
		a.Context = trace.ContextWithSpan(a.Context, trace.SpanFromContext(ctx))
	}
}

var w3c propagation.TraceContext

func (t *Telemetry) trusts(remote string) bool {
	proxies := t.proxies.Load()
	if proxies == nil {
		return false
	}
	at, err := netip.ParseAddrPort(remote)
	return err == nil && proxies.Has(at.Addr())
}

// Trace is the id of a request's trace, if it is kept.
func (t *Telemetry) Trace(ctx context.Context) string {
	if a := t.actOf(ctx); a != nil && a.span != nil {
		return a.span.SpanContext().TraceID().String()
	}
	return ""
}

// Answers tells a developer's browser where the time went until the answer was begun, in milliseconds.
func (t *Telemetry) Answers(ctx context.Context, h http.Header) {
	if !t.timing {
		return
	}
	a := t.actOf(ctx)
	if a == nil {
		return
	}
	ms := func(dst []byte, name string, d time.Duration) []byte {
		return strconv.AppendFloat(append(append(dst, name...), ";dur="...), float64(d.Microseconds())/1000, 'f', 3, 64)
	}
	b := ms(make([]byte, 0, 64), "total", time.Since(a.start))
	b = ms(append(b, ", "...), "db", time.Duration(a.db.Load()))
	if rule := a.rule.Load(); rule > 0 {
		b = ms(append(b, ", "...), "rule", time.Duration(rule))
	}
	h["Server-Timing"] = []string{string(b)}
}

// Streams takes a request out of those under way: it lasts as long as its client wants.
func (t *Telemetry) Streams(context.Context) {
	if t.metrics != nil {
		t.inFlight.Add(-1)
	}
}

// Ended counts a request and ends its span.
func (t *Telemetry) Ended(ctx context.Context, e web.Exchange) {
	if t.metrics != nil {
		if !e.Stream {
			t.inFlight.Add(-1)
		}
		t.request(&e)
	}
	a := t.actOf(ctx)
	if a == nil || a.span == nil {
		return
	}
	method := methods[methodOf(e.Method)]
	name := method
	attrs := make([]attribute.KeyValue, 0, 8)
	if e.Route != "" {
		name += " " + e.Route
		attrs = append(attrs, attribute.String("http.route", e.Route))
	}
	attrs = append(attrs, attribute.String("http.request.method", method), attribute.Int("http.response.status_code", e.Status),
		attribute.Int64("http.response.body.size", e.Out))
	if e.Caller != "" {
		attrs = append(attrs, attribute.String("plinth.caller", e.Caller))
	}
	if e.Request != "" {
		attrs = append(attrs, attribute.String("plinth.request", e.Request))
	}
	if e.Status >= 500 || e.Err != nil {
		attrs = append(attrs, attribute.String("error.type", strconv.Itoa(e.Status)))
		a.span.SetStatus(codes.Error, "")
	}
	a.span.SetName(name)
	a.span.SetAttributes(attrs...)
	a.span.End(trace.WithTimestamp(e.Start.Add(e.Took)))
}
