package telemetry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/bluell/plinth/fault"
)

// traces sends spans to a receiver. What is kept, and where it goes, is said by OpenTelemetry's own variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
type traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// newTraces is nil where no endpoint is named.
func newTraces(o *Options) (*traces, error) {
	e := environment{env: o.Env}
	if e.bool("OTEL_SDK_DISABLED") || e.text("OTEL_TRACES_EXPORTER") == "none" {
		return nil, e.err
	}
	endpoint, whole := e.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), true
	if endpoint == "" {
		endpoint, whole = e.text("OTEL_EXPORTER_OTLP_ENDPOINT"), false
	}
	if endpoint == "" {
		return nil, e.err
	}
	if x := e.text("OTEL_TRACES_EXPORTER"); x != "" && x != "otlp" {
		e.wrong("OTEL_TRACES_EXPORTER", "traces go out by otlp, or none does")
	}
	x := &exporter{log: o.Log, client: &http.Client{}, headers: http.Header{}}
	x.url = e.endpoint(endpoint, whole)
	if p := e.signal("PROTOCOL"); p != "" && p != "http/protobuf" {
		e.wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "traces are sent by http/protobuf only, to port 4318 as a rule")
	}
	switch c := e.signal("COMPRESSION"); c {
	case "", "none":
	case "gzip":
		x.gzip = true
	default:
		e.wrong("OTEL_EXPORTER_OTLP_COMPRESSION", "it is gzip or none")
	}
	x.client.Timeout = 10 * time.Second
	if text := e.signal("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			e.wrong("OTEL_EXPORTER_OTLP_TIMEOUT", "it is a number of milliseconds")
		}
		x.client.Timeout = time.Duration(ms) * time.Millisecond
	}
	if secure := e.secure(); secure != nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = secure
		x.client.Transport = transport
	}
	e.pairs("OTEL_EXPORTER_OTLP_HEADERS", e.signal("HEADERS"), func(k, v string) { x.headers.Set(k, v) })
	sampler := e.sampler()
	for name, what := range map[string]string{"SCHEDULE_DELAY": "milliseconds", "EXPORT_TIMEOUT": "milliseconds", "MAX_QUEUE_SIZE": "spans", "MAX_EXPORT_BATCH_SIZE": "spans"} {
		if text := e.text("OTEL_BSP_" + name); text != "" { // the library reads them itself, and fails on some, or takes others instead
			if n, err := strconv.Atoi(text); err != nil || n < 1 || n > mostOfABatch {
				e.wrong("OTEL_BSP_"+name, fmt.Sprintf("it is a number of %s, from 1 to %d", what, mostOfABatch))
			}
		}
	}
	attrs := []attribute.KeyValue{attribute.String("service.name", o.Name), attribute.String("service.version", o.Version)}
	e.pairs("OTEL_RESOURCE_ATTRIBUTES", e.text("OTEL_RESOURCE_ATTRIBUTES"), func(k, v string) { attrs = append(attrs, attribute.String(k, v)) })
	if name := e.text("OTEL_SERVICE_NAME"); name != "" {
		attrs = append(attrs, attribute.String("service.name", name))
	}
	if e.err != nil {
		return nil, e.err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(x), sdktrace.WithSampler(sampler), sdktrace.WithResource(resource.NewSchemaless(attrs...)))
	return &traces{provider: provider, tracer: provider.Tracer("github.com/bluell/plinth", trace.WithInstrumentationVersion(o.Version))}, nil
}

const mostOfABatch = 1_000_000 // milliseconds, or spans: as many places are made for those that wait

// environment reads variables. The first that is wrong is told.
type environment struct {
	env func(string) (string, bool)
	err error
}

func (e *environment) text(name string) string {
	if e.env == nil {
		return ""
	}
	text, _ := e.env(name)
	return strings.TrimSpace(text)
}

// signal is what holds for traces, or else for all signals.
func (e *environment) signal(name string) string {
	if text := e.text("OTEL_EXPORTER_OTLP_TRACES_" + name); text != "" {
		return text
	}
	return e.text("OTEL_EXPORTER_OTLP_" + name)
}

func (e *environment) bool(name string) bool { return strings.EqualFold(e.text(name), "true") }

