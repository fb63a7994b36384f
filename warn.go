package plinth

import (
	"context"

	"github.com/bluell/plinth/data/driver"
)

// warnings are those of the database's server, if it has any to give.
func (p *Plinth) warnings(ctx context.Context) ([]string, error) {
	if eng, ok := p.eng.(driver.Warner); ok {
		return eng.Warnings(ctx)
	}
	return nil, nil
}

// warn logs what the database's server may lose.
func (p *Plinth) warn(ctx context.Context) {
	found, err := p.warnings(ctx)
	if err != nil && ctx.Err() == nil {
		p.o.log.Warn("the settings of the database's server could not be looked at", "error", err)
	}
	for _, text := range found {
		p.o.log.Warn(text)
	}
}

// warnOfCertificate tells a developer, whose app is served without it, what is wrong with the certificate of server.tls.
func (p *Plinth) warnOfCertificate() {
	if !p.o.dev {
		return
	}
	if _, err := CheckCertificate(p.App(), p.o.clock()); err != nil {
		p.o.tell(err.Error() + " (serve does without it with --dev alone)")
	}
}
