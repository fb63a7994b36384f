package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Provider is somebody else with whom people sign in. Package oidc implements Client.
type Provider struct {
	Name   string // in addresses
	Label  string // for people
	Posts  bool   // the answer is a form that the provider's page sends
	Client interface {
		// Begin is where the browser is sent.
		Begin(ctx context.Context, f Flow) (string, error)
		// Finish says who has come back with an answer whose state is right. What comes to nothing is a *Refusal.
		Finish(ctx context.Context, f Flow, answer url.Values) (*Identity, error)
	}
}

// Flow is what a provider is asked with.
type Flow struct{ State, Nonce, Verifier, Redirect string }

// Identity is somebody as a provider knows him. Issuer and Subject name him; nothing else does.
type Identity struct {
	Issuer, Subject string
	Email           string // as told
	Verified        bool   // the provider says that the address is his
	Claims          map[string]string
}

// Refusal is why a sign-in with a provider came to nothing. The page is told the code and no more; Err is for the log.
type Refusal struct {
	Code string
	Err  error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Code
	}
	return r.Code + ": " + r.Err.Error()
}

func (r *Refusal) Unwrap() error { return r.Err }

// unavailable is the code of a Refusal of a provider that is away.
const unavailable = "unavailable"

// flowText is what is said of the routes that a browser goes by.
const flowText = "For the browser itself, not for scripts. "

// providerRoutes are those of signing in with others, and of whom a user is there.
var providerRoutes = []route{
	{method: http.MethodGet, path: "providers", act: (*Gate).listProviders, when: others,
		tag: "auth.providers", name: "list", summary: "List the providers", text: "With whom people can sign in: what a page for signing in shows.",
		gives: tells("The providers", "items [Provider]")},
	{method: http.MethodGet, path: "oauth/{provider}", act: (*Gate).startFlow, when: others, counted: true,
		tag: "auth.providers", name: "begin", summary: "Go to a provider",
		text:  flowText + "It comes back to `return` with the session's cookie or, where there was a `code_challenge` (RFC 7636, S256), with a code to exchange.",
		query: "return? text, code_challenge? text, code_challenge_method? S256", fails: []int{http.StatusNotFound}, gives: leads("To the provider")},
	{method: http.MethodGet, path: "oauth/{provider}/callback", act: (*Gate).callback, when: others, counted: true,
		tag: "auth.providers", name: "end", summary: "Come back from a provider",
		text:  flowText + "Where the provider sends it: other parameters are ignored.",
		query: "state? text, code? text, iss? text, error? text, user? text", fails: []int{http.StatusNotFound}, gives: leads("To where it began, with the session or with what came of it")},
	{method: http.MethodPost, path: "oauth/{provider}/callback", act: (*Gate).formCallback, when: others, counted: true,
		tag: "auth.providers", name: "post", summary: "Come back from a provider that answers with a form",
		text: flowText + "It becomes a GET. A provider that does not answer so is 405.", form: true, more: true,
		takes: "state? text, code? text, iss? text, error? text, user? text", fails: []int{http.StatusNotFound, http.StatusMethodNotAllowed},
		gives: []Answer{{Status: http.StatusSeeOther, Text: "To the same with GET", Headers: []Header{location}}}},
	{method: http.MethodPost, path: "oauth/token", act: (*Gate).exchange, when: others, counted: true, enters: true,
		tag: "auth.providers", name: "exchange", summary: "Exchange a code for a session",
		text:  "The code is good once, within a minute, for who has the verifier. With `{}` it is what signing in has to ask of the browser that came back with `?mfa=required`.",
		takes: "code? text, verifier? text, cookie? flag|null", gives: begins("Session")},
	{method: http.MethodGet, path: "identities", act: (*Gate).listIdentities, when: others, signed: true,
		tag: "auth.providers", name: "identities", summary: "List the user's identities", text: "Who the user is at providers.",
		gives: tells("The identities", "items [Identity]")},
	{method: http.MethodPost, path: "identities", act: (*Gate).startLink, when: others, counted: true, signed: true, sure: true,
		tag: "auth.providers", name: "link", summary: "Link an identity", text: "Tells where the browser goes to link one more. Ask with `credentials: \"include\"`: the flow rests in a cookie.",
		takes: "provider text, return? text, password? text",
		gives: []Answer{{Status: http.StatusOK, Text: "Where the browser goes", shape: "location uri", Headers: []Header{flowHeader}}}},
	{method: http.MethodDelete, path: "identities/{id}", act: (*Gate).unlink, when: others, counted: true, signed: true, sure: true, may: true,
		tag: "auth.providers", name: "unlink", summary: "Remove an identity", text: "The last way to sign in is kept.",
		takes: "password? text|null", fails: []int{http.StatusNotFound, http.StatusConflict}, gives: done("It is removed")},
}

