package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// How often something may be tried in span. Counts are kept in the database, so that all processes count together.
const (
	span         = time.Minute
	perAddress   = 100 // requests with credentials, from one address or one network of IPv6
	perAccount   = 10  // wrong passwords and codes, for one address of mail, whether anybody has it or not
	mailsFromOne = 10  // mails to one address of mail in an hour, asked for from one network
	mailsPerHour = 30  // from all of them together

	// NIST 800-63B-4, 3.2.2: at most 100 wrong passwords one after the other. They are counted in spans of 30 days.
	inRow     = "password"
	mostInRow = 100
	rowSpan   = 30 * 24 * time.Hour
)

// tally is how often something was tried in the present span, and when that ends.
type tally struct {
	n    int64
	left time.Duration
}

// count notes that something was tried in the present span, and fails with fault.Limited when it was tried more than most
// times. what and whom are not to be read from what is stored.
func (g *Gate) count(ctx context.Context, what, whom string, most int, span time.Duration) error {
	_, err := g.tally(ctx, what, whom, most, span)
	return err
}

// tally is count, and says how often it was. Once it was too often for this process, it only looks: what is refused costs no
// write. It looks each time, for another process may have found what was tried to be right (uncount).
//
// The count is one record for each span, whose id is made of what is counted: it is found, and made, without a question.
func (g *Gate) tally(ctx context.Context, what, whom string, most int, span time.Duration) (t tally, err error) {
	now := g.clock()
	from := now.Truncate(span)
	t.left = from.Add(span).Sub(now)
	id := g.countID(what, whom, from)
	if t.n, err = g.spent(ctx, id, most); err == nil && t.n <= int64(most) {
		t.n, err = g.increase(ctx, id, from.Add(span))
	}
	if err == nil && t.n > int64(most) {
		g.full.add(id, from.Add(span), now)
		err = &fault.Error{Kind: fault.Limited, Msg: "too many attempts: try again later", After: t.left}
		if g.observer != nil {
			g.observer.Limited(strings.TrimSuffix(strings.TrimSuffix(what, " from"), " here"))
		}
	}
	return t, err
}

// spent is a count that this process has seen to be over most, if it still is; else 0.
func (g *Gate) spent(ctx context.Context, id string, most int) (int64, error) {
	if !g.full.has(id) {
		return 0, nil
	}
	rec, err := g.record(ctx, g.own("_tries"), id)
	if err != nil || rec == nil {
		return 0, err
	}
	return rec[g.people.tries.count].Int(), nil
}

// increase adds one to a count, which ends at until, and tells what it is now.
func (g *Gate) increase(ctx context.Context, id string, until time.Time) (int64, error) {
	one := doc.NewObject()
	one.Set("count", doc.NewInt(1))
	for range 3 {
		reply, err := g.db.Increment(ctx, data.System, g.own("_tries"), id, one, data.WriteOptions{})
		if err == nil {
			return countOf(reply, "count")
		}
		if !fault.Is(err, fault.NotFound) {
			return 0, err
		}
		body := doc.NewObject()
		body.Set("id", doc.NewString(id))
		body.Set("count", doc.NewInt(1))
		body.Set("until", moment(until))
		if _, err = g.db.Create(ctx, data.System, g.own("_tries"), body, data.WriteOptions{Minimal: true}); !fault.Is(err, fault.Conflict) {
			return 1, err
		}
	}
	return 0, fault.New(fault.Unavailable, "attempts could not be counted: try again")
}

// full are the counts that this process has seen to be over their limit, by their id, with the end of their span.
type full struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// mostFull bounds the memory of it; what is forgotten costs a write and is known again.
const mostFull = 10_000

func (f *full) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, there := f.until[id]
	return there
}

func (f *full) add(id string, until, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.until) >= mostFull {
		for id, until := range f.until {
			if !now.Before(until) {
				delete(f.until, id)
			}
		}
	}
	if f.until == nil || len(f.until) >= mostFull {
		f.until = map[string]time.Time{}
	}
	f.until[id] = until
}

