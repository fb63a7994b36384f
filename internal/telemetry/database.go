package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

var _ data.Observer = (*Telemetry)(nil)

// Asked counts a statement, and is a span.
func (t *Telemetry) Asked(ctx context.Context, s data.Statement) {
	if t.metrics != nil {
		t.statement(&s)
	}
	a := t.actOf(ctx)
	if a == nil {
		return
	}
	if !s.Inside {
		a.db.Add(int64(s.Took))
	}
	if a.span == nil {
		return
	}
	name := s.Kind
	if s.Collection != "" {
		name += " " + s.Collection
	}
	attrs := append(make([]attribute.KeyValue, 0, 5), t.system, attribute.String("db.operation.name", s.Kind), attribute.String("db.collection.name", s.Collection))
	if s.Text != "" {
		attrs = append(attrs, attribute.String("db.query.text", s.Text))
	}
	t.end(t.child(a, name, s.Start, trace.SpanKindClient, attrs...), s.Start.Add(s.Took), s.Err)
}

// end ends a span. Of an error only its kind is told: its text may be about somebody.
func (t *Telemetry) end(span trace.Span, at time.Time, err error) {
	if err != nil {
		span.SetAttributes(attribute.String("error.type", fault.Of(err).String()))
		if failed(err) {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End(trace.WithTimestamp(at))
}

// failed says whether an error is the server's own, not that somebody asked for what is not to be had.
func failed(err error) bool {
	switch fault.Of(err) {
	case fault.Internal, fault.Unavailable, fault.Full, fault.Retry:
		return true
	}
	return false
}

// Writes begins the span of a transaction.
func (t *Telemetry) Writes(ctx context.Context) context.Context {
	a := t.actOf(ctx)
	if a == nil || a.span == nil {
		return ctx
	}
	inside := &act{Context: ctx, start: time.Now(), of: a}
	inside.span = t.child(a, "transaction", inside.start, trace.SpanKindInternal, t.system)
	return inside
}

// Wrote counts a transaction and ends its span.
func (t *Telemetry) Wrote(ctx context.Context, w data.Transaction) {
	if t.metrics != nil {
		t.transaction(&w)
	}
	a := t.actOf(ctx)
	if a == nil {
		return
	}
	if a.of == nil {
		a.db.Add(int64(w.Took))
		return
	}
	a.of.db.Add(int64(w.Took))
	a.of.rule.Add(a.rule.Load())
	if w.Retried > 0 {
		a.span.SetAttributes(attribute.Int("plinth.retried", w.Retried))
	}
	t.end(a.span, w.Start.Add(w.Took), w.Err)
}

// Judged is the span of a rule.
func (t *Telemetry) Judged(ctx context.Context, j data.Judgement) {
	a := t.actOf(ctx)
	if a == nil {
		return
	}
	a.rule.Add(int64(j.Took))
	if a.span == nil {
		return
	}
	t.end(t.child(a, "rule", j.Start, trace.SpanKindInternal, attribute.String("plinth.rule", j.Rule), attribute.Bool("plinth.holds", j.Holds)), j.Start.Add(j.Took), j.Err)
}
