package plinth

import (
	"log/slog"
	"os"
	"strconv"

	"github.com/bluell/plinth/internal/serve"
)

// What a program says to whoever started it.

// Logger writes text to a terminal and JSON to anything else; or, if format is text or json, that.
func Logger(f *os.File, level slog.Leveler, format string) *slog.Logger {
	return serve.Logger(f, level, format)
}

// Terminal says whether somebody sits before f.
func Terminal(f *os.File) bool { return serve.Terminal(f) }

// Counted is "1 step" or "3 steps".
func Counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
