package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// What a proof is for, and how long it is good. A code is short, and so is its life (NIST 800-63B-4, 3.1.3: 10 minutes).
const (
	toRegister = "register" // somebody wants to become a user
	toReset    = "reset"    // a new password
	toMove     = "email"    // another address
	toSignIn   = "code"     // without a password
)

var lives = map[string]time.Duration{toRegister: 24 * time.Hour, toReset: time.Hour, toMove: 24 * time.Hour, toSignIn: 10 * time.Minute}

// proof shows that somebody reads the mails of an address. It is good once.
type proof struct {
	of                       string // the collection that has it
	id, purpose, user, email string
	by                       string        // what is stored of the mark of the client that has asked for it; "": none
	epoch                    int           // of the user's account: when that changes, what was sent before is good for nothing
	says                     *doc.Node     // what was asked for, if something is left to be done
	life                     time.Duration // how long it is good; 0: as lives says
}

// prove makes a proof, and tells what is sent by mail: a token or, to sign in, a code.
func (g *Gate) prove(tx *data.Tx, p proof) (secret string, err error) {
	now := g.clock()
	t := g.proof.mint(now)
	secret, hash := g.proof.text(t), t.hash()
	if p.purpose == toSignIn {
		secret = newCode()
		hash = g.codeHash(t.recordID(), secret)
	}
	body := doc.NewObject()
	body.Set("id", doc.NewString(t.recordID()))
	body.Set("purpose", doc.NewString(p.purpose))
	body.Set("hash", doc.NewString(hash))
	body.Set("email", doc.NewString(p.email))
	body.Set("about", doc.NewString(g.about(p.email)))
	body.Set("expires", moment(now.Add(cmp.Or(p.life, lives[p.purpose]))))
	if p.user != "" {
		body.Set("user", doc.NewString(p.user))
		body.Set("epoch", doc.NewInt(int64(p.epoch)))
	}
	if p.by != "" {
		body.Set("by", doc.NewString(p.by))
	}
	if p.says != nil {
		body.Set("says", doc.NewString(string(p.says.AppendCanonical(nil))))
	}
	_, err = tx.Create(g.own("_proofs"), body)
	return secret, err
}

// about is what the proofs of an address are found by.
func (g *Gate) about(email string) string {
	m := hmac.New(sha256.New, g.proof.mac)
	m.Write([]byte("about\x00" + expr.Fold(email)))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sameBox says whether two addresses are one mailbox: they differ in the case of ASCII letters at most. Users are told apart by
// less (expr.Fold), for which ß is ss and ſ is s. But a mail to straße.example goes elsewhere than one to strasse.example, and who
// reads it has proven that one alone.
func sameBox(a, b string) bool {
	lower := func(s string) string {
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, expr.NFC(s))
	}
	return lower(a) == lower(b)
}

// wrongSecret is the answer to what is not good, whatever is wrong with it.
func wrongSecret(pointer string) error {
	return &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: pointer, Code: "secret", Message: "is wrong, was used already, or is too old"}}}
}

// look finds the proof that a token is, and leaves it: what is wrong with the rest of a request must not cost it.
func (g *Gate) look(ctx context.Context, purpose, text string) (proof, error) {
	t, ok := g.proof.parse(text)
	if !ok {
		return proof{}, wrongSecret("/token")
	}
	rec, err := g.record(ctx, g.own("_proofs"), t.recordID())
	if err != nil {
		return proof{}, err
	}
	c := &g.people.proof
	if rec == nil || rec[c.purpose].Text() != purpose || !t.hasHash(rec[c.hash].Text()) || g.clock().UnixMilli() >= rec[c.expires].Int() {
		return proof{}, wrongSecret("/token")
	}
	return g.proofOf(rec)
}

func (g *Gate) proofOf(rec data.Record) (p proof, err error) {
	c := &g.people.proof
	p = proof{of: g.own("_proofs"), id: rec[spec.OrdID].Text(), purpose: rec[c.purpose].Text(), user: rec[c.user].Text(), email: rec[c.email].Text(), by: rec[c.by].Text(), epoch: int(rec[c.epoch].Int())}
	if text := rec[c.says].Text(); text != "" {
		p.says, err = doc.Parse([]byte(text), doc.Limits{})
	}
	return p, err
}

// use spends a proof: of all who try, in whatever process, one is not told that it is spent. What it was good for is done in
// the same transaction.
func (p *proof) use(tx *data.Tx) error {
	err := tx.Delete(p.of, p.id)
	if fault.Is(err, fault.NotFound) {
		return wrongSecret("/token")
	}
	return err
}

// countOf reads a number of what a write has answered.
func countOf(reply data.Reply, field string) (int64, error) {
	n, err := doc.Parse(reply.Body, doc.Limits{})
	if err != nil {
		return 0, err
	}
	v, _ := n.Get(field)
	var i int64
	_, err = fmt.Sscan(v.Text, &i)
	return i, err
}
