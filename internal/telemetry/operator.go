package telemetry

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Operator answers what an operator asks on a listener of his own: /metrics, /debug/pprof/, and what health answers at /healthz and
// /readyz. Nobody is asked who he is: who reaches the listener may see it all, so it belongs on an address that only he reaches.
//
// The command line is not shown: the password of a database may be in it.
func (t *Telemetry) Operator(health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelWarn), EnableOpenMetrics: true}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", nowhere)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /readyz", health)
	mux.HandleFunc("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if local(r) && !named(r.Host) {
			web.Problem(w, r, fault.New(fault.Denied, "this listener is asked by its address"))
			return
		}
		if elsewhere(r) {
			web.Problem(w, r, fault.New(fault.Denied, "a page of another origin may not ask this"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func nowhere(w http.ResponseWriter, r *http.Request) {
	web.Problem(w, r, fault.New(fault.NotFound, "there is no such route"))
}

// local says whether a request came to an address of this machine alone. There a page in the operator's browser could ask under a name of
// its own that leads here (DNS rebinding).
func local(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// elsewhere says whether a page of another origin asks behind the back of its reader, as it may without seeing the answer: a profile is work.
// A link that somebody follows is none of that.
func elsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Dest") != "document"
}

func named(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}
