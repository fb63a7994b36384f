package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

// Options of Manage.
type Options struct {
	Dir    string // the app's folder: files of settings are relative to it
	Server spec.Server
	DB     func() *data.DB
	Log    *slog.Logger

	check  time.Duration // between two looks at whether a certificate is to be renewed; default 10 min
	unit   time.Duration // of waiting after failures; default 1 min (see wait)
	window float64       // of a certificate's life, in which it is renewed; default the last third
}

// Managed has certificates by ACME, for each of the app's domains one. They are kept in the app's database: whichever process
// has ordered one, all serve it, and while one process orders, the others wait. A certificate is served until there is
// another, also when it has ended: a browser can be told to go on, a connection that is refused cannot.
type Managed struct {
	o       Options
	log     *slog.Logger
	domains []string
	since   time.Time // when this process began: what failed before does not hold it up

	store   *store
	why     *reasons
	cache   *certmagic.Cache
	cfg     *certmagic.Config
	unasked *certmagic.Config // loads without asking for OCSP staples
	issuers []*certmagic.ACMEIssuer
	closing sync.Once
}

// LetsEncrypt is who issues where the app does not name an issuer.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Manage prepares; nothing is asked of anybody yet. A file of settings that cannot be read is *spec.Problems.
func Manage(o Options) (*Managed, error) {
	if o.check <= 0 {
		o.check = 10 * time.Minute
	}
	if o.unit <= 0 {
		o.unit = time.Minute
	}
	m := &Managed{o: o, log: o.Log, since: time.Now(), why: &reasons{}}
	for _, d := range o.Server.Domains {
		m.domains = append(m.domains, plainName(d))
	}
	a := o.Server.ACME
	wanted := []spec.Issuer{{URL: a.Issuer, Roots: a.Roots, RootsPos: a.RootsPos, Account: a.Account}}
	if wanted[0].URL == "" {
		wanted[0].URL = LetsEncrypt
	}
	if a.Fallback != nil {
		wanted = append(wanted, *a.Fallback)
	}
	roots := make([]*x509.CertPool, len(wanted))
	for i, w := range wanted {
		var err error
		if roots[i], err = rootsOf(o.Dir, w); err != nil {
			return nil, err
		}
	}
	m.store = newStore(o.DB, o.Log)
	logger := newNarrow(o.Log, m.why)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.cfg, nil },
		RenewCheckInterval: o.check,
		Logger:             logger,
	})
	template := certmagic.Config{
		Storage: m.store, Logger: logger, RenewalWindowRatio: o.window, Issuers: []certmagic.Issuer{},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256}, OnEvent: m.event,
		ShouldEmitFunc:      func(event string) bool { return event != "tls_get_certificate" },
		DisableStorageCheck: true,
	}
	m.cfg = certmagic.New(m.cache, template)
	for i, w := range wanted {
		m.issuers = append(m.issuers, m.issuer(w, roots[i], logger))
		m.cfg.Issuers = append(m.cfg.Issuers, m.issuers[i])
	}
	template.OCSP.DisableStapling = true
	template.Issuers = m.cfg.Issuers
	m.unasked = certmagic.New(m.cache, template)
	return m, nil
}

func (m *Managed) issuer(w spec.Issuer, roots *x509.CertPool, logger *zap.Logger) *certmagic.ACMEIssuer {
	httpHost, httpPort := hostPort(m.o.Server.HTTP)
	_, httpsPort := hostPort(m.o.Server.HTTPS)
	a := certmagic.ACMEIssuer{
		CA: w.URL, Email: m.o.Server.ACME.Email, Agreed: true, TrustedRoots: roots, Logger: logger,
		// Our own listeners answer the issuer. certmagic looks there whether somebody listens.
		ListenHost: httpHost, AltHTTPPort: httpPort, AltTLSALPNPort: httpsPort,
	}
	if w.Account.ID != "" {
		a.ExternalAccount = &acme.EAB{KeyID: w.Account.ID, MACKey: w.Account.Key}
	}
	return certmagic.NewACMEIssuer(m.cfg, a)
}

// hostPort is where an address of the app file listens.
func hostPort(address string) (host string, port int) {
	host, text, _ := net.SplitHostPort(address)
	port, _ = strconv.Atoi(text)
	return host, port
}

// Roots are those whose certificates the issuer of an app may have; nil: those that the system trusts.
func Roots(dir string, a spec.ACME) (*x509.CertPool, error) {
	return rootsOf(dir, spec.Issuer{Roots: a.Roots, RootsPos: a.RootsPos})
}

// LookAtRoots says what is wrong with the files of server.acme, as *spec.Problems at the setting.
func LookAtRoots(dir string, s spec.Server) error {
	_, err := Roots(dir, s.ACME)
	if err == nil && s.ACME.Fallback != nil {
		_, err = rootsOf(dir, *s.ACME.Fallback)
	}
	return err
}

