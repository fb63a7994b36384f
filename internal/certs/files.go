package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/spec"
)

// Files is a certificate of the operator's own. When its files change they are read again; when they are broken then, the last
// good one goes on being served.
type Files struct {
	cert, key string
	names     []string // under which people come
	log       *slog.Logger
	now       atomic.Pointer[tls.Certificate]
	seen      stamp
	warned    time.Time
}

// stamp tells whether files are others than before.
type stamp [2]struct {
	size int64
	at   time.Time
}

const (
	lookAtFiles = 2 * time.Second
	soon        = 14 * 24 * time.Hour // an end that is so near is told
)

// OpenFiles reads the certificate of server.tls, whose files are relative to the app's folder. What is wrong with them is
// *spec.Problems at the setting; one that has ended, or is for other names than the app's, is told, and served.
func OpenFiles(dir string, s spec.Server, log *slog.Logger) (*Files, error) {
	f := &Files{cert: within(dir, s.TLS.Cert), key: within(dir, s.TLS.Key), names: names(s), log: log}
	f.seen = f.stamp()
	c, err := f.first(s.TLS)
	if err != nil {
		return nil, err
	}
	f.now.Store(c)
	f.warn(time.Now())
	return f, nil
}

// first reads the files, and says at which setting something is wrong.
func (f *Files) first(t spec.TLS) (*tls.Certificate, error) {
	for _, file := range []struct {
		name, shown string
		at          spec.Pos
	}{{f.cert, t.CertShown, t.CertPos}, {f.key, t.KeyShown, t.KeyPos}} {
		if _, err := os.ReadFile(file.name); err != nil {
			who := "the file"
			if file.shown != "" {
				who += ", " + file.shown + ","
			}
			return nil, problem(file.at, who+" cannot be read: "+reason(err))
		}
	}
	c, err := f.read()
	if err != nil {
		at := t.CertPos
		if strings.Contains(err.Error(), "private key") {
			at = t.KeyPos
		}
		return nil, problem(at, "this is no certificate with its key: "+reason(err))
	}
	return c, nil
}

// LookAtFiles says what is wrong with the certificate of server.tls, as *spec.Problems at the setting: that which keeps it from being
// served, and that for which clients refuse it. until is when it ends, where it can be read.
func LookAtFiles(dir string, s spec.Server, now time.Time) (until time.Time, err error) {
	f := &Files{cert: within(dir, s.TLS.Cert), key: within(dir, s.TLS.Key)}
	c, err := f.first(s.TLS)
	if err != nil {
		return until, err
	}
	wrong := ""
	switch until = c.Leaf.NotAfter; {
	case now.After(until):
		wrong = "the certificate has ended, on " + until.UTC().Format(time.DateTime) + ": browsers refuse it; put a new one in its place, a running server takes it by itself"
	case now.Before(c.Leaf.NotBefore):
		wrong = "the certificate is not valid before " + c.Leaf.NotBefore.UTC().Format(time.DateTime) + ": browsers refuse it; is the clock of this machine right?"
	}
	for _, name := range names(s) {
		if wrong == "" && c.Leaf.VerifyHostname(name) != nil {
			wrong = "the certificate is not for " + name + ": browsers refuse it there; put one in its place that is"
		}
	}
	if wrong == "" {
		return until, nil
	}
	return until, problem(s.TLS.CertPos, wrong)
}

// names are those under which people come.
func names(s spec.Server) (all []string) {
	for _, d := range s.Domains {
		all = append(all, plainName(d))
	}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "https" && !slices.Contains(all, plainName(u.Hostname())) {
		all = append(all, plainName(u.Hostname()))
	}
	return all
}

func within(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// reason is an error of tls or os without what a reader of a setting knows.
func reason(err error) string {
	if e, ok := err.(*os.PathError); ok {
		return e.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), "tls: ")
}

func problem(at spec.Pos, text string) error {
	return &spec.Problems{List: []spec.Problem{{File: at.File, Line: at.Line, Column: at.Column, Code: "value", Message: text}}}
}

func (f *Files) read() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, err
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func (f *Files) stamp() (s stamp) {
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			s[i].size, s[i].at = info.Size(), info.ModTime()
		}
	}
	return s
}

// Keep reads the files again whenever they have changed, until ctx ends.
func (f *Files) Keep(ctx context.Context) {
	tick := time.NewTicker(lookAtFiles)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.look(now)
		}
	}
}

// look reads what has changed. The two files of a new certificate come one after the other: what does not fit is looked at
// again when either changes.
func (f *Files) look(now time.Time) {
	if s := f.stamp(); s != f.seen {
		f.seen = s
		c, err := f.read()
		if err != nil {
			f.log.Warn("the new certificate cannot be used: the one before is served", "file", f.cert, "error", reason(err))
			return
		}
		f.now.Store(c)
		f.warned = time.Time{}
		f.log.Info("the certificate was read again", "file", f.cert, "until", c.Leaf.NotAfter)
	}
	f.warn(now)
}

// warn tells once a day of a certificate that has ended, or soon will, and of one for other names.
func (f *Files) warn(now time.Time) {
	leaf := f.now.Load().Leaf
	if now.Sub(f.warned) < 24*time.Hour {
		return
	}
	other := slices.IndexFunc(f.names, func(name string) bool { return !f.Has(name) })
	switch {
	case now.After(leaf.NotAfter):
		f.log.Warn("the certificate has ended: browsers refuse it", "file", f.cert, "until", leaf.NotAfter)
	case now.Before(leaf.NotBefore):
		f.log.Warn("the certificate is not valid yet: browsers refuse it", "file", f.cert, "from", leaf.NotBefore)
	case other >= 0:
		f.log.Warn("the certificate is not for this name: https does not answer under it", "file", f.cert, "name", f.names[other])
	case leaf.NotAfter.Sub(now) < soon:
		f.log.Warn("the certificate ends soon", "file", f.cert, "until", leaf.NotAfter)
	default:
		return
	}
	f.warned = now
}

// Certificate is the one there is, unless the client asks for a name that it is not for.
func (f *Files) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if challenged(hello) || hello.ServerName != "" && !f.Has(plainName(hello.ServerName)) {
		return nil, nil
	}
	return f.now.Load(), nil
}

// Has says whether the certificate is for a name.
func (f *Files) Has(name string) bool { return f.now.Load().Leaf.VerifyHostname(name) == nil }

// Challenge has nothing to answer.
func (f *Files) Challenge(http.ResponseWriter, *http.Request) bool { return false }

// Expiries tells when what is served ends, for each name that it is for.
func (f *Files) Expiries() []Expiry {
	leaf := f.now.Load().Leaf
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	var all []Expiry
	for _, name := range names {
		all = append(all, Expiry{name, leaf.NotAfter})
	}
	return all
}