var (
	location   = Header{"Location", "Where the browser goes", true}
	flowHeader = Header{"Set-Cookie", "What belongs to the flow, sealed", true}
)

func leads(text string) []Answer {
	return []Answer{{Status: http.StatusSeeOther, Text: text, Headers: []Header{location, flowHeader}}}
}

// listProviders answers GET /api/auth/providers: what a page for signing in shows.
func (g *Gate) listProviders(w http.ResponseWriter, r *http.Request) error {
	body := []byte(`{"items":[`)
	for i, p := range g.providers {
		if i > 0 {
			body = append(body, ',')
		}
		body = doc.AppendString(append(body, `{"name":`...), p.Name)
		body = doc.AppendString(append(body, `,"label":`...), p.Label)
		body = append(body, '}')
	}
	web.JSON(w, r, http.StatusOK, append(body, `]}`...))
	return nil
}

func (g *Gate) provider(name string) (*Provider, error) {
	for i := range g.providers {
		if g.providers[i].Name == name {
			return &g.providers[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "there is no such provider: auth.providers of the app file names those that there are")
}

// startFlow answers GET /api/auth/oauth/{provider}?return=…&code_challenge=…: the browser goes to the provider.
func (g *Gate) startFlow(w http.ResponseWriter, r *http.Request) error {
	p, err := g.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	var q web.Params
	if err := q.Query(r, "return", "code_challenge", "code_challenge_method").Err(); err != nil {
		return err
	}
	to, _ := q.Get("return")
	if to, err = g.place(to); err != nil {
		return err
	}
	f := g.newFlow(p.Name, to)
	f.Challenge, _ = q.Get("code_challenge")
	method, said := q.Get("code_challenge_method")
	if said && (method != "S256" || f.Challenge == "") {
		return fault.At("code_challenge_method", 0, "value", "is S256, beside a code_challenge")
	}
	if b, err := strict.DecodeString(f.Challenge); f.Challenge != "" && (err != nil || len(b) != sha256.Size) {
		return fault.At("code_challenge", 0, "value", "is the base64url of the SHA-256 of a verifier (RFC 7636, S256): 43 characters")
	}
	address, err := g.depart(w, r, p, f)
	if err != nil {
		return err
	}
	return goTo(w, address)
}

// depart is where the browser is sent that carries a flow from now on.
func (g *Gate) depart(w http.ResponseWriter, r *http.Request, p *Provider, f *flow) (string, error) {
	asks, err := g.asks(p, f)
	if err != nil {
		return "", err
	}
	address, err := p.Client.Begin(r.Context(), asks)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		g.tellRefusal(w, p, refusal)
		return "", &fault.Error{Kind: fault.Unavailable, Msg: p.Label + " cannot be reached at the moment: try again later, or sign in another way", After: 30 * time.Second}
	}
	if err != nil {
		return "", err
	}
	return address, g.carry(w, f)
}

// asks is what a provider is asked with. The address of the answer is one for each provider, so that no provider's answer is
// taken for another's (RFC 9700, 4.4.2.2).
func (g *Gate) asks(p *Provider, f *flow) (Flow, error) {
	base := g.base()
	if base == "" {
		return Flow{}, &fault.Error{Kind: fault.Lacking, Op: "oauth", Msg: "nothing says where providers send the browser back to: add server: {url: https://app.example.com} to the app file"}
	}
	return Flow{State: f.State, Nonce: f.Nonce, Verifier: f.Verifier, Redirect: base + "/api/auth/oauth/" + p.Name + "/callback"}, nil
}

// answered are the parameters of an answer that are looked at (RFC 6749, 4.1.2; RFC 9207; Apple's user). Others are ignored.
var answered = []string{"code", "state", "iss", "error", "user"}

// answerOf reads an answer. A parameter that is there twice is a mistake of somebody's (RFC 6749, 3.1).
func answerOf(raw string) (url.Values, error) {
	all, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "the answer is not percent-encoded")
	}
	answer := url.Values{}
	for _, name := range answered {
		switch v := all[name]; {
		case len(v) > 1:
			return nil, fault.At(name, 0, "syntax", "is there twice")
		case len(v) == 1 && v[0] != "": // one that is empty is one that is absent
			answer[name] = v
		}
	}
	return answer, nil
}

