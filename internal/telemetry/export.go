package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter posts spans to a receiver (OTLP 1.x over HTTP, in binary protobuf). The one of OpenTelemetry brings gRPC, which is 5 MB of program
// for one message.
type exporter struct {
	log     *slog.Logger
	client  *http.Client
	url     string
	headers http.Header
	gzip    bool

	mu   sync.Mutex
	told time.Time // when it was told last that spans were lost
	lost int       // since then
}

// retries is how often a receiver that is busy is asked again.
const retries = 4

// ExportSpans sends some spans. Those that cannot be sent are lost, which is told in the log once a minute at most.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body := appendRequest(nil, spans)
	if x.gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body) // to memory
		_ = z.Close()
		body = b.Bytes()
	}
	pause := 250 * time.Millisecond
	for try := 0; ; try++ {
		wait, err := x.post(ctx, body)
		if err == nil {
			return nil
		}
		if wait < 0 || try == retries {
			x.lose(len(spans), err)
			return nil
		}
		timer := time.NewTimer(max(wait, pause))
		pause *= 2
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			x.lose(len(spans), err)
			return nil
		}
	}
}

// post sends a request; wait is for how long to wait before it is sent again, −1 where that is of no use.
func (x *exporter) post(ctx context.Context, body []byte) (wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	r.Header = x.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "plinth")
	if x.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := x.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		wait = time.Duration(min(max(after, 0), 30)) * time.Second
	default:
		wait = -1
	}
	return wait, fmt.Errorf("the receiver of traces answers %d", resp.StatusCode)
}

func (x *exporter) lose(n int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lost += n
	if time.Since(x.told) < time.Minute {
		return
	}
	x.log.Warn("traces could not be sent", "spans", x.lost, "error", err)
	x.told, x.lost = time.Now(), 0
}

// Shutdown is called when nothing is left to be sent.
func (x *exporter) Shutdown(context.Context) error {
	x.client.CloseIdleConnections()
	return nil
}