// uncount forgets what was tried in the present span: it was right.
func (g *Gate) uncount(ctx context.Context, what, whom string, span time.Duration) {
	id := g.countID(what, whom, g.clock().Truncate(span))
	if _, err := g.db.Delete(ctx, data.System, g.own("_tries"), id, data.WriteOptions{}); err != nil && !fault.Is(err, fault.NotFound) {
		g.log.Warn("attempts could not be forgotten", "error", err)
	}
}

func (g *Gate) countID(what, whom string, from time.Time) string {
	m := hmac.New(sha256.New, g.proof.mac)
	for _, s := range []string{"count", what, whom} {
		m.Write([]byte(s))
		m.Write([]byte{0})
	}
	id := m.Sum(nil)[:idLen]
	stamp(id, from)
	return idText(id)
}

// address is where a request comes from.
func (g *Gate) address(r *http.Request) string {
	return Address(r, g.db.App().Server.TrustedProxies)
}

// network is whom an address belongs to, as far as that can be told: of IPv6 a customer has 2^64 at least.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}

// limit counts a request that carries a credential, or asks for one, and tells how many are left
// (draft-ietf-httpapi-ratelimit-headers-10). Only what is counted by where a request comes from is told: that is the client's own
// doing. What is counted by account is others' doing too, and would tell of them.
func (g *Gate) limit(w http.ResponseWriter, r *http.Request) error {
	t, err := g.tally(r.Context(), "address", network(g.address(r)), perAddress, span)
	if err == nil || fault.Is(err, fault.Limited) {
		h := w.Header()
		h["Ratelimit-Policy"] = policy
		h["Ratelimit"] = []string{fmt.Sprintf(`"address";r=%d;t=%d`, max(perAddress-t.n, 0), int64((t.left+time.Second-1)/time.Second))}
	}
	return err
}

// countMail counts a mail that is asked for. Each network has a share of its own: who asks for many keeps nobody elsewhere from his.
// Those that lead to a new password are counted by themselves: whoever asks for so many of them has sent the owner of the address as many
// links, each of which lets him in, and whoever asks for others keeps him from none.
func (g *Gate) countMail(r *http.Request, purpose, whom string, known bool) error {
	mail := "mail"
	if purpose == toReset {
		mail = "mail of a reset"
	}
	if err := g.count(r.Context(), mail+" here", whom+" "+network(g.address(r)), mailsFromOne, time.Hour); err != nil {
		return err
	}
	what, whom := g.apart(r, mail, whom, known)
	return g.count(r.Context(), what, whom, mailsPerHour, time.Hour)
}

var policy = []string{fmt.Sprintf(`"address";q=%d;w=%d`, perAddress, int(span.Seconds()))}

// guess counts an attempt to know the secret of an account.
func (g *Gate) guess(r *http.Request, email string, who *person) (right func(), err error) {
	known, err := g.near(r, email, who)
	if err != nil {
		return nil, err
	}
	return g.guessed(r, "account", expr.Fold(email), known)
}

// guessPassword counts an attempt at a password: those of this minute, and those that were wrong one after the other. Where these
// are too many, whoever reads the mails of the address comes in by a code, or sets a new password.
func (g *Gate) guessPassword(r *http.Request, email string, who *person) (right func(), err error) {
	known, err := g.near(r, email, who)
	if err != nil {
		return nil, err
	}
	soon, err := g.guessed(r, "account", expr.Fold(email), known)
	if err != nil {
		return nil, err
	}
	name := expr.Fold(email)
	if who == nil {
		name = g.crowd(name)
	}
	what, whom := g.apart(r, inRow, name, known)
	if err = g.count(r.Context(), what, whom, mostInRow, rowSpan); fault.Is(err, fault.Limited) {
		e := *err.(*fault.Error)
		e.Msg = "too many passwords were wrong one after the other: sign in with a code that is sent to the address, or set a new password"
		err = &e
	}
	return func() {
		soon()
		g.uncount(r.Context(), what, whom, rowSpan)
	}, err
}

