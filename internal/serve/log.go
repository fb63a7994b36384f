package serve

import (
	"log/slog"
	"os"
)

// Logger writes to f what people read (see Lines) or JSON, one object a line: format says text or json; else text to a terminal, JSON to
// anything else. Lines have colours on a terminal unless NO_COLOR is set (no-color.org).
func Logger(f *os.File, level slog.Leveler, format string) *slog.Logger {
	terminal := Terminal(f)
	if format == "text" || format != "json" && terminal {
		return slog.New(NewLines(f, level, terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"))
	}
	return slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: level}))
}

// Terminal says whether somebody sits before f.
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != "null"
}
