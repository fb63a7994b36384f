package serve

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lines is a slog.Handler for people: a line begins with the time and the level; that of a request goes on with the method, the route,
// the status and the time in columns, any other with its text; then comes the rest, as name=value. What is not to be printed is quoted, so
// that nothing that is logged can look like another line.
type Lines struct {
	mu     *sync.Mutex
	w      io.Writer
	level  slog.Leveler
	colour bool
	prefix string // of groups
	before []byte // attributes that With has given
}

// NewLines makes one that writes to w.
func NewLines(w io.Writer, level slog.Leveler, colour bool) *Lines {
	return &Lines{mu: &sync.Mutex{}, w: w, level: level, colour: colour}
}

func (l *Lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

func (l *Lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	with.before = append([]byte(nil), l.before...)
	for _, a := range attrs {
		with.before = l.attr(with.before, l.prefix, a)
	}
	return &with
}

func (l *Lines) WithGroup(name string) slog.Handler {
	with := *l
	if name != "" {
		with.prefix += name + "."
	}
	return &with
}

// ANSI colours.
const (
	plainText = "\x1b[0m"
	faint     = "\x1b[2m"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	cyan      = "\x1b[36m"
)

// columns of the line of a request.
const routeWidth = 36

func (l *Lines) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	b = l.paint(b, faint, r.Time.Format("15:04:05.000"))
	b = append(b, ' ')
	b = l.paint(b, levelColour(r.Level), pad(r.Level.String(), 5))
	b = append(b, ' ')
	shown := map[string]bool{}
	if method := value(&r, "method"); r.Message == "request" && method != "" {
		shown = map[string]bool{"method": true, "route": true, "status": true, "ms": true}
		status := value(&r, "status")
		b = append(b, pad(printable(method), 7)+" "+pad(printable(value(&r, "route")), routeWidth)+" "...)
		b = l.paint(b, statusColour(status), status)
		b = append(b, pad(" ", max(1, 9-len(value(&r, "ms"))))+value(&r, "ms")+" ms"...)
	} else {
		b = append(b, printable(r.Message)...)
	}
	b = append(b, l.before...)
	r.Attrs(func(a slog.Attr) bool {
		if l.prefix != "" || !shown[a.Key] {
			b = l.attr(b, l.prefix, a)
		}
		return true
	})
	b = append(b, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(b)
	return err
}

func value(r *slog.Record, key string) (text string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			text = a.Value.Resolve().String()
		}
		return text == ""
	})
	return text
}

func (l *Lines) attr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			b = l.attr(b, prefix, inner)
		}
		return b
	}
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().Format(time.RFC3339)
	}
	b = append(b, ' ')
	b = l.paint(b, faint, printable(prefix+a.Key)+"=")
	if text == "" || strings.ContainsAny(text, " =\"") || !clean(text) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

// paint writes s in a colour, which holds nothing but what we have made.
func (l *Lines) paint(b []byte, colour, s string) []byte {
	if !l.colour || colour == "" {
		return append(b, s...)
	}
	return append(append(append(b, colour...), s...), plainText...)
}

func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// printable is s, quoted where a terminal would do something with it.
func printable(s string) string {
	if clean(s) {
		return s
	}
	return strconv.Quote(s)
}

func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

func levelColour(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return red
	case level >= slog.LevelWarn:
		return yellow
	case level >= slog.LevelInfo:
		return cyan
	}
	return faint
}

func statusColour(status string) string {
	switch {
	case strings.HasPrefix(status, "5"):
		return red
	case strings.HasPrefix(status, "4"):
		return yellow
	}
	return green
}
