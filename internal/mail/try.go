package mail

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Try sends a mail at once, with examples for what it carries, and tells each step. "" is the template Test. What is wrong
// with the template, the address or the language is a fault of kind Invalid. It is asked where Ready holds.
func (r *Room) Try(ctx context.Context, t Template, to, lang string, tell func(step string)) error {
	if t == "" {
		t = Test
	}
	m := &Message{Template: t, To: to, Lang: lang}
	f := forms[t]
	if f.token {
		m.Token = "example"
	}
	if f.code {
		m.Code = "123456"
	}
	if f.token || f.code {
		m.Valid = 24 * time.Hour
	}
	if err := m.check(); err != nil {
		return err
	}
	l, err := r.compose(m, r.base(), "test-"+strings.ToLower(rand.Text()), r.o.Clock())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return r.server.send(ctx, l, func(format string, args ...any) { tell(fmt.Sprintf(format, args...)) })
}
