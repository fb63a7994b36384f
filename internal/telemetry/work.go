package telemetry

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Traced is the span of the request, or of the job, that a transaction is part of.
func (t *Telemetry) Traced(ctx context.Context) string {
	a := t.actOf(ctx)
	if a != nil && a.of != nil {
		a = a.of
	}
	if a == nil || a.span == nil || !a.span.SpanContext().IsSampled() {
		return ""
	}
	// What others say of the trace (tracestate) is not stored.
	said := propagation.MapCarrier{}
	w3c.Inject(trace.ContextWithSpanContext(context.Background(), a.span.SpanContext().WithTraceState(trace.TraceState{})), said)
	return said["traceparent"]
}

// Begun begins the trace of an attempt at a job: one of its own, with a link to what enqueued the job.
func (t *Telemetry) Begun(ctx context.Context, kind, by string) context.Context {
	if t.traces == nil {
		return ctx
	}
	a := &act{Context: ctx, start: time.Now()}
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(a.start), trace.WithAttributes(attribute.String("plinth.job.kind", kind))}
	if by != "" {
		if said := trace.SpanContextFromContext(w3c.Extract(context.Background(), propagation.MapCarrier{"traceparent": by})); said.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: said}))
		}
	}
	below, span := t.traces.tracer.Start(context.Background(), "job "+kind, opts...)
	if !span.IsRecording() {
		return ctx
	}
	a.span = span
	a.Context = trace.ContextWithSpan(ctx, trace.SpanFromContext(below))
	return a
}

// Tried counts an attempt at a job and ends its trace.
func (t *Telemetry) Tried(ctx context.Context, kind, result string, took time.Duration) {
	if t.metrics != nil {
		t.jobs.WithLabelValues(kind, result).Inc()
		t.jobTime.WithLabelValues(kind).Observe(took.Seconds())
	}
	if a := t.actOf(ctx); a != nil && a.span != nil {
		a.span.SetAttributes(attribute.String("plinth.job.result", result))
		if result == "failed" || result == "dead" {
			a.span.SetStatus(codes.Error, "")
		}
		a.span.End()
	}
}

// Mailed counts a mail: sent, failed (and perhaps tried again), expired.
func (t *Telemetry) Mailed(result string) {
	if t != nil && t.metrics != nil {
		t.mails.WithLabelValues(result).Inc()
	}
}

// SignedIn counts who has come in, by what.
func (t *Telemetry) SignedIn(by string) {
	if t.metrics != nil {
		t.signIns.WithLabelValues(by).Inc()
	}
}

// Refused counts a credential that was not good.
func (t *Telemetry) Refused(route, why string) {
	if t.metrics != nil {
		t.refusals.WithLabelValues(route, why).Inc()
	}
}

// Limited counts what was refused because it was tried too often.
func (t *Telemetry) Limited(what string) {
	if t.metrics != nil {
		t.limited.WithLabelValues(strings.ReplaceAll(what, " ", "_")).Inc()
	}
}