// crowd is under what wrong passwords are counted for an address that nobody has: one of a million names, for these counts stay for
// a month, and whoever makes addresses up would fill the database. Which two share one is not seen from outside.
func (g *Gate) crowd(whom string) string {
	m := hmac.New(sha256.New, g.proof.mac)
	m.Write([]byte("crowd\x00" + whom))
	return fmt.Sprintf("nobody %05x", binary.BigEndian.Uint32(m.Sum(nil))>>12)
}

// guessed counts an attempt at something of somebody's; known says that it comes from where he is known.
func (g *Gate) guessed(r *http.Request, what, whom string, known bool) (right func(), err error) {
	what, whom = g.apart(r, what, whom, known)
	err = g.count(r.Context(), what, whom, perAccount, span)
	return func() { g.uncount(r.Context(), what, whom, span) }, err
}

// apart is under what an attempt is counted. Whoever attacks an account must not keep its owner out: from where he is known,
// attempts are counted by themselves.
func (g *Gate) apart(r *http.Request, what, whom string, known bool) (string, string) {
	if known {
		return what + " from", whom + " " + network(g.address(r))
	}
	return what, whom
}

// near says whether a request comes from where the owner of an account is known: he has a session from there, or has read a
// mail. Both are asked, and for nobody too: it takes its time.
func (g *Gate) near(r *http.Request, email string, who *person) (bool, error) {
	g.concerns(r.Context(), who)
	here := network(g.address(r))
	id, epoch := nobody, 0
	if who != nil {
		id, epoch = who.id, who.epoch
	}
	sessions, _, err := g.db.Records(r.Context(), data.System, &data.ListQuery{Collection: g.own("_sessions"), Limit: 1,
		Filter: "user == param.a && network == param.b && epoch == param.c && expires > now",
		Params: map[string]*doc.Node{"a": doc.NewString(id), "b": doc.NewString(clip(here, 64)), "c": doc.NewInt(int64(epoch))}})
	if err != nil {
		return false, err
	}
	known := len(sessions) > 0
	ids := []string{g.readID(expr.Fold(email), here)}
	if g.ofOperators {
		ids = append(ids, g.cameID(id, epoch, here))
	}
	for _, id := range ids {
		rec, err := g.record(r.Context(), g.own("_tries"), id)
		if err != nil {
			return false, err
		}
		known = known || rec != nil && g.clock().UnixMilli() < rec[g.people.tries.until].Int()
	}
	return known, nil
}

// nobody is an id that no user has.
const nobody = "00000000-0000-7000-8000-000000000000"

// known is for how long it counts that somebody has read a mail of his where a request comes from.
const known = 24 * time.Hour

func (g *Gate) readID(whom, network string) string {
	return g.countID("read", whom+" "+network, time.UnixMilli(0))
}

// came is for how long it counts that an operator has signed in where a request comes from, with both factors and the password that he has
// still. His sessions are short, and no mail lets him in when somebody else has guessed too often: without it only who has the database could.
const came = 30 * 24 * time.Hour

func (g *Gate) cameID(user string, epoch int, network string) string {
	return g.countID("came", fmt.Sprint(user, " ", epoch, " ", network), time.UnixMilli(0))
}

// hasRead notes that the owner of an address has shown, from where a request comes, that he reads its mails: with a new password
// he signs in, also while somebody else attacks his account. Without the note he is like anybody else.
func (g *Gate) hasRead(r *http.Request, email string) {
	g.isKnown(r, g.readID(expr.Fold(email), network(g.address(r))), known)
}

// isKnown keeps for a while that somebody is known where a request comes from.
func (g *Gate) isKnown(r *http.Request, id string, life time.Duration) {
	body := doc.NewObject()
	body.Set("id", doc.NewString(id))
	body.Set("count", doc.NewInt(1))
	body.Set("until", moment(g.clock().Add(life)))
	_, err := g.db.Create(r.Context(), data.System, g.own("_tries"), body, data.WriteOptions{Minimal: true})
	if fault.Is(err, fault.Conflict) {
		again := doc.NewObject()
		again.Set("until", moment(g.clock().Add(life)))
		_, err = g.db.Update(r.Context(), data.System, g.own("_tries"), id, again, data.WriteOptions{Minimal: true})
	}
	if err != nil {
		g.log.Warn("it could not be noted from where somebody is known", "error", err)
	}
}
