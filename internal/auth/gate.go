package auth

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Collections are what package auth keeps for itself, in the words of an app file: keys and operators for every app,
// and the rest where people can sign in.
func Collections(app *spec.App) string {
	all := always + keptOf("_operators", operatorPrefix)
	if app.Auth.On {
		all += keptOf(app.Auth.Collection, "") + strings.ReplaceAll(ofProviders+invitationsOf(app), "USERS", app.Auth.Collection)
	}
	return all
}

// keptOf is what is kept of people in collections whose names begin with prefix.
func keptOf(people, prefix string) string {
	return strings.NewReplacer("USERS", people, "\n_", "\n"+prefix+"_").Replace(ofPeople + ofFactors)
}

// invitationsOf is what is kept of invitations: to the app, and to teams where there are some.
func invitationsOf(app *spec.App) string {
	t := &app.Auth.Teams
	if !t.On() {
		return ofInvitations
	}
	const by = "onDelete: cascade}\n"
	return strings.Replace(ofInvitations, by, by[:len(by)-1]+strings.ReplaceAll(ofTeams, "TEAMS", t.Collection)+"\n", 1)
}

const always = `
_keys:
  fields:
    hash:      {type: text, max: 64, required: true}
    role:      {type: text, max: 40}
    operator:  {type: bool, required: true, default: false}
    read_only: {type: bool, required: true, default: false}
    expires:   {type: time}
    label:     {type: text, max: 120}
    used:      {type: time}
_operators:
  fields:
    email:    {type: email, required: true, unique: true, ci: true}
    verified: {type: bool, required: true, default: true}
    disabled: {type: bool, required: true, default: false}
`

// ofPeople is what is kept of each user, and of each operator, beside his record, where no rule and no request reaches it.
//
// _accounts: how he proves who he is. _sessions: where he is signed in. _proofs: what was sent to him by mail and is good
// once; by is the client that has asked for it (see asker.go), own counts the tries from there. _tries: how often something was
// tried in a span of time (see limit.go). _factors, _passkeys: what he proves it with beside a password (see factor.go).
// _ceremonies: what was begun, and is ended by a second request.
const ofPeople = `
_accounts:
  fields:
    user:     {type: ref, to: USERS, required: true, unique: true, onDelete: cascade}
    password: {type: text, max: 1000, encrypted: true}
    epoch:    {type: int, required: true, default: 0}
    era:      {type: int, required: true, default: 0}
_sessions:
  fields:
    user:    {type: ref, to: USERS, required: true, onDelete: cascade}
    epoch:   {type: int, required: true}
    hash:    {type: text, max: 64, required: true}
    seen:    {type: time, required: true}
    expires: {type: time, required: true}
    agent:   {type: text, max: 200}
    address: {type: text, max: 64}
    network: {type: text, max: 64}
    mfa:     {type: bool, required: true, default: false}
  indexes:
    - [expires]
_proofs:
  fields:
    purpose: {type: enum, values: [register, reset, email, code], required: true}
    hash:    {type: text, max: 64, required: true}
    user:    {type: ref, to: USERS, onDelete: cascade}
    epoch:   {type: int}
    email:   {type: text, max: 254, required: true, encrypted: true}
    about:   {type: text, max: 64, required: true}
    by:      {type: text, max: 64}
    says:    {type: text, encrypted: true}
    tries:   {type: int, required: true, default: 0, min: 0}
    own:     {type: int, required: true, default: 0, min: 0}
    expires: {type: time, required: true}
  indexes:
    - [about]
    - [expires]
_tries:
  fields:
    count: {type: int, required: true, min: 0}
    until: {type: time, required: true}
  indexes:
    - [until]
`

// remembered is how long a credential that was found in the database is believed without asking again. A key that is removed
// is dead everywhere within 5 s: a live connection asks each 2 s, and may be told what is remembered.
const remembered = 2400 * time.Millisecond

// Options of New. Zero values are the defaults.
type Options struct {
	Clock  func() time.Time // default time.Now
	Log    *slog.Logger     // default slog.Default()
	Mail   Mail             // who sends mails; nil: what needs a mail is a fault.Lacking
	Hasher Hasher           // of passwords
	Dev    bool             // cookies need no https

	Providers []Provider    // with whom people sign in
	Tokens    Tokens        // of issuers that the app trusts; may be nil
	Address   func() string // where the app is, if server.url does not say so; may be nil, and may return ""

	Observer Observer // nil: nobody is told
}

// Observer is told how people come in, so that it can be counted. It is not told who they are.
type Observer interface {
	// SignedIn is told of each session that somebody begins, by what he has shown.
	SignedIn(by string)
	// Refused is told of each credential that was not good, or not good enough: at which route, and the kind of the fault.
	Refused(route, why string)
	// Limited is told when something was tried too often, and what.
	Limited(what string)
}

