package auth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// What is refused costs no write, and not for longer than another process leaves it so.
func TestRefusedCostsNoWrite(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	counts := func() (sum, writes int64) {
		t.Helper()
		list, _, err := b.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_tries", Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range list {
			sum += rec[b.gate.people.tries.count].Int()
			writes += rec[3].Int() // rev
		}
		return sum, writes
	}
	try := func() error { return b.gate.count(t.Context(), "what", "whom", 3, span) }
	for range 3 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if err := try(); !fault.Is(err, fault.Limited) {
			t.Fatal(err)
		}
	}
	if sum, writes := counts(); sum != 4 || writes != 4 {
		t.Errorf("3 and 20 tries are %d, in %d writes", sum, writes)
	}
	b.gate.uncount(t.Context(), "what", "whom", span) // as another process does
	if err := try(); err != nil {
		t.Error(err)
	}
	b.clock.move(span)
	if err := try(); err != nil {
		t.Error(err)
	}
	// What is remembered is bounded, and what is over goes first.
	var f full
	now := time.Now()
	for i := range mostFull {
		f.add(string(rune(i)), now.Add(time.Duration(i%2)*time.Hour), now)
	}
	f.add("last", now.Add(time.Hour), now)
	if n := len(f.until); n != mostFull/2+1 || !f.has("last") {
		t.Errorf("%d are remembered", n)
	}
}

// Forwarded is read where there is no X-Forwarded-For, and ports and brackets are no part of an address.
func TestForwarded(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ x, forwarded, want string }{
		{"203.0.113.9:4711", "", "203.0.113.9"},
		{"[2001:db8::9]:4711", "", "2001:db8::9"},
		{"[2001:db8::9]", "", "2001:db8::9"},
		{"198.51.100.1, 203.0.113.9:1, 10.0.0.2:80", "", "203.0.113.9"},
		{"[2001:db8::9", "", "10.0.0.1"},
		{"203.0.113.9:port", "", "10.0.0.1"},
		{"", "for=203.0.113.9", "203.0.113.9"},
		{"", `For="203.0.113.9:4711";proto=https;by=10.0.0.1`, "203.0.113.9"},
		{"", `for=198.51.100.1, for="[2001:db8::9]:4711" , proto=https;for=10.0.0.2`, "2001:db8::9"},
		{"", "for=203.0.113.9, for=unknown", "10.0.0.1"},
		{"", "for=203.0.113.9, proto=https", "10.0.0.1"},
		{"", `for=203.0.113.9, for="_a,for=198.51.100.1"`, "10.0.0.1"},
		{"", `for=203.0.113.9, for="a\",for=198.51.100.1"`, "10.0.0.1"},
		{"", `for="203.0.113.9`, "10.0.0.1"},
		{"203.0.113.9", "for=198.51.100.1", "203.0.113.9"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		if c.x != "" {
			r.Header.Set("X-Forwarded-For", c.x)
		}
		if c.forwarded != "" {
			r.Header.Set("Forwarded", c.forwarded)
		}
		if got := Address(r, proxies); got != c.want {
			t.Errorf("%q %q: %s, want %s", c.x, c.forwarded, got, c.want)
		}
	}
}

// A stranger is known by the network that is his (RFC 6177).
func TestStranger(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	for remote, want := range map[string]string{"192.0.2.1:1": "address:192.0.2.1", "[2001:db8:1:2:3::4]:1": "address:2001:db8:1:2::/64", "[fe80::1%eth0]:1": "address:fe80::/64"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		if by, err := b.gate.Caller(r); err != nil || by.Scope != want {
			t.Errorf("%s: %s, %v", remote, by.Scope, err)
		}
	}
}
