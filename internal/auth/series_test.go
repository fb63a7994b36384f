package auth_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// apart is an engine without transactions, at which the writes of requests end after some.
type apart struct {
	driver.Engine
	left atomic.Int64
}

func (e *apart) Caps() driver.Caps {
	c := e.Engine.Caps()
	c.Transactions = false
	return c
}

func (e *apart) Write(ctx context.Context, fn func(driver.Tx) error) error {
	if ctx.Value(http.ServerContextKey) != nil && e.left.Add(-1) < 0 {
		return fault.New(fault.Unavailable, "the process has ended")
	}
	return e.Engine.Write(ctx, fn)
}

const endless = 1 << 40

// Where there are no transactions a request may end between two of its steps. Wherever that is: nobody has what he did not have,
// and its owner comes into his account when he asks again.
func TestDiesBetweenSteps(t *testing.T) {
	t.Parallel()
	const attackers, owners = "what the attacker knows", "another horse, another battery"
	optional := strings.Replace(agency, "register: open", "register: open, verify: optional", 1)
	for n := int64(0); ; n++ {
		var eng *apart
		s := open(t, optional, func(e driver.Engine) driver.Engine {
			eng = &apart{Engine: e}
			eng.left.Store(endless)
			return eng
		})
		// Somebody has registered with the address before its owner, and is signed in.
		s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": attackers}), 201, "")
		s.mail("email-change", "ann@example.com")
		stolen := s.login("ann@example.com", attackers)
		reset := func(writes int64) answer {
			s.wants(s.post("reset", map[string]any{"email": "ann@example.com"}), 202, "")
			token := s.mail("reset", "ann@example.com").Token
			eng.left.Store(writes)
			defer eng.left.Store(endless)
			return s.post("reset/confirm", map[string]any{"token": token, "password": owners})
		}
		a := reset(n)
		if me := s.as(stolen, http.MethodGet, "me", nil); me.status == 200 && me.body["user"].(map[string]any)["verified"] == true {
			t.Errorf("after %d writes the attacker's session has an address that was proven", n)
		}
		if a.status != 204 {
			for len(s.mails) > 0 { // that it was changed, perhaps
				<-s.mails
			}
			if again := reset(endless); again.status != 204 {
				t.Errorf("after %d writes the owner cannot set his password: %d %s", n, again.status, again.text)
			}
		}
		s.wants(s.as(stolen, http.MethodGet, "me", nil), 401, "")
		s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": attackers}), 401, "")
		s.login("ann@example.com", owners)
		if a.status == 204 {
			if n < 3 {
				t.Errorf("it has only %d writes: nothing was between them", n)
			}
			return
		}
		if n > 20 {
			t.Fatal("it does not end")
		}
	}
}
