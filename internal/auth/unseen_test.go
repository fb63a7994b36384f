package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// counted is an engine that counts what it is asked in requests: jobs are apart.
type counted struct {
	driver.Engine
	reads, writes atomic.Int64
}

func count(ctx context.Context, n *atomic.Int64) {
	if ctx.Value(http.ServerContextKey) != nil {
		n.Add(1)
	}
}

func (c *counted) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	count(ctx, &c.reads)
	return c.Engine.Rows(ctx, s, args, yield)
}

func (c *counted) Read(ctx context.Context, fn func(driver.Reader) error) error {
	count(ctx, &c.reads)
	return c.Engine.Read(ctx, fn)
}

func (c *counted) Write(ctx context.Context, fn func(driver.Tx) error) error {
	count(ctx, &c.writes)
	return c.Engine.Write(ctx, fn)
}

// Whether somebody has an address is not seen from what a request costs: it asks the database as often, and writes as often.
// A password that is too long to be anybody's hides nothing behind the time of a hash, nor does a code.
func TestNobodyCostsTheSame(t *testing.T) {
	t.Parallel()
	var eng *counted
	s := open(t, agency, func(e driver.Engine) driver.Engine {
		eng = &counted{Engine: e}
		return eng
	})
	s.person("ann@example.com")
	s.person("off@example.com")
	if _, err := s.gate.Disable(t.Context(), "off@example.com", true); err != nil {
		t.Fatal(err)
	}
	emails := []string{"ann@example.com", "off@example.com", "nobody@example.com"}
	for _, email := range emails {
		s.wants(s.post("code", map[string]any{"email": email}), 202, "")
	}
	s.mail("code", "ann@example.com")
	for end := time.Now().Add(20 * time.Second); ; { // until the jobs are done
		codes, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_proofs", Filter: `purpose == "code"`})
		if err != nil {
			t.Fatal(err)
		}
		if len(codes) == len(emails) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d addresses have a code that could be guessed at", len(codes), len(emails))
		}
		runtime.Gosched()
	}
	for what, body := range map[string]map[string]any{
		"login":        {"password": strings.Repeat("x", 5000)},
		"code/confirm": {"code": "no code"},
		"reset":        {},
		"code":         {},
	} {
		var first string
		for _, email := range emails {
			body["email"] = email
			for range 2 { // the second time nothing is counted for the first time
				eng.reads.Store(0)
				eng.writes.Store(0)
				s.post(what, body)
			}
			cost := fmt.Sprintf("%d reads, %d writes", eng.reads.Load(), eng.writes.Load())
			if first == "" {
				first = cost
			}
			if cost != first {
				t.Errorf("%s costs %s for %s, and %s for %s", what, first, emails[0], cost, email)
			}
		}
	}
}

// Nor is it seen from another index that has the address.
func TestTakenByMoreThanTheAddress(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "    access: {read: id ==", "    indexes:\n      - {fields: [email, name], unique: true}\n    access: {read: id ==", 1))
	for range 2 {
		s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": good, "name": "Ann"}), 202, "")
		select {
		case l := <-s.mails:
			if l.Template == "verify" {
				s.wants(s.post("verify", map[string]any{"token": l.Token, "password": good}), 204, "")
			} else if l.Template != "taken" {
				t.Fatal(l)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no mail came")
		}
	}
}
