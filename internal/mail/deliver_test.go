package mail

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// posted is the job of a message, as data would store it.
func posted(t *testing.T, r *Room, m Message) data.Job {
	t.Helper()
	n, err := r.Job(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(n.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return data.Job{ID: jobID, Kind: n.Kind, Payload: text, Created: noon}
}

// Whoever looks at jobs reads nothing of what a mail carries, nor whom it is to; what was changed does not open.
func TestSealed(t *testing.T) {
	t.Parallel()
	r := open(t, plain, nil, Options{Dev: true})
	m := example(Code, "de")
	m.Token, m.Name = "a-secret-token", "Anna"
	j := posted(t, r, m)
	for _, s := range []string{"493817", "a-secret-token", "anna", "Anna", "example.org"} {
		if bytes.Contains(j.Payload, []byte(s)) {
			t.Errorf("%s stands in %s", s, j.Payload)
		}
	}
	if p, got, err := r.read(j.Payload); err != nil || got != m || p.Mail != Code || !p.Until.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("%+v, %+v, %v", p, got, err)
	}
	for what, payload := range map[string]string{
		"another end":      strings.Replace(string(j.Payload), "2026-03-02", "2036-03-02", 1),
		"another template": strings.Replace(string(j.Payload), `"code"`, `"reset"`, 1),
		"nothing":          "null",
		"no object":        `"x"`,
	} {
		j.Payload = json.RawMessage(payload)
		if err := r.Deliver(t.Context(), j); !Final(err) || Expired(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	j = posted(t, r, m)
	other, err := New(r.app, Options{Secret: bytes.Repeat([]byte("x"), 32), Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Deliver(t.Context(), j); !Final(err) || !strings.Contains(err.Error(), "PLINTH_KEY") {
		t.Error(err)
	}
}

// A mail whose secret has expired is not sent.
func TestExpired(t *testing.T) {
	t.Parallel()
	now := noon
	r := open(t, plain, nil, Options{Dev: true, Clock: func() time.Time { return now }})
	j := posted(t, r, example(Reset, ""))
	now = noon.Add(24*time.Hour - time.Millisecond)
	if err := r.Deliver(t.Context(), j); err != nil {
		t.Error(err)
	}
	now = noon.Add(24 * time.Hour)
	if err := r.Deliver(t.Context(), j); !Final(err) || !Expired(err) {
		t.Error(err)
	}
	now = noon
	j = posted(t, r, example(Taken, ""))
	if now = noon.Add(71 * time.Hour); r.Deliver(t.Context(), j) != nil {
		t.Error("a notice waits for three days")
	}
	if now = noon.Add(72 * time.Hour); !Expired(r.Deliver(t.Context(), j)) {
		t.Error("a notice is not sent after three days")
	}
}

// Without a server mail is an error, and what needs it does not start, with a line for each thing that is missing.
func TestReady(t *testing.T) {
	t.Parallel()
	const smtp = "mail: {from: a@example.com, smtp: 'smtp://127.0.0.1:1'}\n"
	for yaml, want := range map[string]string{
		plain: `plinth.yaml:3:7: auth.verify sends mail, and no server takes it: add mail: {from: "App <app@example.com>", smtp: "${SMTP_URL}"}`,
		"name: x\n": `plinth.yaml:1:1: auth.verify sends mail, and no server takes it: add mail: {from: "App <app@example.com>", smtp: "${SMTP_URL}"}
plinth.yaml:1:1: auth.verify sends mails with links, and nothing says where they lead: add server: {url: https://app.example.com}`,
		"name: x\nserver:\n  spa: true\n" + smtp:                   "plinth.yaml:3:3: auth.verify sends mails with links, and nothing says where they lead: add server: {url: https://app.example.com}",
		"name: x\nserver: {domains: [app.example.com]}\n" + smtp:   "",
		"name: x\nserver: {url: https://app.example.com}\n" + smtp: "",
	} {
		r := open(t, yaml, nil, Options{})
		got := ""
		if err := r.Ready("auth.verify"); err != nil {
			var bad *spec.Problems
			if got = err.Error(); !errors.As(err, &bad) {
				t.Errorf("%T", err)
			}
		}
		if got != want {
			t.Errorf("%s\n%s\nnot\n%s", yaml, got, want)
		}
		if r.server == nil {
			if _, err := r.Job(example(Taken, "")); !fault.Is(err, fault.Lacking) {
				t.Error(err)
			}
		}
		if err := open(t, yaml, nil, Options{Dev: true}).Ready("auth.verify"); err != nil {
			t.Error(err)
		}
	}
	r := open(t, "name: x\n", nil, Options{Dev: true, Address: func() string { return "" }})
	if err := r.Deliver(t.Context(), posted(t, r, example(Taken, ""))); err == nil || Final(err) {
		t.Errorf("before the process answers requests there is no address for links: %v", err)
	}
	if _, err := r.Job(Message{Template: Taken, To: "x"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