// formCallback answers POST /api/auth/oauth/{provider}/callback, which the page of a provider sends: it brings no cookie, so it
// becomes a GET of the browser's own. Nothing is done here.
func (g *Gate) formCallback(w http.ResponseWriter, r *http.Request) error {
	p, err := g.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	if !p.Posts {
		w.Header()["Allow"] = []string{"GET, HEAD, OPTIONS"}
		return fault.New(fault.Method, "this provider answers with GET")
	}
	if err := web.ContentType(r, []string{"application/x-www-form-urlencoded"}); err != nil {
		return err
	}
	if err := web.Limit(w, r, maxAnswer); err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return web.ReadError(err)
	}
	answer, err := answerOf(string(body))
	if err != nil {
		return err
	}
	return goTo(w, r.URL.EscapedPath()+"?"+answer.Encode())
}

// maxAnswer is how large an answer of a provider may be that the browser brings, in bytes.
const maxAnswer = 16 << 10

// callback answers GET /api/auth/oauth/{provider}/callback. Without the flow that it belongs to there is no place to go to, and
// nothing is done; from then on the browser is sent back to where it came from, whatever becomes of it.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) error {
	p, err := g.provider(r.PathValue("provider"))
	if err != nil {
		return err
	}
	answer, err := answerOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	f, ok := g.cameBack(r, p.Name, answer.Get("state"))
	if !ok {
		return fault.New(fault.BadRequest, "this browser has not begun this sign-in, or it took longer than %d minutes: begin again", int(flowLife.Minutes()))
	}
	g.flowCookie().drop(w)
	if err = g.land(w, r, p, f, answer); err == nil {
		return nil
	}
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		refusal = &Refusal{Code: codeOf(err), Err: err}
	}
	g.tellRefusal(w, p, refusal)
	return goTo(w, f.Return, "error", refusal.Code)
}

// codeOf is what a page is told of an error that is none of a provider's.
func codeOf(err error) string {
	switch fault.Of(err) {
	case fault.Limited:
		return "limited"
	case fault.Unavailable, fault.Full:
		return unavailable
	case fault.Denied, fault.Unauthenticated:
		return "access_denied"
	}
	return "internal"
}

func (g *Gate) tellRefusal(w http.ResponseWriter, p *Provider, refusal *Refusal) {
	level := slog.LevelInfo
	switch refusal.Code {
	case unavailable:
		level = slog.LevelWarn
	case "internal":
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("request", web.RequestID(w)), slog.String("provider", p.Name), slog.String("code", refusal.Code)}
	if refusal.Err != nil {
		attrs = append(attrs, slog.String("error", refusal.Err.Error()))
	}
	g.log.LogAttrs(context.Background(), level, "a sign-in with a provider came to nothing", attrs...)
}

