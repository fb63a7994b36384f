package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// ofProviders is what is kept of signing in with others.
//
// _identities: who users are elsewhere. _flows: sign-ins that came back, each once, and the codes that pages exchange.
const ofProviders = `
_identities:
  fields:
    user:     {type: ref, to: USERS, required: true, onDelete: cascade}
    provider: {type: text, max: 40, required: true}
    issuer:   {type: text, max: 255, required: true}
    subject:  {type: text, max: 255, required: true}
    email:    {type: text, max: 254, encrypted: true}
    name:     {type: text, max: 500, encrypted: true}
    used:     {type: time, required: true}
  indexes:
    - {fields: [issuer, subject], unique: true}
_flows:
  fields:
    user:      {type: ref, to: USERS, onDelete: cascade}
    epoch:     {type: int}
    hash:      {type: text, max: 64}
    challenge: {type: text, max: 43}
    expires:   {type: time, required: true}
  indexes:
    - [expires]
`

// How long a sign-in may take that went to a provider, and how long a page has to exchange a code.
const (
	flowLife = 10 * time.Minute
	codeLife = time.Minute
)

// flow is a sign-in on its way to a provider and back. It rests in the browser that began it, sealed: nobody else can end it
// (RFC 9700, 4.7), and nothing is kept of those that never come back.
type flow struct {
	ID        string `json:"id"` // of the record that says that it came back
	Provider  string `json:"provider,omitempty"`
	State     string `json:"state,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
	Verifier  string `json:"verifier,omitempty"`
	Return    string `json:"return,omitempty"`    // where the browser goes in the end
	Challenge string `json:"challenge,omitempty"` // of the page, which wants a code in place of a cookie (RFC 7636, S256)
	User      string `json:"user,omitempty"`      // whom the identity is to be linked to; "" signs in
	Session   string `json:"session,omitempty"`   // his, which has asked for it
	Ends      int64  `json:"ends"`                // Unix ms

	// What signing in has to ask for (the member mfa of its answer): it waits here for the page, which asks for it.
	Held []byte `json:"held,omitempty"`
}

// sealer seals what rests elsewhere, under a key of one purpose: flows at browsers, and what was asked for in jobs.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte, purpose string) (sealer, error) {
	key, err := data.Derive(secret, purpose)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fault.Wrap(fault.Internal, purpose, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fault.Wrap(fault.Internal, purpose, err)
	}
	return sealer{aead}, nil
}

func (s sealer) seal(plain []byte) string {
	return strict.EncodeToString(s.aead.Seal(nil, nil, plain, nil))
}

func (s sealer) open(text string) ([]byte, bool) {
	sealed, err := strict.DecodeString(text)
	if err != nil {
		return nil, false
	}
	plain, err := s.aead.Open(nil, nil, sealed, nil)
	return plain, err == nil
}

// newFlow is a sign-in with a provider that ends at a place that was checked.
func (g *Gate) newFlow(provider, to string) *flow {
	now := g.clock()
	var id [idLen]byte
	_, _ = rand.Read(id[:]) // never fails: the program ends instead
	stamp(id[:], now)
	return &flow{ID: idText(id[:]), Provider: provider, State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Return: to, Ends: now.Add(flowLife).UnixMilli()}
}

// carry has the browser keep a flow.
func (g *Gate) carry(w http.ResponseWriter, f *flow) error {
	plain, err := json.Marshal(f)
	if err != nil {
		return fault.Wrap(fault.Internal, "seal a flow", err)
	}
	http.SetCookie(w, g.flowCookie().of(g.flows.seal(plain), time.UnixMilli(f.Ends)))
	return nil
}

// flowCookie is beside the session's, and like it.
func (g *Gate) flowCookie() cookie {
	return cookie{name: g.cookie.name + "-oauth", secure: g.cookie.secure}
}

// flowOf is the flow that the browser carries, if it has not ended.
func (g *Gate) flowOf(r *http.Request) (*flow, bool) {
	text, ok := g.flowCookie().in(r)
	if !ok {
		return nil, false
	}
	plain, ok := g.flows.open(text)
	f := &flow{}
	if !ok || json.Unmarshal(plain, f) != nil {
		return nil, false
	}
	return f, g.clock().UnixMilli() < f.Ends
}

// cameBack is the flow that an answer belongs to: of this browser, of this provider, with this state.
func (g *Gate) cameBack(r *http.Request, provider, state string) (*flow, bool) {
	f, ok := g.flowOf(r)
	return f, ok && f.State != "" && f.Provider == provider && subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1
}

// spend notes that a flow came back: of all who bring an answer for it, in whatever process, one does.
func (g *Gate) spend(ctx context.Context, f *flow) error {
	body := doc.NewObject()
	body.Set("id", doc.NewString(f.ID))
	body.Set("expires", moment(time.UnixMilli(f.Ends)))
	_, err := g.db.Create(ctx, data.System, "_flows", body, data.WriteOptions{Minimal: true})
	if fault.Is(err, fault.Conflict) {
		return &Refusal{Code: "expired"}
	}
	return err
}

// codeFor makes a code for the page that began a flow, by which it gets a token.
func (g *Gate) codeFor(tx *data.Tx, f *flow, who *person) (string, error) {
	now := g.clock()
	t := g.code.mint(now)
	body := doc.NewObject()
	body.Set("id", doc.NewString(t.recordID()))
	body.Set("user", doc.NewString(who.id))
	body.Set("epoch", doc.NewInt(int64(who.epoch)))
	body.Set("hash", doc.NewString(t.hash()))
	body.Set("challenge", doc.NewString(f.Challenge))
	body.Set("expires", moment(now.Add(codeLife)))
	_, err := tx.Create("_flows", body)
	return g.code.text(t), err
}

// lookFlowCode finds whose a code is, and leaves it: who has another verifier must not spend it.
func (g *Gate) lookFlowCode(ctx context.Context, code, verifier string) (id string, who *person, err error) {
	wrong := wrongSecret("/code")
	t, ok := g.code.parse(code)
	if !ok {
		return "", nil, wrong
	}
	rec, err := g.record(ctx, "_flows", t.recordID())
	if err != nil {
		return "", nil, err
	}
	c := &g.people.flow
	if rec == nil || !t.hasHash(rec[c.hash].Text()) || g.clock().UnixMilli() >= rec[c.expires].Int() || challengeOf(verifier) != rec[c.challenge].Text() {
		return "", nil, wrong
	}
	if who, err = g.personByID(ctx, rec[c.user].Text()); err != nil {
		return "", nil, err
	}
	if who == nil || who.disabled || int64(who.epoch) != rec[c.epoch].Int() {
		return "", nil, wrong
	}
	return rec[spec.OrdID].Text(), who, nil
}

// base is the app's own address, without a slash at its end. It is never a request's.
func (g *Gate) base() string {
	if url := g.db.App().Server.URL; url != "" {
		return strings.TrimSuffix(url, "/")
	}
	if g.at == nil {
		return ""
	}
	return strings.TrimSuffix(g.at(), "/")
}

const maxReturn = 2000

// place is where a browser may be sent back to: a path of this app, or an address at an origin that is the app's own or that
// server.cors.origins names, letter by letter.
func (g *Gate) place(text string) (string, error) {
	origins := []string{originOf(g.base())}
	for _, o := range g.db.App().Server.CORS.Origins {
		origins = append(origins, strings.TrimSuffix(o, "/"))
	}
	if text == "" {
		text = "/"
	}
	if why := notThere(text, origins); why != "" {
		return "", fault.At("return", 0, "value", "%s", why)
	}
	return text, nil
}

// notThere says why a browser is not sent to a place.
func notThere(text string, origins []string) string {
	if len(text) > maxReturn {
		return "is too long"
	}
	// Browsers take a backslash for a slash, and do not see controls.
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f || r == '\ufffd' }) {
		return "has a blank, a control character or a backslash"
	}
	u, err := url.Parse(text)
	if err != nil {
		return "is no address"
	}
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		return ""
	}
	if origin := u.Scheme + "://" + u.Host; u.Host == "" || u.User != nil || !strings.HasPrefix(text, origin) || !slices.Contains(origins, origin) {
		return "is neither a path of this app, as /account, nor at its own origin or one of server.cors.origins"
	}
	return ""
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "none" // no origin is that
	}
	return u.Scheme + "://" + u.Host
}

// goTo sends the browser on, with parameters added to the address.
func goTo(w http.ResponseWriter, to string, more ...string) error {
	if len(more) > 0 {
		u, err := url.Parse(to)
		if err != nil {
			return fault.Wrap(fault.Internal, "send a browser on", err)
		}
		q := u.Query()
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		u.RawQuery = q.Encode()
		to = u.String()
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