func rootsOf(dir string, i spec.Issuer) (*x509.CertPool, error) {
	if i.Roots == "" {
		return nil, nil
	}
	text, err := os.ReadFile(within(dir, i.Roots))
	if err != nil {
		return nil, problem(i.RootsPos, "the file cannot be read: "+reason(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, problem(i.RootsPos, "there is no certificate in the file, in PEM")
	}
	return pool, nil
}

// Load makes what is in the database ready to be served. It asks nobody else.
func (m *Managed) Load(ctx context.Context) {
	for _, name := range m.domains {
		if _, err := m.unasked.CacheManagedCertificate(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.log.Warn("the certificate in the database cannot be used", "domain", name, "error", err)
		}
	}
}

// Keep obtains what there is not yet and renews what ends, until ctx ends. The listeners must answer when it is called.
func (m *Managed) Keep(ctx context.Context) {
	var all sync.WaitGroup
	for _, name := range m.domains {
		all.Go(func() { m.keep(ctx, name) })
	}
	if err := m.cache.RenewManagedCertificates(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("certificates could not be looked at", "error", err)
	}
	all.Wait()
	m.Close()
}

// Close ends what goes on beside. What was obtained goes on being served.
func (m *Managed) Close() { m.closing.Do(m.cache.Stop) }

// keep obtains the first certificate of a name. From then on certmagic renews it; keep looks whether it does.
func (m *Managed) keep(ctx context.Context, name string) {
	told := ""
	for ctx.Err() == nil {
		wait := m.o.check
		if served := m.served(name); served != nil {
			m.watch(ctx, name, served)
		} else if err := m.obtain(ctx, name); err != nil {
			var later *postponed
			if !errors.As(err, &later) && ctx.Err() == nil && err.Error() != told {
				told = err.Error()
				m.log.Error("a certificate could not be obtained", "domain", name, "error", err)
			}
			wait = m.o.unit / 12 // another process may obtain it
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// served is the certificate of a name that is served, nil when there is none.
func (m *Managed) served(name string) *x509.Certificate {
	var newest *x509.Certificate
	for _, c := range m.cache.AllMatchingCertificates(name) {
		if leaf := c.Leaf; newest == nil || leaf.NotAfter.After(newest.NotAfter) {
			newest = leaf
		}
	}
	return newest
}

// obtain takes a certificate from the database, or orders one: once. Its error is *postponed when it is not the time to try.
func (m *Managed) obtain(ctx context.Context, name string) error {
	_, err := m.cfg.CacheManagedCertificate(ctx, name)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if healed, herr := m.heal(ctx, name); herr != nil || !healed {
			return errors.Join(err, herr)
		}
	}
	if later := m.later(ctx, name); later != nil {
		return later
	}
	// certmagic would try again and again with the lock held, at times of its own; an attempt that has ended is cancelled.
	once, end := context.WithCancel(ctx)
	defer end()
	try := &attempt{end: end}
	if err := m.cfg.ObtainCertAsync(context.WithValue(once, attemptKey{}, try), name); err != nil {
		if try.err != nil {
			return try.err
		}
		return err
	}
	_, err = m.cfg.CacheManagedCertificate(ctx, name)
	return err
}

// watch tells when the certificate of a name nears its end, which renewal should have prevented, and mends what prevents it.
func (m *Managed) watch(ctx context.Context, name string, leaf *x509.Certificate) {
	left := time.Until(leaf.NotAfter)
	if left > leaf.NotAfter.Sub(leaf.NotBefore)/5 {
		return
	}
	if _, err := m.heal(ctx, name); err != nil && ctx.Err() == nil {
		m.log.Warn("the certificate in the database could not be looked at", "domain", name, "error", err)
	}
	m.log.Error("a certificate nears its end and was not renewed", "domain", name, "until", leaf.NotAfter, "left", left.Round(time.Second).String())
}

// heal removes a certificate from the database whose key is another's: what a process leaves that ends while it stores a new one.
func (m *Managed) heal(ctx context.Context, name string) (healed bool, err error) {
	for _, i := range m.issuers {
		keys := certmagic.StorageKeys
		cert, err := m.store.Load(ctx, keys.SiteCert(i.IssuerKey(), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return healed, err
		}
		key, err := m.store.Load(ctx, keys.SitePrivateKey(i.IssuerKey(), name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return healed, err
		}
		if _, err := tls.X509KeyPair(cert, key); err == nil {
			continue
		}
		if err := m.store.Delete(ctx, keys.CertsSitePrefix(i.IssuerKey(), name)); err != nil {
			return healed, err
		}
		m.log.Warn("the stored certificate and its key were two halves: another is ordered", "domain", name)
		healed = true
	}
	return healed, nil
}

// Certificate is the one for the name that is asked for; the first domain's where none is asked for.
func (m *Managed) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := plainName(hello.ServerName)
	if name == "" {
		name = m.domains[0]
	}
	if !m.Has(name) {
		return nil, nil
	}
	if hello.ServerName != name {
		named := *hello
		named.ServerName = name
		hello = &named
	}
	c, err := m.cfg.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Expiries leaves out the domains that have no certificate yet.
func (m *Managed) Expiries() (all []Expiry) {
	for _, name := range m.domains {
		if leaf := m.served(name); leaf != nil {
			all = append(all, Expiry{name, leaf.NotAfter})
		}
	}
	return all
}

// Has says whether a name is one of the app's domains.
func (m *Managed) Has(name string) bool { return slices.Contains(m.domains, name) }

// Challenge answers an issuer, for whichever process has ordered.
func (m *Managed) Challenge(w http.ResponseWriter, r *http.Request) bool {
	return slices.ContainsFunc(m.issuers, func(i *certmagic.ACMEIssuer) bool { return i.HandleHTTPChallenge(w, r) })
}
