package mysql

import (
	"context"
	"crypto/rand"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/internal/pool"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// What a connection keeps of prepared statements is bounded: their number, and the length of each, for a
// client can make up long ones. The server bounds how many all of its connections keep: one engine's keep half of that at most.
const (
	keptStatements = 256
	keptLength     = 16384 // bytes of SQL
)

// What a connection is for, which is its mode in the pool: a write that has read on one goes on on one of the other mode,
// which begins its transaction by itself.
const (
	reading = iota // a statement is a transaction of its own, and one that is begun is a snapshot
	writing        // a transaction begins with its first statement
	modes
)

// conn is one connection with its prepared statements. It belongs to one goroutine at a time.
type conn struct {
	pool.State
	link   sqldriver.Conn
	wire   net.Conn // what it goes over
	id     string   // the server's for it
	name   string   // of a lock that is held as long as it is connected; "": there is none
	server string   // the one that it is connected to
	open   bool     // a transaction may be open
	bad    bool     // it cannot be used any more
	kept   map[string]*prepared
	front  prepared // ring of kept statements, the latest used after it
	most   int      // how many of them

	limited bool      // it is given a time to answer
	until   time.Time // the deadline of its wire, which stays when nobody is limited any more; zero: there is none

	args []sqldriver.Value
	rows cursor  // of the query whose rows are being read
	top  *cursor // the innermost one that is open
}

// prepared is a statement of one connection.
type prepared struct {
	statement
	sql        string
	columns    int // of its rows; -1: not known yet
	prev, next *prepared
}

// statement is what is asked of the library's: without a context where there is none to be watched, for
// that takes its arguments as they are.
type statement interface {
	Close() error
	Query([]sqldriver.Value) (sqldriver.Rows, error)
	Exec([]sqldriver.Value) (sqldriver.Result, error)
	QueryContext(context.Context, []sqldriver.NamedValue) (sqldriver.Rows, error)
}

// link makes a connection.
func (e *Engine) link(ctx context.Context) (*conn, error) {
	c := &conn{kept: map[string]*prepared{}, most: e.kept}
	c.front.prev, c.front.next = &c.front, &c.front
	link, err := e.connector.Connect(context.WithValue(ctx, wireKey{}, c))
	if err != nil {
		return nil, err
	}
	c.link = link
	return c, nil
}

// connect makes a connection of the pool, which is not waited for without end: what accepts it need not be a server that answers.
func (e *Engine) connect(ctx context.Context, mode int) (*conn, error) {
	soon, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	c, err := e.link(soon)
	if err != nil {
		return nil, during(ctx, "connect", err)
	}
	if err := c.begun(soon, e.settings, mode); err != nil {
		c.Close()
		return nil, during(ctx, "connect", err)
	}
	return c, nil
}

// begun makes a new connection ready.
func (c *conn) begun(ctx context.Context, settings string, mode int) error {
	c.Mode = mode
	statements := []string{settings, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"}
	if mode == writing {
		statements[1] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
		statements = append(statements, "SET autocommit = 0")
	}
	for _, sql := range statements {
		if err := c.exec(ctx, sql); err != nil {
			return err
		}
	}
	name := "plinth." + rand.Text()
	err := c.each(ctx, "SELECT CONNECTION_ID(), CONCAT_WS('/', @@hostname, @@port, @@server_id, @@datadir)", func(text func(int) string) error {
		c.id, c.server = text(0), text(1)
		return nil
	})
	if err != nil {
		return err
	}
	// A server that gives no such locks (some clusters) does without.
	_ = c.each(ctx, "SELECT GET_LOCK(?, 0)", func(text func(int) string) error {
		if text(0) == "1" {
			c.name = name
		}
		return nil
	}, expr.TextOf(name))
	c.open = false
	if c.bad {
		return mysql.ErrInvalidConn
	}
	return nil
}

// fresh is how long a connection is taken for alive after its use: what happens to it meanwhile might as well
// have happened a moment before, in that use.
const fresh = 5 * time.Millisecond

// Alive looks at an idle connection without asking the server.
func (c *conn) Alive(ctx context.Context) bool {
	now := time.Now()
	if now.Sub(c.Rested) < fresh {
		return true
	}
	if !c.until.IsZero() && !now.Before(c.until) {
		c.disarm() // or the look would fail
	}
	return c.link.(sqldriver.SessionResetter).ResetSession(ctx) == nil
}

func (c *conn) Broken() bool {
	w, ok := c.wire.(*wideReads)
	return c.bad || ok && len(w.left) > 0 || !c.link.(sqldriver.Validator).IsValid()
}

func (c *conn) Close() {
	c.bad = true
	_ = c.link.Close()
}

// failed notes an error of the connection itself, after which it is of no use, and says what was wrong with it.
func (c *conn) failed(err error) error {
	var told *mysql.MySQLError
	if err != nil && !errors.As(err, &told) && !errors.Is(err, mysql.ErrPktTooLarge) {
		c.bad = true
		if w, ok := c.wire.(*wideReads); ok && w.lost != nil && !errors.Is(err, w.lost) {
			err = fmt.Errorf("%w: %w", err, w.lost)
		}
	}
	if told != nil && readOnly(told.Number) {
		c.bad = true // another server has taken its place
	}
	return err
}

// limit makes the connection one that fails after a time, or up to a thirty-second of it earlier: to set a deadline
// takes longer than to see that one is near enough, and one statement comes after the other.
func (c *conn) limit(now, until time.Time) {
	c.limited = true
	if early := until.Sub(c.until); early >= 0 && early <= until.Sub(now)/32 {
		return
	}
	c.until = until
	_ = c.wire.SetDeadline(until) // a closed connection says so when it is used
}

// late says that the time is over, which the library does not tell from another end of a connection.
func (c *conn) late() bool { return c.limited && !time.Now().Before(c.until) }

// unlimit gives it all the time again: the next statement finds no deadline that was not set for it.
func (c *conn) unlimit() { c.limited = false }

func (c *conn) disarm() {
	c.until = time.Time{}
	_ = c.wire.SetDeadline(time.Time{})
}

// exec runs statements that are not prepared and have no arguments.
func (c *conn) exec(ctx context.Context, sql string) error {
	c.settle()
	_, err := c.link.(sqldriver.ExecerContext).ExecContext(ctx, sql, nil)
	return c.failed(err)
}

// prepare finds or prepares a statement. A long one is not kept.
func (c *conn) prepare(ctx context.Context, sql string) (*prepared, error) {
	p := c.kept[sql]
	if p == nil {
		c.settle()
		st, err := c.link.(sqldriver.ConnPrepareContext).PrepareContext(ctx, sql)
		if tooMany(err) { // others keep what the server lets all keep
			for c.front.prev != &c.front {
				c.drop(c.front.prev)
			}
			st, err = c.link.(sqldriver.ConnPrepareContext).PrepareContext(ctx, sql)
		}
		if err != nil {
			return nil, c.failed(err)
		}
		p = &prepared{statement: st.(statement), sql: sql, columns: -1}
		if len(sql) > keptLength {
			return p, nil
		}
		c.kept[sql] = p
	} else {
		p.prev.next, p.next.prev = p.next, p.prev
	}
	p.prev, p.next = &c.front, c.front.next
	p.prev.next, p.next.prev = p, p
	if len(c.kept) > c.most {
		c.drop(c.front.prev)
	}
	return p, nil
}

// drop gives a statement up, on the server too.
func (c *conn) drop(p *prepared) {
	p.prev.next, p.next.prev = p.next, p.prev
	delete(c.kept, p.sql)
	_ = p.Close() // a connection that is broken says so again
}

// done gives up a statement that is not kept.
func (c *conn) done(p *prepared) {
	if p.prev == nil {
		_ = p.Close()
	}
}

// run executes a statement that has no rows, with the arguments in c.args, and says how many rows it found.
func (c *conn) run(ctx context.Context, sql string) (int, error) {
	p, err := c.prepare(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer c.done(p)
	c.settle()
	c.open = c.open || c.Mode == writing
	result, err := p.Exec(c.args)
	if err != nil {
		return 0, c.failed(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// each executes a statement and gives its rows to yield as texts.
func (c *conn) each(ctx context.Context, sql string, yield func(text func(i int) string) error, values ...expr.Value) error {
	p, err := c.prepare(ctx, sql)
	if err != nil {
		return err
	}
	defer c.done(p)
	c.args = c.args[:0]
	for _, v := range values {
		c.args = append(c.args, bound(v, expr.Null))
	}
	k := c.query(ctx, p, nil)
	for k.next() {
		if err := yield(func(i int) string { return textOf(k.cols.vals[i]) }); err != nil {
			_ = c.finish(k)
			return err
		}
	}
	return c.finish(k)
}

// cursor is a query whose rows are being read. Another may be asked meanwhile on the same connection: the
// rows that are left are then read into memory first.
type cursor struct {
	cols    columns
	result  sqldriver.Rows
	err     error
	settled bool // rows has what is left, and the connection is free
	rows    [][]sqldriver.Value
	below   *cursor
	busy    bool
}

// query asks a query with the arguments in c.args.
func (c *conn) query(ctx context.Context, p *prepared, out []sqldb.Output) *cursor {
	c.settle()
	k := &c.rows
	if k.busy {
		k = &cursor{}
	}
	k.cols.out, k.busy, k.below = out, true, c.top
	c.top = k
	c.open = c.open || c.Mode == writing
	if ctx.Done() == nil {
		k.result, k.err = p.Query(c.args)
	} else {
		named := make([]sqldriver.NamedValue, len(c.args))
		for i, v := range c.args {
			named[i] = sqldriver.NamedValue{Ordinal: i + 1, Value: v}
		}
		k.result, k.err = p.QueryContext(ctx, named)
	}
	if k.err != nil {
		k.result = nil
		return k
	}
	if p.columns < 0 {
		p.columns = len(k.result.Columns())
	}
	k.cols.vals = slices.Grow(k.cols.vals[:0], p.columns)[:p.columns]
	return k
}

// next stands on the next row, if there is one.
func (k *cursor) next() bool {
	if k.settled {
		if len(k.rows) == 0 {
			return false
		}
		k.cols.vals, k.rows = k.rows[0], k.rows[1:]
		return true
	}
	return k.fetch()
}

func (k *cursor) fetch() bool {
	if k.result == nil || k.err != nil {
		return false
	}
	if err := k.result.Next(k.cols.vals); err != nil {
		if err != io.EOF {
			k.err = err
		}
		return false
	}
	return true
}

// free reads what is left on the connection.
func (k *cursor) free() {
	if k.settled {
		return
	}
	k.settled = true
	if k.result != nil {
		if err := k.result.Close(); k.err == nil {
			k.err = err
		}
	}
	k.result = nil
}

// finish ends a cursor and says what went wrong.
func (c *conn) finish(k *cursor) error {
	k.free()
	c.top = k.below
	err := k.err
	if err == nil {
		err = k.cols.err
	}
	*k = cursor{cols: columns{vals: k.cols.vals[:0], buf: k.cols.buf, ends: k.cols.ends}}
	if _, ours := err.(*fault.Error); ours {
		return err
	}
	return c.failed(err)
}

// settle makes the connection free for another statement, also while rows are being read.
func (c *conn) settle() {
	if !c.limited && !c.until.IsZero() {
		c.disarm()
	}
	k := c.top
	if k == nil || k.settled {
		return
	}
	own := k.cols.vals
	vals := clone(own)
	for k.fetch() {
		k.rows = append(k.rows, clone(k.cols.vals))
	}
	k.cols.vals = vals
	k.free()
}

// clone copies a row: its texts lie where the next row will.
func clone(row []sqldriver.Value) []sqldriver.Value {
	row = slices.Clone(row)
	for i, v := range row {
		if b, ok := v.([]byte); ok {
			row[i] = append([]byte{}, b...)
		}
	}
	return row
}

// ask answers a query whose text is sql, and gives its rows to yield. refused is an error of yield.
func (c *conn) ask(ctx context.Context, sql string, st *sqldb.Statement, args []expr.Value, yield func(driver.Columns) error) (refused, err error) {
	p, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer c.done(p)
	c.args = c.args[:0]
	for i := range st.Binds {
		b := &st.Binds[i]
		if b.Arg >= len(args) {
			return nil, errArgs
		}
		c.args = append(c.args, bound(b.Value(args), b.Elem))
	}
	k := c.query(ctx, p, st.Outputs)
	for refused == nil && k.next() {
		refused = yield(&k.cols)
	}
	return refused, c.finish(k)
}

var errArgs = fault.New(fault.Internal, "a query was given fewer arguments than it names")
