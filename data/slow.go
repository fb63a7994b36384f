package data

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/bluell/plinth/expr"
)

// asking is a question in the words of whoever asks.
type asking struct{ filter, sort, expand, group string }

const (
	slowAgain   = time.Minute     // until a question of the same shape is told again
	slowExplain = 2 * time.Second // for the engine to say how it answers
	mostOutline = 1000            // bytes that are told of a filter
)

// slowly logs a question that began at start and has taken longer than the app's questions should: once in slowAgain for all of its
// shape. It tells the shape of the filter, not its values; the rule that was joined to it; and the index that would help, as Explain does.
func (db *DB) slowly(ctx context.Context, by *Caller, a asking, p *page, start time.Time) {
	took := time.Since(start)
	if took < db.slow || p.v.none {
		return
	}
	last, now := p.draft.told.Load(), db.clock().UnixMilli()
	if last != 0 && max(now-last, last-now) < slowAgain.Milliseconds() || !p.draft.told.CompareAndSwap(last, now) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 10), slog.String("collection", p.draft.k.Name))
	for _, w := range []struct{ name, text string }{{"filter", expr.Outline(a.filter)}, {"sort", a.sort}, {"group", a.group}, {"expand", a.expand}} {
		if len(w.text) > mostOutline {
			w.text = w.text[:mostOutline] + "…"
		}
		if w.text != "" {
			attrs = append(attrs, slog.String(w.name, w.text))
		}
	}
	if rule := p.draft.k.Access.Read; rule != nil && !by.Operator {
		attrs = append(attrs, slog.String("rule", rule.Source))
	}
	attrs = append(attrs, slog.Int("rows", p.rows), slog.Float64("ms", math.Round(took.Seconds()*1e6)/1e3))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowExplain) // its own time may be over
	defer cancel()
	x, err := p.v.stmt.Explain(ctx, p.args)
	switch advice := p.advice(&x); {
	case err != nil:
		attrs = append(attrs, slog.Any("unexplained", err))
	case len(advice) > 0:
		attrs = append(attrs, slog.String("advice", advice[0]))
	case len(x.Scans)+len(x.Indexes) > 0:
		attrs = append(attrs, slog.Any("indexes", x.Indexes), slog.Any("scans", x.Scans))
	}
	db.log.LogAttrs(ctx, slog.LevelWarn, "slow question", attrs...)
}
