// Command otlp is the OpenTelemetry Collector's receiver of OTLP over HTTP, for tests: what it is sent comes out as one JSON object a line
// for each span. It says on standard error at which address it listens. With -count it only counts.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	count := flag.Bool("count", false, "only count spans, and tell at the end")
	flag.Parse()
	if err := run(*count); err != nil {
		fmt.Fprintln(os.Stderr, "otlp:", err)
		os.Exit(1)
	}
}

func run(count bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	address, err := free()
	if err != nil {
		return err
	}
	out := &printer{count: count, enc: json.NewEncoder(os.Stdout)}
	sink, err := consumer.NewTraces(out.take)
	if err != nil {
		return err
	}
	f := otlpreceiver.NewFactory()
	config := f.CreateDefaultConfig()
	said := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": address}}})
	if err := said.Unmarshal(config); err != nil {
		return err
	}
	settings := receiver.Settings{ID: component.NewID(f.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	r, err := f.CreateTraces(ctx, settings, config, sink)
	if err != nil {
		return err
	}
	if err := r.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "http://"+address)
	<-ctx.Done()
	err = r.Shutdown(context.Background())
	if count {
		fmt.Println(out.spans)
	}
	return err
}

// free is an address that nobody listens on at the moment.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// span is what a test reads.
type span struct {
	Trace, ID, Parent, Name, Kind, Status string
	Start, End                            int64
	Attributes, Resource                  map[string]any
	Links                                 []string // traces
}

type printer struct {
	count bool
	mu    sync.Mutex
	enc   *json.Encoder
	spans int
}

func (p *printer) take(_ context.Context, t ptrace.Traces) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans += t.SpanCount()
	if p.count {
		return nil
	}
	for _, rs := range t.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one := span{Trace: s.TraceID().String(), ID: s.SpanID().String(), Parent: s.ParentSpanID().String(), Name: s.Name(), Kind: s.Kind().String(),
					Status: s.Status().Code().String(), Start: int64(s.StartTimestamp()), End: int64(s.EndTimestamp()),
					Attributes: s.Attributes().AsRaw(), Resource: rs.Resource().Attributes().AsRaw()}
				for _, l := range s.Links().All() {
					one.Links = append(one.Links, l.TraceID().String())
				}
				if err := p.enc.Encode(one); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
