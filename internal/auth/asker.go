package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/bluell/plinth/fault"
)

// Whoever reads the mails of an address may be sent what somebody else has asked for, and be told to follow it. So what is sent
// is bound to the client that has asked for it, by a mark that its browser keeps: a link confirms an address for who follows it
// where he has asked, is signed in, or knows the password; and a code that a browser has asked for is not spent by those who
// guess elsewhere.
//
// People follow links in browsers, which say so with each request that a page makes (Fetch Standard, 3.2: Origin; Fetch Metadata:
// Sec-Fetch-Site). A program that has the token out of a mail is nobody who was told to click.

// markLife is for how long a browser keeps its mark: as long as the last of what is sent lives.
const markLife = 24 * time.Hour

// markCookie is beside the session's, and like it.
func (g *Gate) markCookie() cookie {
	return cookie{name: g.cookie.name + "-asked", secure: g.cookie.secure}
}

// mark is what the client that sends r is known by, and what is stored of it; "" when it shows none.
func (g *Gate) mark(r *http.Request) (text, stored string) {
	text, ok := g.markCookie().in(r)
	if b, err := strict.DecodeString(text); !ok || err != nil || len(b) != secretLen {
		return "", ""
	}
	m := hmac.New(sha256.New, g.proof.mac)
	m.Write([]byte("mark\x00" + text))
	return text, base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// marked is what is stored of the mark of a client that asks for a mail. Who has none gets one.
func (g *Gate) marked(w http.ResponseWriter, r *http.Request) string {
	text, stored := g.mark(r)
	if text == "" {
		var random [secretLen]byte
		_, _ = rand.Read(random[:]) // never fails: the program ends instead
		text = strict.EncodeToString(random[:])
	}
	c := g.markCookie().of(text, g.clock().Add(markLife))
	http.SetCookie(w, c)
	if stored == "" {
		_, stored = g.mark(&http.Request{Header: http.Header{"Cookie": {c.Name + "=" + c.Value}}})
	}
	return stored
}

// mine sees to it that the link of a proof is followed in a browser by who has asked for it. who is nil as long as there is no user; hash is
// what is stored of the password of who has asked.
func (g *Gate) mine(r *http.Request, p *proof, who *person, password, hash string) error {
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return nil
	}
	if _, mark := g.mark(r); mark != "" && hmac.Equal([]byte(mark), []byte(p.by)) {
		return nil
	}
	if who != nil {
		in, err := g.pass(r)
		if err == nil && in.session != "" && in.user == who.id {
			return nil
		}
		if err != nil && !fault.Is(err, fault.Unauthenticated) {
			return err
		}
	}
	if password == "" {
		return &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: "/password", Code: "required",
			Message: "is required: this is not the browser in which it was asked for"}}}
	}
	name := p.email
	if who != nil {
		name = who.name()
	}
	right, err := g.guessPassword(r, name, who)
	if err != nil {
		return err
	}
	ok, _, err := g.hasher.Verify(r.Context(), hash, password)
	if err != nil {
		return err
	}
	if !ok {
		return notPassword("password")
	}
	right()
	return nil
}

// notPassword is the answer to a password, in a field of a request, of somebody who is known otherwise.
func notPassword(field string) error {
	return &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: fault.Pointer(field), Code: "secret", Message: "is not your password"}}}
}
