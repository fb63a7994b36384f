package plinth

import (
	"testing"

	"github.com/bluell/plinth/spec"
)

// TestPublic: the address that is told has the port that people come to, also where any was asked for.
func TestPublic(t *testing.T) {
	t.Parallel()
	for https, want := range map[string]string{
		":443": "https://app.example.com", "127.0.0.1:8443": "https://app.example.com:8443", "127.0.0.1:0": "https://app.example.com:40123",
	} {
		p := &Plinth{}
		p.now.Store(&served{app: &spec.App{Server: spec.Server{Domains: []string{"app.example.com"}, HTTPS: https}}})
		if got := p.public("https://127.0.0.1:40123"); got != want {
			t.Errorf("%s is %s, want %s", https, got, want)
		}
	}
}
