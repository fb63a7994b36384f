package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// docs/metrics.md has a row for each metric, with its type and labels, and no other.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(plinth_[a-z_]+)` (.*)$").FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = m[2]
	}
	for _, f := range Families {
		labels := ""
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		want := "| " + f.Type + " | " + labels + " | " + f.Help + " |"
		if got := rows[f.Name]; got != want {
			t.Errorf("docs/metrics.md says of %s\n%s\nnot\n%s", f.Name, got, want)
		}
		delete(rows, f.Name)
		if f.Type == "counter" != strings.HasSuffix(f.Name, "_total") {
			t.Errorf("%s, a %s, is named against Prometheus' conventions", f.Name, f.Type)
		}
	}
	for name := range rows {
		t.Errorf("docs/metrics.md names %s, which is not there", name)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func watched(tb testing.TB, env map[string]string, o Options) *Telemetry {
	tb.Helper()
	o.Log = quiet()
	o.Env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	t, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.Close() })
	return t
}

// What is no fault of the server's is not counted among its faults.
func TestClasses(t *testing.T) {
	t.Parallel()
	o, err := New(Options{Metrics: true, Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []web.Exchange{{Status: 200}, {Status: 404}, {Status: 500}, {Status: 501}, {Status: 503}, {Status: 503, Shed: true}, {Status: 507}, {Status: 429, Limited: true}} {
		e.Method, e.Route = "GET", "/x"
		o.Ended(t.Context(), e)
	}
	w := httptest.NewRecorder()
	o.Operator(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	for _, line := range []string{`plinth_http_requests_total{method="GET",route="/x",status="2xx"} 1`, `plinth_http_requests_total{method="GET",route="/x",status="4xx"} 2`,
		`plinth_http_requests_total{method="GET",route="/x",status="5xx"} 3`, `plinth_http_requests_total{method="GET",route="/x",status="501"} 1`,
		`plinth_http_requests_total{method="GET",route="/x",status="503"} 1`, `plinth_rate_limited_total{limit="requests"} 1`, `plinth_http_requests_shed_total 1`} {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("there is no %s in %s", line, w.Body)
		}
	}
}

// No more series come about than there are routes, methods and classes, whatever clients send.
func TestBounded(t *testing.T) {
	t.Parallel()
	w := watched(t, nil, Options{Metrics: true})
	for i := range 5000 {
		w.Ended(context.Background(), web.Exchange{Method: strings.Repeat("X", i%300), Route: "/api/{collection}", Status: 100 + i%900})
	}
	for i := range 3 * mostRoutes {
		w.Ended(context.Background(), web.Exchange{Method: "GET", Route: "/" + strings.Repeat("a", i), Status: 200})
	}
	rec := httptest.NewRecorder()
	w.Operator(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	text := rec.Body.String()
	if n := strings.Count(text, "plinth_http_requests_total{"); n > (mostRoutes+2)*len(classes) {
		t.Errorf("%d series of requests", n)
	}
	if strings.Contains(text, "XX") {
		t.Error("a method that a client made up is a label")
	}
}

func TestNothingAskedFor(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{nil, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}} {
		if w := watched(t, env, Options{}); w != nil {
			t.Errorf("with %v there is an observer", env)
		}
	}
}

// A job tells of what enqueued it where that is kept, and is kept with it.
func TestLinked(t *testing.T) {
	t.Parallel()
	const receiver = "http://127.0.0.1:1"
	asked := func(w *Telemetry) string {
		ctx := w.Began(httptest.NewRequest("POST", "/api/posts", nil))
		inside := w.Writes(ctx)
		by := w.Traced(inside)
		w.Wrote(inside, data.Transaction{})
		if trace := w.Trace(ctx); trace != "" && (len(by) != 55 || !strings.HasPrefix(by, "00-"+trace+"-"+w.actOf(ctx).span.SpanContext().SpanID().String()) || !strings.HasSuffix(by, "-01")) {
			t.Errorf("%q is stored for a request of the trace %s", by, trace)
		}
		w.Ended(ctx, web.Exchange{})
		return by
	}
	kept := asked(watched(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver}, Options{}))
	if kept == "" {
		t.Fatal("nothing is stored for a request that is kept")
	}
	for _, c := range []struct {
		sampler, by string
		kept        bool
	}{{"parentbased_always_off", kept, true}, {"parentbased_always_off", "", false}, {"parentbased_always_off", "nonsense", false}, {"always_off", kept, false}} {
		w := watched(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver, "OTEL_TRACES_SAMPLER": c.sampler}, Options{})
		if by := asked(w); by != "" {
			t.Errorf("%s: %q is stored for a request that is not kept", c.sampler, by)
		}
		ctx := w.Begun(context.Background(), "a", c.by)
		if got := w.Trace(ctx) != ""; got != c.kept || got && strings.Contains(c.by, w.Trace(ctx)) {
			t.Errorf("%s: a job that %q enqueued is kept: %v, as %s", c.sampler, c.by, got, w.Trace(ctx))
		}
		w.Tried(ctx, "a", "done", 0)
	}
}