// land ends a flow that came back.
func (g *Gate) land(w http.ResponseWriter, r *http.Request, p *Provider, f *flow, answer url.Values) error {
	if err := g.spend(r.Context(), f); err != nil {
		return err
	}
	asks, err := g.asks(p, f)
	if err != nil {
		return err
	}
	known, err := p.Client.Finish(r.Context(), asks, answer)
	if err != nil {
		return err
	}
	if f.User != "" {
		as, err := g.link(r, p, f, known)
		if err != nil {
			return err
		}
		if as != nil {
			return g.bring(w, r, f, as, nil)
		}
		return goTo(w, f.Return)
	}
	who, identity, err := g.whoIs(r.Context(), p, known)
	if err != nil {
		return err
	}
	if who.disabled {
		return &Refusal{Code: "disabled"}
	}
	used := func(tx *data.Tx) error {
		_, err := tx.Update("_identities", identity, told(known, g.clock()))
		return err
	}
	if f.Challenge == "" {
		return g.bring(w, r, f, who, used)
	}
	var code string
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) (err error) {
		if err = used(tx); err == nil {
			code, err = g.codeFor(tx, f, who)
		}
		return err
	})
	if err != nil {
		return err
	}
	return goTo(w, f.Return, "code", code)
}

// bring signs in with a cookie and sends the browser on. Where signing in asks for more, the ticket waits in the browser, sealed,
// for the page to ask for it: it stands in no address.
func (g *Gate) bring(w http.ResponseWriter, r *http.Request, f *flow, who *person, also func(*data.Tx) error) error {
	h := &held{ResponseWriter: w, header: http.Header{}}
	err := g.signIn(h, r, who, byProvider, true, also)
	if s, ok := errors.AsType[*secondStep](err); ok {
		return g.hand(w, f, s)
	}
	if err != nil {
		return err
	}
	for _, c := range h.header["Set-Cookie"] {
		w.Header().Add("Set-Cookie", c)
	}
	return goTo(w, f.Return)
}

// hand gives the browser the ticket.
func (g *Gate) hand(w http.ResponseWriter, f *flow, s *secondStep) error {
	waits := &flow{ID: f.ID, Held: s.json(), Ends: g.clock().Add(flowLife).UnixMilli()}
	if err := g.carry(w, waits); err != nil {
		return err
	}
	return goTo(w, f.Return, "mfa", "required")
}

// held is an answer that goes nowhere: of it, the browser gets the cookie.
type held struct {
	http.ResponseWriter // whose answer it is instead
	header              http.Header
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(int) {}

func (h *held) Write(b []byte) (int, error) { return len(b), nil }

// Unwrap is for the log, which wants to know who asks.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// exchange answers POST /api/auth/oauth/token {code, verifier, cookie}: as login. Without a code it answers what signing in
// had to ask for, which waits in the browser's cookie.
func (g *Gate) exchange(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	if len(f.body.Keys) == 0 {
		return g.handOver(w, r)
	}
	code, verifier, cookie := f.text("code"), f.text("verifier"), f.flag("cookie")
	if err := f.err(); err != nil {
		return err
	}
	id, who, err := g.lookFlowCode(r.Context(), code, verifier)
	if err != nil {
		return err
	}
	return g.signIn(w, r, who, byProvider, cookie, func(tx *data.Tx) error {
		err := tx.Delete("_flows", id)
		if fault.Is(err, fault.NotFound) {
			return wrongSecret("/code")
		}
		return err
	})
}

func (g *Gate) handOver(w http.ResponseWriter, r *http.Request) error {
	f, ok := g.flowOf(r)
	if !ok || len(f.Held) == 0 {
		return wrongSecret("/code")
	}
	g.flowCookie().drop(w)
	web.Problem(w, r, needsSecond, web.Member{Name: "mfa", JSON: f.Held})
	return nil
}

// challengeOf is the challenge to which a verifier belongs (RFC 7636, 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return strict.EncodeToString(sum[:])
}
