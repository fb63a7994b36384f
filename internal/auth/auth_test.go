package auth

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const app = `
auth: {roles: [member, staff]}
collections:
  notes:
    fields: {text: {type: text}}
    access: {read: auth.has("staff")}
`

var secret = []byte("a secret of the tests, which is long enough")

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// counting counts the looks into the database.
type counting struct {
	*memory.Engine
	mu    sync.Mutex
	reads int
}

func (c *counting) Read(ctx context.Context, fn func(driver.Reader) error) error {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Engine.Read(ctx, fn)
}

func (c *counting) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Engine.Rows(ctx, s, args, yield)
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

type bench struct {
	gate  *Gate
	db    *data.DB
	eng   *counting
	clock *clock
}

func setup(t testing.TB, yaml string) bench {
	t.Helper()
	model, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{data.Collections, Collections(model)} {
		if err := model.Extend("test", []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	eng := &counting{Engine: memory.Open()}
	m, err := data.Plan(t.Context(), model, eng, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(t.Context(), eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	db, err := data.Open(t.Context(), model, eng, data.Options{Key: secret, Clock: c.time})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(db, secret, Options{Clock: c.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return bench{g, db, eng, c}
}

func with(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/notes?access_token=pk_x", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return r
}

func (b bench) add(t testing.TB, o KeyOptions) (id, token string) {
	t.Helper()
	id, token, err := b.gate.AddKey(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return id, token
}

func TestCaller(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	id, staff := b.add(t, KeyOptions{Role: "staff", Label: "site"})
	opID, operator := b.add(t, KeyOptions{Operator: true, ReadOnly: true})
	for _, c := range []struct {
		name    string
		headers []string
		want    data.Caller
		refused bool
	}{
		{name: "nobody", want: data.Caller{Scope: "address:192.0.2.7"}},
		{name: "a key", headers: []string{"Bearer " + staff}, want: data.Caller{SignedIn: true, Role: "staff", Scope: "key:" + id}},
		{name: "the scheme in any case", headers: []string{"bEARER  " + staff + " "}, want: data.Caller{SignedIn: true, Role: "staff", Scope: "key:" + id}},
		{name: "an operator's", headers: []string{"Bearer " + operator}, want: data.Caller{SignedIn: true, Operator: true, ReadOnly: true, Scope: "key:" + opID}},
		{name: "two headers", headers: []string{"Bearer " + staff, "Bearer " + staff}, refused: true},
		{name: "another scheme", headers: []string{"Basic " + staff}, refused: true},
		{name: "no token", headers: []string{"Bearer"}, refused: true},
		{name: "empty", headers: []string{""}, refused: true},
		{name: "cut", headers: []string{"Bearer " + staff[:len(staff)-1]}, refused: true},
		{name: "longer", headers: []string{"Bearer " + staff + "A"}, refused: true},
		{name: "two in one", headers: []string{"Bearer " + staff + ", Bearer " + staff}, refused: true},
		{name: "without its prefix", headers: []string{"Bearer " + strings.TrimPrefix(staff, keyPrefix)}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := b.gate.Caller(with(c.headers...))
			if c.refused {
				if !fault.Is(err, fault.Unauthenticated) {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || got.ID != "" || got.Role != c.want.Role || got.Operator != c.want.Operator || got.ReadOnly != c.want.ReadOnly ||
				got.SignedIn != c.want.SignedIn || got.Scope != c.want.Scope {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// A token that was not made by this app costs no query, whichever of its bits is wrong.
func TestFalseTokenCostsNoQuery(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	_, token := b.add(t, KeyOptions{Role: "staff"})
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, keyPrefix))
	if err != nil {
		t.Fatal(err)
	}
	before := b.eng.count()
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if c, err := b.gate.Caller(with("Bearer " + keyPrefix + base64.RawURLEncoding.EncodeToString(raw))); !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("bit %d: %+v %v", bit, c, err)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
	other, err := New(b.db, []byte("another secret, which is long enough as well"), Options{Clock: b.clock.time})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Caller(with("Bearer " + token)); !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("a token of another secret: %v", err)
	}
	if n := b.eng.count() - before; n != 0 {
		t.Fatalf("false tokens cost %d queries", n)
	}
	if _, err := b.gate.Caller(with("Bearer " + token)); err != nil || b.eng.count() == before {
		t.Fatalf("the true one: %v, %d queries", err, b.eng.count()-before)
	}
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	id, token := b.add(t, KeyOptions{Role: "staff"})
	r := with("Bearer " + token)
	if _, err := b.gate.Caller(r); err != nil {
		t.Fatal(err)
	}
	b.gate.Close() // the note of its use is written
	before := b.eng.count()
	for range 10 {
		b.clock.move(remembered / 12)
		if _, err := b.gate.Caller(r); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.eng.count() - before; n != 0 {
		t.Fatalf("a remembered key cost %d queries", n)
	}
	// Another process removes it: this one does not know until so much time has passed since it looked.
	if _, err := b.db.Delete(t.Context(), data.System, "_keys", id, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.gate.Caller(r); err != nil {
		t.Fatalf("within that time: %v", err)
	}
	b.clock.move(remembered / 6)
	if _, err := b.gate.Caller(r); !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("some time after it was removed: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	_, token := b.add(t, KeyOptions{Role: "staff", Expires: 2 * time.Second})
	r := with("Bearer " + token)
	if _, err := b.gate.Caller(r); err != nil {
		t.Fatal(err)
	}
	b.clock.move(2 * time.Second) // it is still remembered
	if _, err := b.gate.Caller(r); !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("after its end: %v", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	for _, o := range []KeyOptions{{}, {Role: "nobody"}, {Role: "staff", Operator: true}, {Role: "staff", Expires: -1}, {Role: "staff", Label: strings.Repeat("x", 121)}} {
		if _, _, err := b.gate.AddKey(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	id, token := b.add(t, KeyOptions{Role: "staff", Label: "site", Expires: time.Hour})
	if _, err := b.gate.Caller(with("Bearer " + token)); err != nil {
		t.Fatal(err)
	}
	b.gate.Close()
	keys, err := b.gate.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	k := keys[0]
	if k.ID != id || k.Role != "staff" || k.Label != "site" || k.Expires == nil || !k.Expires.Equal(b.clock.time().Add(time.Hour)) || k.Used == nil {
		t.Errorf("%+v", k)
	}
	if err := b.gate.RemoveKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.gate.Caller(with("Bearer " + token)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("removed by this process: %v", err)
	}
	if err := b.gate.RemoveKey(t.Context(), id); !fault.Is(err, fault.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	b := setup(t, app)
	if _, err := b.gate.AddOperator(t.Context(), "Ops <ops@example.com>"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := b.gate.AddOperator(t.Context(), "ops@example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.gate.AddOperator(t.Context(), "OPS@example.com"); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	list, err := b.gate.Operators(t.Context())
	if err != nil || len(list) != 1 || list[0].Email != "ops@example.com" {
		t.Fatal(list, err)
	}
	if err := b.gate.RemoveOperator(t.Context(), "OPS@EXAMPLE.COM"); err != nil {
		t.Error(err)
	}
	if err := b.gate.RemoveOperator(t.Context(), "ops@example.com"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		proxies   []netip.Prefix
		want      string
	}{
		{"192.0.2.1:1", nil, nil, "192.0.2.1"},
		{"192.0.2.1:1", []string{"203.0.113.9"}, nil, "192.0.2.1"},
		{"192.0.2.1:1", []string{"203.0.113.9"}, proxies, "192.0.2.1"},
		{"10.1.1.1:1", []string{"203.0.113.9"}, proxies, "203.0.113.9"},
		{"10.1.1.1:1", []string{"198.51.100.1, 203.0.113.9"}, proxies, "203.0.113.9"},
		{"10.1.1.1:1", []string{"198.51.100.1", "203.0.113.9, 10.2.2.2"}, proxies, "203.0.113.9"},
		{"10.1.1.1:1", []string{"nonsense, 10.2.2.2"}, proxies, "10.2.2.2"},
		{"10.1.1.1:1", []string{""}, proxies, "10.1.1.1"},
		{"10.1.1.1:1", nil, proxies, "10.1.1.1"},
		{"[::ffff:10.1.1.1]:1", []string{"::ffff:203.0.113.9"}, proxies, "203.0.113.9"},
		{"[2001:db8::1]:1", []string{"2001:db9::2"}, proxies, "2001:db9::2"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := Address(r, c.proxies); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

// Whatever is read as a token is written in one way only.
func FuzzParse(f *testing.F) {
	keys := sort{keyPrefix, make([]byte, 32)}
	f.Add(keys.text(keys.mint(time.UnixMilli(1))))
	f.Add("pk_")
	f.Add(keyPrefix + strings.Repeat("A", 75))
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := keys.parse(text); ok && keys.text(got) != text {
			t.Fatalf("%q is also %q", text, keys.text(got))
		}
	})
}

func BenchmarkCaller(b *testing.B) {
	bench := setup(b, app)
	_, token := bench.add(b, KeyOptions{Role: "staff"})
	for name, r := range map[string]*http.Request{"key": with("Bearer " + token), "nobody": with()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.gate.Caller(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