// wrong does not repeat what stands in a variable: there may be a key in it.
func (e *environment) wrong(name, why string) {
	if e.err == nil {
		e.err = fault.New(fault.BadRequest, "%s: %s", name, why)
	}
}

func (e *environment) endpoint(text string, whole bool) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		e.wrong("OTEL_EXPORTER_OTLP_ENDPOINT", "it is an address like http://127.0.0.1:4318")
		return ""
	}
	if !whole {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/v1/traces"
	}
	return u.String()
}

// secure is how a receiver by https is known, and how we are by it; nil: as usual. Our own certificate is read for each connection:
// it may have been renewed.
func (e *environment) secure() *tls.Config {
	roots, cert, key := e.signal("CERTIFICATE"), e.signal("CLIENT_CERTIFICATE"), e.signal("CLIENT_KEY")
	if roots == "" && cert == "" && key == "" {
		return nil
	}
	c := &tls.Config{}
	if roots != "" {
		text, err := os.ReadFile(roots)
		c.RootCAs = x509.NewCertPool()
		if err != nil {
			e.unread("OTEL_EXPORTER_OTLP_CERTIFICATE", err)
		} else if !c.RootCAs.AppendCertsFromPEM(text) {
			e.wrong("OTEL_EXPORTER_OTLP_CERTIFICATE", "there is no certificate in its file, in PEM")
		}
	}
	switch {
	case cert == "" && key == "":
		return c
	case cert == "":
		e.wrong("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "it is missing beside OTEL_EXPORTER_OTLP_CLIENT_KEY")
	case key == "":
		e.wrong("OTEL_EXPORTER_OTLP_CLIENT_KEY", "it is missing beside OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
	}
	for name, file := range map[string]string{"CLIENT_CERTIFICATE": cert, "CLIENT_KEY": key} {
		if _, err := os.ReadFile(file); err != nil {
			e.unread("OTEL_EXPORTER_OTLP_"+name, err)
		}
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}
	if _, err := c.GetClientCertificate(nil); err != nil {
		e.wrong("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "this is no certificate with its key, in PEM")
	}
	return c
}

// unread does not repeat the name of a file that cannot be read.
func (e *environment) unread(name string, err error) {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	e.wrong(name, "its file cannot be read: "+err.Error())
}

// pairs reads a=1,b=2, in which values are written as in addresses.
func (e *environment) pairs(name, text string, yield func(key, value string)) {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		v, err := url.PathUnescape(strings.TrimSpace(v))
		if k = strings.TrimSpace(k); !ok || k == "" || err != nil {
			e.wrong(name, "it is a list like name=value,other=value")
			continue
		}
		yield(k, v)
	}
}

func (e *environment) sampler() sdktrace.Sampler {
	name, arg := e.text("OTEL_TRACES_SAMPLER"), e.text("OTEL_TRACES_SAMPLER_ARG")
	ratio := 1.0
	if arg != "" && strings.HasSuffix(name, "traceidratio") {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			e.wrong("OTEL_TRACES_SAMPLER_ARG", "it is a part of all from 0 to 1, like 0.01")
		}
	}
	switch name {
	case "", "parentbased_always_on":
		return parentBased(sdktrace.AlwaysSample())
	case "always_on":
		return sdktrace.AlwaysSample()
	case "always_off":
		return sdktrace.NeverSample()
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio)
	case "parentbased_always_off":
		return parentBased(sdktrace.NeverSample())
	case "parentbased_traceidratio":
		return parentBased(sdktrace.TraceIDRatioBased(ratio))
	}
	e.wrong("OTEL_TRACES_SAMPLER", fmt.Sprintf("there is no sampler %q: always_on, always_off, traceidratio, or one of them behind parentbased_", name))
	return nil
}

// parentBased keeps what belongs to something that is kept, and of the rest what root keeps.
func parentBased(root sdktrace.Sampler) sdktrace.Sampler {
	return following{sdktrace.ParentBased(root)}
}

// following keeps a job of which what enqueued it is kept, or with a part of all one would hardly ever see both.
type following struct{ sdktrace.Sampler }

func (f following) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if p.Kind == trace.SpanKindConsumer && len(p.Links) > 0 && p.Links[0].SpanContext.IsSampled() {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	}
	return f.Sampler.ShouldSample(p)
}
