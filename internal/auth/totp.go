package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"image"
	"net/http"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Codes of an authenticator app (RFC 6238): SHA-1, six digits, steps of 30 seconds, which is what all such apps can do. Codes
// of the step before and the one after are taken too, for clocks that are not right (5.2, 6); each once, and none of a step
// before the last that was taken.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps

	// totpSetup is for how long a new secret waits for its first code.
	totpSetup = 10 * time.Minute
	// mostFailed is how many codes may be wrong one after the other (NIST 800-63B-4, 3.2.2). After that none is taken, from
	// elsewhere than where the user is signed in: these are counted by themselves. A passkey, a recovery code or a code from
	// there has the count begin anew.
	mostFailed = 100
)

// beginTOTP answers POST /api/auth/mfa/totp {password}: a new secret, which counts for nothing before a code of it is shown.
func (g *Gate) beginTOTP(w http.ResponseWriter, r *http.Request) error {
	_, who, _, err := g.change(w, r)
	if err != nil {
		return err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: strings.ReplaceAll(g.db.App().Name, ":", " "), AccountName: who.email, Period: totpPeriod,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, SecretSize: 20}) // RFC 4226, 4: 160 bits
	if err != nil {
		return fault.Wrap(fault.Internal, "make a secret for codes", err)
	}
	picture, err := qrCode(key.URL())
	if err != nil {
		return fault.Wrap(fault.Internal, "draw a QR code", err)
	}
	err = g.steadily(r.Context(), who, func(has *factors) error {
		changes := doc.NewObject()
		changes.Set("pending", doc.NewString(key.Secret()))
		changes.Set("begun", moment(g.clock()))
		return g.db.Series(r.Context(), data.System, func(tx *data.Tx) error { return g.keep(tx, who, has, changes) })
	})
	if err != nil {
		return err
	}
	body := doc.AppendString([]byte(`{"secret":`), key.Secret())
	body = doc.AppendString(append(body, `,"uri":`...), key.URL())
	body = doc.AppendString(append(body, `,"qr":`...), picture)
	web.JSON(w, r, http.StatusOK, append(body, '}'))
	return nil
}

// confirmTOTP answers POST /api/auth/mfa/totp/confirm {code}: codes are asked for from now on.
func (g *Gate) confirmTOTP(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	code := f.text("code")
	if err := f.err(); err != nil {
		return err
	}
	who, _, err := g.self(r.Context(), p)
	if err != nil {
		return err
	}
	right, err := g.guessed(r, "new factor", who.id, true)
	if err != nil {
		return err
	}
	return g.steadily(r.Context(), who, func(has *factors) error {
		if has.any() && !p.caller.MFA { // it may have been set up meanwhile
			return g.askSecond(r, who, g.ticketOf(r, p), *has, nil)
		}
		if has.pending == "" || g.clock().Sub(has.begun) >= totpSetup {
			return fault.New(fault.Conflict, "begin first: there is no secret that waits for a code, or it has waited for too long")
		}
		step, ok := g.stepOf(has.pending, code, 0)
		if !ok {
			return wrongSecret("/code")
		}
		right()
		changes := unfailed(doc.NewObject())
		changes.Set("totp", doc.NewString(has.pending))
		changes.Set("pending", doc.NewNull())
		changes.Set("begun", doc.NewNull())
		changes.Set("step", doc.NewInt(step))
		return g.added(w, r, p, who, has, "", nil, nil, changes)
	})
}

// removeTOTP answers DELETE /api/auth/mfa/totp {password}.
func (g *Gate) removeTOTP(w http.ResponseWriter, r *http.Request) error {
	p, who, _, err := g.change(w, r)
	if err != nil {
		return err
	}
	return g.steadily(r.Context(), who, func(has *factors) error {
		if has.totp == "" {
			return fault.New(fault.NotFound, "there is no authenticator app")
		}
		changes := unfailed(doc.NewObject())
		changes.Set("totp", doc.NewNull())
		return g.removed(w, r, p, who, has, "", len(has.passkeys) > 0, changes, nil)
	})
}

// stepOf finds the step whose code this is, among those that are taken at the moment and lie after one.
func (g *Gate) stepOf(secret, code string, after int64) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	now := g.clock().Unix() / totpPeriod
	for s := max(now-totpSkew, 0); s <= now+totpSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > after {
			step, ok = s, true
		}
	}
	return step, ok
}

// spendTOTP takes a code: neither it nor one of an earlier step is taken again.
func (g *Gate) spendTOTP(_ *person, f *factors, code string) (*doc.Node, error) {
	step, ok := g.stepOf(f.totp, code, f.step)
	if f.totp == "" || !ok {
		return nil, wrongSecret("/code")
	}
	changes := doc.NewObject()
	changes.Set("step", doc.NewInt(step))
	return changes, nil
}

// mayTry counts a code before it is looked at; right forgets those of this minute.
func (g *Gate) mayTry(r *http.Request, who *person) (right func(), err error) {
	known, err := g.near(r, who.email, who)
	if err != nil {
		return nil, err
	}
	if right, err = g.guessed(r, "factor", who.id, known); err != nil {
		return nil, err
	}
	return right, g.countCode(r, who, known)
}

// countCode counts the codes that are wrong one after the other. known says that this one comes from where the user is signed
// in.
func (g *Gate) countCode(r *http.Request, who *person, known bool) error {
	f, err := g.factorsOf(r.Context(), who)
	if err != nil {
		return err
	}
	if f.totp == "" {
		return wrongSecret("/code")
	}
	field, failed := "failed", f.failed
	if known {
		field, failed = "failed_here", f.here
	}
	if failed >= mostFailed {
		return tooManyFailed
	}
	n, err := g.increment(r.Context(), g.own("_factors"), f.id, field)
	if fault.Is(err, fault.NotFound) {
		return wrongSecret("/code")
	}
	if err != nil {
		return err
	}
	if n > mostFailed {
		return tooManyFailed
	}
	if n == mostFailed { // it is the last: its owner should know, even if it is his
		return g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
			return g.post(tx, Letter{Template: "factor-blocked", To: who.email, Lang: language(r)})
		})
	}
	return nil
}

var tooManyFailed = fault.New(fault.Denied, "%d codes were wrong one after the other, and no more are taken from here: show a passkey or a recovery code, or sign in from where you are signed in already", mostFailed)

// qrCode draws a text as a picture for the src of an img: black on white, with the quiet zone of four modules that readers
// need (ISO/IEC 18004, 6.3.8).
func qrCode(text string) (string, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	const quiet = 4
	size := code.Bounds().Dx()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="`, size+2*quiet)
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for x < size && dark(code, x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%[3]dz", from+quiet, y+quiet, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(b.String())), nil
}

func dark(code image.Image, x, y int) bool {
	r, _, _, _ := code.At(x, y).RGBA()
	return r == 0
}