// Gate says who makes a request, and lets people in: users and, by a gate of their own behind it, operators. It is safe for
// concurrent use.
type Gate struct {
	db     *data.DB
	auth   *spec.Auth // how they sign in
	clock  func() time.Time
	log    *slog.Logger
	mail   Mail
	hasher Hasher
	cookie cookie
	dev    bool
	keys   columns

	key, session, proof, code, begun sort    // of tokens
	people                           *people // nil: nobody signs in
	operators                        *Gate   // nil: it is theirs
	ofOperators                      bool
	observer                         Observer // nil: nobody

	providers []Provider
	tokens    Tokens
	at        func() string
	flows     sealer
	letters   sealer // see letters.go

	full full // counts of attempts

	mu     sync.RWMutex
	known  map[[32]byte]*pass               // by the SHA-256 of the whole token
	byUser map[string]map[[32]byte]struct{} // those of a user
	anew   [64]string                       // the users who were to be looked up anew lately, one after the other
	anews  uint64                           // how many there were
	noting sync.WaitGroup                   // notes of use that are being written
	closed bool                             // no more are begun
	swept  time.Time                        // when anonymous users were last looked at
}

// pass is a credential that was found to be good.
type pass struct {
	caller  data.Caller
	user    string    // whose it is, a user's id or an operator's; "": a key's, or nobody's who is known here
	session string    // the id of the session; "" for a key
	since   time.Time // when the session began
	until   time.Time // when it is looked up again
	expires time.Time // zero: never
	ends    time.Time // of a session: when it ends in any case, which its client was told
}

// columns are the ordinals of the fields of _keys.
type columns struct{ hash, role, operator, readOnly, expires, label, used int }

