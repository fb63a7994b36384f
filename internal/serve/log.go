package serve

import (
	"log/slog"
	"os"
)

// Logger writes text to a terminal and JSON, one object a line, to anything else.
func Logger(f *os.File, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if Terminal(f) {
		return slog.New(slog.NewTextHandler(f, o))
	}
	return slog.New(slog.NewJSONHandler(f, o))
}

// Terminal says whether somebody sits before f.
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != "null"
}
