package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// narrow lets what certmagic says into the log at the level of debugging: what an operator should know is said once, in
// words, by Managed. It keeps why issuers have refused, for that.
type narrow struct {
	log    *slog.Logger
	fields []zapcore.Field
	why    *reasons
}

func newNarrow(log *slog.Logger, why *reasons) *zap.Logger {
	return zap.New(&narrow{log: log, why: why})
}

func (n *narrow) Enabled(level zapcore.Level) bool {
	return level >= zapcore.ErrorLevel || n.log.Enabled(context.Background(), slog.LevelDebug)
}

func (n *narrow) With(fields []zapcore.Field) zapcore.Core {
	return &narrow{n.log, append(slices.Clip(n.fields), fields...), n.why}
}

func (n *narrow) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if n.Enabled(e.Level) {
		return to.AddCore(e, n)
	}
	return to
}

func (n *narrow) Write(e zapcore.Entry, fields []zapcore.Field) error {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range append(slices.Clip(n.fields), fields...) {
		f.AddTo(m)
	}
	if e.Message == "could not get certificate from issuer" {
		n.why.note(text(m, "identifier"), text(m, "issuer"), text(m, "error"))
	}
	attrs := []slog.Attr{slog.String("from", e.LoggerName)}
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		attrs = append(attrs, slog.Any(name, m.Fields[name]))
	}
	n.log.LogAttrs(context.Background(), slog.LevelDebug, e.Message, attrs...)
	return nil
}

func (n *narrow) Sync() error { return nil }

func text(m *zapcore.MapObjectEncoder, name string) string {
	s, _ := m.Fields[name].(string)
	return s
}

// reasons are why each issuer refused a name, since they were last told.
type reasons struct {
	mu  sync.Mutex
	all map[string][]string
}

func (r *reasons) note(name, issuer, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string][]string{}
	}
	if len(r.all[name]) < 10 {
		r.all[name] = append(r.all[name], issuer+": "+why)
	}
}

func (r *reasons) take(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all[name]
	delete(r.all, name)
	return all
}
