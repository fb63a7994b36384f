package serve

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(NewLines(&b, slog.LevelDebug, false))
	request := func(status int, ms float64) {
		log.Debug("request", "request", "01M8", "method", "GET", "route", "/api/{collection}/{id}", "status", status, "ms", ms, "bytes", 12, "caller", "signed in")
	}
	request(200, 0.123)
	request(404, 1234.567)
	log.With("kind", "mail").WithGroup("g").Warn("a job failed", "error", "it\nlooks like 15:04:05 ERROR another line\x1b[31m", "empty", "")
	log.Info("two\nlines")
	stamp := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3} `)
	got := stamp.ReplaceAllString(b.String(), "")
	want := `DEBUG GET     /api/{collection}/{id}               200    0.123 ms request=01M8 bytes=12 caller="signed in"
DEBUG GET     /api/{collection}/{id}               404 1234.567 ms request=01M8 bytes=12 caller="signed in"
WARN  a job failed kind=mail g.error="it\nlooks like 15:04:05 ERROR another line\x1b[31m" g.empty=""
INFO  "two\nlines"
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := len(stamp.FindAllString(b.String(), -1)); n != 4 {
		t.Errorf("%d lines begin with a time", n)
	}
	b.Reset()
	slog.New(NewLines(&b, slog.LevelInfo, true)).Error("request", "method", "GET", "route", "/", "status", 500, "ms", 1.0)
	if s := b.String(); !strings.Contains(s, red+"ERROR"+plainText) || !strings.Contains(s, red+"500"+plainText) {
		t.Errorf("no colours: %q", s)
	}
}
