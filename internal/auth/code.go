package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// codeLen is how many digits a code has: with codeTries guesses at each, and perAccount in a minute, 100 million are enough.
const (
	codeLen   = 8
	codeTries = 5
)

func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		panic(err) // rand.Reader never fails: the program ends instead
	}
	return fmt.Sprintf("%0*d", codeLen, n)
}

// codeHash is what is stored of a code: without the app's secret nobody finds it by trying all there are.
func (g *Gate) codeHash(id, code string) string {
	m := hmac.New(sha256.New, g.proof.mac)
	m.Write([]byte("code\x00" + id + "\x00" + code))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// guessCode finds the proof that a code of an address is. A client that has asked for codes guesses at its own first, which nobody
// else spends: it has so many tries at each, and so many mails are sent. Other guesses count together.
func (g *Gate) guessCode(r *http.Request, email string, who *person, code string) (p proof, right func(), err error) {
	ctx := r.Context()
	tried := false
	if _, mark := g.mark(r); mark != "" {
		own, err := g.codes(ctx, email, mark)
		if err != nil {
			return p, nil, err
		}
		if p, err = g.lookCode(ctx, own, code, true); !fault.Is(err, fault.Invalid) {
			return p, func() {}, err
		}
		tried = len(own) > 0
	}
	if right, err = g.guess(r, email, who); tried && fault.Is(err, fault.Limited) {
		err = wrongSecret("/code") // it is others who guess too often
	}
	if err != nil {
		return p, nil, err
	}
	codes, err := g.codes(ctx, email, "")
	if err != nil {
		return p, nil, err
	}
	p, err = g.lookCode(ctx, codes, code, false)
	return p, right, err
}

// codes are the newest codes of an address that are good still: those that a client has asked for, or "" for anybody's.
func (g *Gate) codes(ctx context.Context, email, by string) ([]data.Record, error) {
	filter := `about == param.a && purpose == "code" && expires > now`
	params := map[string]*doc.Node{"a": doc.NewString(g.about(email))}
	if by != "" {
		filter += " && by == param.b"
		params["b"] = doc.NewString(by)
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: "_proofs", Limit: codeTries, Sort: "-id", Filter: filter, Params: params})
	return records, err
}

// lookCode finds the proof among these that a code is. Each attempt counts before it is looked at, in one of two fields: those
// of the client that has asked for the code by themselves.
func (g *Gate) lookCode(ctx context.Context, records []data.Record, code string, own bool) (proof, error) {
	c := &g.people.proof
	field, ord := "tries", c.tries
	if own {
		field, ord = "own", c.own
	}
	for _, rec := range records {
		id := rec[spec.OrdID].Text()
		if rec[ord].Int() >= codeTries {
			continue
		}
		tried, err := g.increment(ctx, "_proofs", id, field)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return proof{}, err
		}
		if tried <= codeTries && subtle.ConstantTimeCompare([]byte(g.codeHash(id, code)), []byte(rec[c.hash].Text())) == 1 {
			return g.proofOf(rec)
		}
	}
	return proof{}, wrongSecret("/code")
}
