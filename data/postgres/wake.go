package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
)

var _ driver.Waker = (*Engine)(nil)

// hinted is the channel of PostgreSQL on which hints go. One that is not sent by Plinth costs a look, and nothing else.
const hinted = "plinth"

// Wake is one NOTIFY, which writes nothing to disk. It takes a lock that all commits with a NOTIFY share, so it stands in no
// transaction of its own making.
func (e *Engine) Wake(ctx context.Context) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer e.give(c, "ROLLBACK")
	if _, err := c.pg.Exec(ctx, fmt.Sprintf("SELECT pg_notify('%s', '%s')", hinted, e.name)).ReadAll(); err != nil {
		return during(ctx, "wake others", err)
	}
	return nil
}

// Listen has a connection of its own beside the pool.
func (e *Engine) Listen(ctx context.Context, fn func()) error {
	config := e.config.Copy()
	heard := false
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard = heard || n.Payload != e.name }
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return during(ctx, "listen", err)
	}
	defer func() { _ = pg.Close(context.WithoutCancel(ctx)) }()
	if _, err := pg.Exec(ctx, "LISTEN "+hinted).ReadAll(); err != nil {
		return during(ctx, "listen", err)
	}
	fn() // there may have been something before
	for {
		if err := pg.WaitForNotification(ctx); err != nil {
			return during(ctx, "listen", err)
		}
		if heard {
			heard = false
			fn()
		}
	}
}

// newName tells the hints of one engine from those of others.
func newName() string { return rand.Text() }