// A receiver is known by a certificate of one's own, and asks for one.
func TestReceiverByHTTPS(t *testing.T) {
	t.Parallel()
	got := make(chan int, 100)
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- len(r.TLS.PeerCertificates) }))
	receiver.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	receiver.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	receiver.StartTLS()
	defer receiver.Close()
	file := func(name, kind string, der []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	own := receiver.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := file("cert", "CERTIFICATE", own.Certificate[0]), file("key", "PRIVATE KEY", der)
	arrives := func(more map[string]string) bool {
		env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL}
		maps.Copy(env, more)
		w := watched(t, env, Options{})
		w.Ended(w.Began(httptest.NewRequest("GET", "/api/posts", nil)), web.Exchange{})
		_ = w.Close()
		return len(got) > 0 && <-got == 1
	}
	if !arrives(map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": cert, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY": key}) {
		t.Error("the span has not arrived")
	}
	if arrives(map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": cert}) {
		t.Error("the receiver asks for no certificate, so this shows nothing")
	}
	if arrives(map[string]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY": key}) {
		t.Error("any receiver is trusted")
	}
}

// A variable that is wrong is named, and what stands in it is not repeated.
func TestWrongVariables(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":    {"127.0.0.1:4318", "ftp://127.0.0.1"},
		"OTEL_EXPORTER_OTLP_TIMEOUT":     {"5s", "-1"},
		"OTEL_EXPORTER_OTLP_COMPRESSION": {"br"},
		"OTEL_EXPORTER_OTLP_CERTIFICATE": {"/nosuch/file", "traces.go"},
		"OTEL_EXPORTER_OTLP_CLIENT_KEY":  {"traces.go"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":    {"grpc"},
		"OTEL_TRACES_SAMPLER":            {"sometimes"},
		"OTEL_BSP_SCHEDULE_DELAY":        {"5s", "0"},
		"OTEL_BSP_EXPORT_TIMEOUT":        {"soon"},
		"OTEL_BSP_MAX_QUEUE_SIZE":        {"-1", "0", "99999999999999"},
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": {"-5", "many"},
	} {
		for _, value := range values {
			env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: value}
			_, err := New(Options{Env: func(name string) (string, bool) { text, ok := env[name]; return text, ok }})
			if !fault.Is(err, fault.BadRequest) || !strings.HasPrefix(err.Error(), strings.Replace(name, "CLIENT_KEY", "CLIENT_CERTIFICATE", 1)+": ") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// A receiver that is away costs spans, a line of the log a minute, and nothing else.
func TestReceiverAway(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked <- r.Header.Get("Api-Key") + " " + r.Header.Get("Content-Type") + " " + r.URL.Path
		if len(b) == 0 {
			t.Error("an empty request")
		}
		rw.WriteHeader(http.StatusForbidden)
	}))
	defer receiver.Close()
	w := watched(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL + "/base/", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key"}, Options{})
	r := httptest.NewRequest("GET", "/", nil)
	w.Ended(w.Began(r), web.Exchange{Method: "GET", Status: 200, Start: time.Now()})
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	select {
	case got := <-asked:
		if got != "a key application/x-protobuf /base/v1/traces" {
			t.Errorf("it was asked %q", got)
		}
	default:
		t.Error("the receiver was not asked")
	}
}

// exchange is what the guard and the database tell of a request that reads one record.
func exchange(b *testing.B, w *Telemetry) {
	var o web.Observer
	if w != nil {
		o = w
	}
	h := web.Observed(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Pattern = "/api/{collection}/{id}"
		if w != nil {
			w.Asked(r.Context(), data.Statement{Kind: "select", Collection: "posts", Start: time.Now(), Took: time.Microsecond})
		}
		rw.WriteHeader(http.StatusOK)
	}), spec.Server{Limits: spec.Limits{Timeout: time.Minute}}, web.NewLoad(), nil, quiet(), o)
	r := httptest.NewRequest("GET", "/api/posts/x", nil)
	rw := &nobody{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(rw, r)
	}
}

type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n *nobody) WriteHeader(int)             {}

func BenchmarkRequest(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer receiver.Close()
	endpoint := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
	b.Run("off", func(b *testing.B) { exchange(b, nil) })
	b.Run("metrics", func(b *testing.B) { exchange(b, watched(b, nil, Options{Metrics: true})) })
	b.Run("metrics and traces", func(b *testing.B) { exchange(b, watched(b, endpoint, Options{Metrics: true})) })
}

// Metrics allocate nothing for a request.
func TestAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT with -short: the race detector allocates")
	}
	base := testing.Benchmark(func(b *testing.B) { exchange(b, nil) }).AllocsPerOp()
	if with := testing.Benchmark(func(b *testing.B) { exchange(b, watched(b, nil, Options{Metrics: true})) }).AllocsPerOp(); with != base {
		t.Errorf("%d allocations for a request with metrics, %d without", with, base)
	}
}