// New makes the gate of an app. secret is the app's own: tokens of another app, or of this app
// under another secret, are refused without a look into the database.
func New(db *data.DB, secret []byte, o Options) (*Gate, error) {
	g := &Gate{auth: &db.App().Auth, cookie: cookieOf(db.App(), o.Dev), operators: &Gate{auth: operatorsAuth(db.App()), ofOperators: true}}
	g.providers, g.tokens = o.Providers, o.Tokens
	db.OnRejoin(g.renewed)
	db.OnDisable(g.disabled)
	for _, gate := range []*Gate{g, g.operators} {
		if err := gate.init(db, secret, o); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Gate) init(db *data.DB, secret []byte, o Options) error {
	c, ok := db.App().Collection("_keys")
	if !ok {
		return fault.New(fault.Internal, "auth.Collections is missing among the app's collections")
	}
	g.db, g.clock, g.log, g.mail, g.hasher, g.dev, g.keys, g.at, g.observer, g.known = db, o.Clock, o.Log, o.Mail, o.Hasher, o.Dev, columnsOf(c), o.Address, o.Observer, map[[32]byte]*pass{}
	g.byUser = map[string]map[[32]byte]struct{}{}
	whose, sessions := "", sessionPrefix
	if g.ofOperators {
		whose, sessions = " of operators", operatorSessionPrefix
	}
	for _, s := range []struct {
		of              *sort
		prefix, purpose string
	}{{&g.key, keyPrefix, "sign tokens"}, {&g.session, sessions, "sign sessions" + whose}, {&g.proof, proofPrefix, "sign proofs" + whose}, {&g.code, codePrefix, "sign codes" + whose},
		{&g.begun, begunPrefix, "sign ceremonies" + whose}} {
		mac, err := data.Derive(secret, s.purpose)
		if err != nil {
			return err
		}
		*s.of = sort{s.prefix, mac}
	}
	if g.clock == nil {
		g.clock = time.Now
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	var err error
	if g.flows, err = newSealer(secret, "seal flows"); err != nil {
		return err
	}
	if g.letters, err = newSealer(secret, "seal letters"); err != nil {
		return err
	}
	g.people, err = g.peopleOf(db.App())
	return err
}

// own is the name of a collection of those that are kept of people.
func (g *Gate) own(name string) string {
	if g.ofOperators {
		return operatorPrefix + name
	}
	return name
}

func columnsOf(c *spec.Collection) columns {
	ord := func(name string) int { return ordOf(c, name) }
	return columns{ord("hash"), ord("role"), ord("operator"), ord("read_only"), ord("expires"), ord("label"), ord("used")}
}

func ordOf(c *spec.Collection, name string) int {
	f, _ := c.Field(name)
	return f.Ord
}

// Close waits for what is being noted of the use of keys. The database is closed after it.
func (g *Gate) Close() {
	if g.operators != nil {
		g.operators.Close()
	}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.noting.Wait()
}

// find looks a token up: among those that are remembered, else, when its MAC is right, in the database.
func (g *Gate) find(ctx context.Context, text string) (*pass, error) {
	if g.tokens != nil && g.people != nil && isForeign(text) {
		return g.foreign(ctx, text)
	}
	if len(text) != textLen {
		return nil, refused
	}
	if g.operators != nil && strings.HasPrefix(text, g.operators.session.prefix) {
		return g.operators.find(ctx, text)
	}
	now := g.clock()
	sum := sumOf(text)
	g.mu.RLock()
	p, anews := g.known[sum], g.anews
	g.mu.RUnlock()
	if p == nil || !now.Before(p.until) {
		look := g.lookUp
		t, ok := g.key.parse(text)
		if !ok && g.people != nil {
			look = g.lookUpSession
			t, ok = g.session.parse(text)
		}
		if !ok {
			return nil, refused
		}
		var err error
		if p, err = look(ctx, t); err != nil {
			return nil, err
		}
		g.remember(sum, p, now, anews)
	}
	if p == nil || !p.expires.IsZero() && !now.Before(p.expires) {
		return nil, refused
	}
	return p, nil
}

// maxRemembered bounds the memory of the gate; whatever is in use comes back with one query.
const maxRemembered = 10_000

// remember keeps what was looked up when so many users had been to be looked up anew: who is among those since is looked up again.
func (g *Gate) remember(sum [32]byte, p *pass, now time.Time, anews uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(sum)
	if p == nil || g.anews-anews > uint64(len(g.anew)) {
		return
	}
	for n := anews; n < g.anews; n++ {
		if user := g.anew[n%uint64(len(g.anew))]; user == p.user && user != "" {
			return
		}
	}
	if len(g.known) >= maxRemembered {
		for k, old := range g.known {
			if !now.Before(old.until) {
				g.drop(k)
			}
		}
		if len(g.known) >= maxRemembered {
			clear(g.known)
			clear(g.byUser)
		}
	}
	p.until = now.Add(remembered)
	g.known[sum] = p
	if p.user == "" {
		return
	}
	if g.byUser[p.user] == nil {
		g.byUser[p.user] = map[[32]byte]struct{}{}
	}
	g.byUser[p.user][sum] = struct{}{}
}

// drop forgets one. The lock is held.
func (g *Gate) drop(sum [32]byte) {
	p := g.known[sum]
	if p == nil {
		return
	}
	delete(g.known, sum)
	own := g.byUser[p.user]
	if delete(own, sum); len(own) == 0 {
		delete(g.byUser, p.user)
	}
}

// forget has credentials looked up anew: at once by this process, by the others when they believe what they remember no more.
func (g *Gate) forget(which func(*pass) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for sum, p := range g.known {
		if which(p) {
			g.drop(sum)
		}
	}
}

// forgetUser does so with those of a user, also with what is being looked up.
func (g *Gate) forgetUser(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.anew[g.anews%uint64(len(g.anew))] = user
	g.anews++
	for sum := range g.byUser[user] {
		g.drop(sum)
	}
}

// lookUp asks the database for a key. A key that is not there, has another secret, or whose role the
// app no longer has, is nil.
func (g *Gate) lookUp(ctx context.Context, t token) (*pass, error) {
	rec, err := g.record(ctx, "_keys", t.recordID())
	if err != nil || rec == nil {
		return nil, err
	}
	c := &g.keys
	if !t.hasHash(rec[c.hash].Text()) {
		return nil, nil
	}
	p := &pass{caller: data.Caller{
		SignedIn: true,
		Role:     rec[c.role].Text(),
		Operator: rec[c.operator].Bool(),
		ReadOnly: rec[c.readOnly].Bool(),
		Scope:    "key:" + t.recordID(),
	}}
	if !p.caller.Operator && !hasRole(g.db.App(), p.caller.Role) {
		return nil, nil
	}
	if v := rec[c.expires]; !v.IsNull() {
		p.expires = time.UnixMilli(v.Int())
	}
	if p.expires.IsZero() || g.clock().Before(p.expires) {
		g.noteUse("_keys", t.recordID(), "used", rec[c.used])
	}
	return p, nil
}

// noteEvery is how exactly the last use of a key or a session is known: it costs a write in this time.
const noteEvery = time.Hour

// noteOften is that of operators: an open session of theirs is worth more, and there are few of them.
const noteOften = 5 * time.Minute

func (g *Gate) noted() time.Duration {
	if g.ofOperators {
		return noteOften
	}
	return noteEvery
}

// noteUse writes down that a credential is used, beside the request. It is for people who look for keys and sessions
// that nobody needs, and for how long a session may lie idle: when it fails, nothing but that is lost.
func (g *Gate) noteUse(collection, id, field string, last expr.Value) {
	now := g.clock()
	if !last.IsNull() && now.Sub(time.UnixMilli(last.Int())) < g.noted() {
		return
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed { // a request that has outlasted its app
		return
	}
	g.noting.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		body := doc.NewObject()
		body.Set(field, moment(now))
		_, err := g.db.Update(ctx, data.System, collection, id, body, data.WriteOptions{Minimal: true})
		if err != nil && !fault.Is(err, fault.NotFound) {
			g.log.Debug("the use of a credential was not noted", "of", collection, "id", id, "error", err)
		}
	})
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// moment is a time as a field takes it.
func moment(t time.Time) *doc.Node { return doc.NewString(t.UTC().Format(timeFormat)) }
