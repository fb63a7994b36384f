package sqlite

import (
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// What a connection keeps of prepared statements is bounded: their number, and the length of each, for a
// client can make up long ones.
const (
	keptStatements = 256
	keptLength     = 4096 // bytes of SQL
)

// conn is one connection with its prepared statements. It belongs to one goroutine at a time.
type conn struct {
	note      int64 // see driver.Noter
	c         *sqlite.Conn
	kept      map[string]*prepared
	front     prepared // ring of kept statements, the latest used after it
	interrupt chan struct{}
	mapped    bool          // it sees the file through memory
	token     chan struct{} // of readers: where its token goes back
	used      time.Time     // of readers: when it was last one too many
	list      []byte        // scratch for lists that are bound
	cols      columns
}

// prepared is a statement of one connection.
type prepared struct {
	*sqlite.Stmt
	sql        string
	busy       bool // rows of it are being read
	prev, next *prepared
}

// settings hold for every connection. With 16 MiB of cached pages a list takes 34 µs instead of 45 µs
// with SQLite's own 2 MiB (20,000 posts); 64 MiB gain nothing more. SQLite's defensive mode is
// not set: SetDefensive of zombiezen.com/go/sqlite v1.4.2 passes one of the two arguments that
// sqlite3_db_config reads, so SQLite writes through whatever lies behind it (seen: a crash). No SQL
// but ours ever reaches a connection.
const settings = `
PRAGMA foreign_keys = ON;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -16384;
PRAGMA mmap_size = 0; -- but see mapped
PRAGMA temp_store = MEMORY;
PRAGMA journal_size_limit = 67108864;
PRAGMA trusted_schema = OFF;
`

// mapped lets a connection that only reads see the file through memory, as far as SQLite can: the pages
// are shared by all of them and with the system, and are not copied (reading one of 20,000 posts over
// HTTP: 31 µs of processor time without, 26 µs with it). A fault of the disk is then a fault of memory;
// see Engine.end.
const mapped = "PRAGMA mmap_size = 2147418112"

// A file that cannot be seen whole when a connection is opened is read instead, with more pages kept: those between
// the root and the leaves of 10 million rows are 15 MB, and with 16 MB they push each other out.
const (
	mostMapped = 2147418112 // bytes: SQLite's own limit
	large      = "PRAGMA cache_size = -65536"
)

// backstop is the length of the log, in pages, at which the writer itself finishes a checkpoint.
const backstop = 4000

func connect(path string, flags sqlite.OpenFlags, busy time.Duration) (*conn, error) {
	ownPages()
	sc, err := sqlite.OpenConn(path, flags|sqlite.OpenURI) // of look; other names begin with no file:
	if err != nil {
		return nil, classify("open the database", err)
	}
	c := &conn{c: sc, kept: map[string]*prepared{}, interrupt: make(chan struct{})}
	c.front.prev, c.front.next = &c.front, &c.front
	sc.SetBusyTimeout(busy)
	if err := c.script(settings); err != nil {
		sc.Close()
		return nil, classify("open the database", err)
	}
	return c, nil
}

// interruptible lets arm end what the connection is doing.
func (c *conn) interruptible() { c.c.SetInterrupt(c.interrupt) }

func (c *conn) close() error { return c.c.Close() }

// take finds or prepares a statement; give returns it. A long one, and one whose rows are being read, is
// prepared once more and not kept. One that is kept comes from Prepare, although the library has a map of these
// too, which is not asked again: only then does SQLite know that it stays, and keep it out of the small memory
// that statements under way share.
func (c *conn) take(sql string) (*prepared, error) {
	p := c.kept[sql]
	switch {
	case len(sql) > keptLength || p != nil && p.busy:
		st, _, err := c.c.PrepareTransient(sql)
		if err != nil {
			return nil, err
		}
		return &prepared{Stmt: st, busy: true}, nil
	case p == nil:
		st, err := c.c.Prepare(sql)
		if err != nil {
			return nil, err
		}
		p = &prepared{Stmt: st, sql: sql}
		c.kept[sql] = p
		c.drop()
	default:
		p.prev.next, p.next.prev = p.next, p.prev
	}
	p.prev, p.next = &c.front, c.front.next
	p.prev.next, p.next.prev = p, p
	p.busy = true
	return p, nil
}

// drop finalizes the statement that was not used for longest when there are too many.
func (c *conn) drop() {
	if len(c.kept) <= keptStatements {
		return
	}
	for p := c.front.prev; p != &c.front; p = p.prev {
		if !p.busy {
			p.prev.next, p.next.prev = p.next, p.prev
			delete(c.kept, p.sql)
			p.Finalize()
			return
		}
	}
}

func (c *conn) give(p *prepared) {
	if p.prev == nil {
		p.Finalize()
		return
	}
	p.Reset() // its error is the one that Step gave
	p.busy = false
}

// run executes a statement that answers nothing.
func (c *conn) run(sql string, args ...expr.Value) error {
	p, err := c.take(sql)
	if err != nil {
		return err
	}
	defer c.leave(p)
	for i, v := range args {
		c.bind(p, i+1, v)
	}
	_, err = p.Step()
	return err
}

// each executes a statement and calls yield for its rows.
func (c *conn) each(sql string, yield func(s *sqlite.Stmt) error, args ...expr.Value) error {
	p, err := c.take(sql)
	if err != nil {
		return err
	}
	defer c.leave(p)
	for i, v := range args {
		c.bind(p, i+1, v)
	}
	for {
		more, err := p.Step()
		if err != nil || !more {
			return err
		}
		if err := yield(p.Stmt); err != nil {
			return err
		}
	}
}

// script executes statements that are not kept.
func (c *conn) script(sql string) error {
	for strings.TrimSpace(sql) != "" {
		st, rest, err := c.c.PrepareTransient(sql)
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			more, err = st.Step()
		}
		st.Finalize()
		if err != nil {
			return err
		}
		sql = sql[len(sql)-rest:]
	}
	return nil
}

func (c *conn) bind(p *prepared, i int, v expr.Value) {
	switch v.Kind() {
	case expr.Null:
		p.BindNull(i)
	case expr.Float:
		p.BindFloat(i, v.Float())
	case expr.Text, expr.Date, expr.JSON:
		p.BindText(i, v.Text())
	case expr.Bytes: // and sqldb.AfterTexts: a blob sorts after every text
		p.BindBytes(i, []byte(v.Text()))
	case expr.List:
		c.list = sqldb.AppendList(c.list[:0], v.List())
		p.BindText(i, string(c.list))
	default:
		p.BindInt64(i, v.Int())
	}
}

// rows answers a prepared query.
func (c *conn) rows(s *sqldb.Statement, args []expr.Value, yield func(*columns) error) error {
	if s.Near != nil {
		found := false
		err := c.rows(s.Near, args, func(cols *columns) error {
			found = true
			return yield(cols)
		})
		if found || err != nil {
			return err
		}
	}
	if s.Halves != nil {
		return c.sums(s, args, yield)
	}
	return c.ask(s, args, yield)
}

// sums answers a query with sums. Adding their halves takes half as long again, so it is done where a sum overflows,
// from the row on whose it is. The snapshot is the same.
func (c *conn) sums(s *sqldb.Statement, args []expr.Value, yield func(*columns) error) error {
	done, seen := 0, 0
	err := c.ask(s, args, func(cols *columns) error { done++; return yield(cols) })
	if err == nil || !strings.Contains(err.Error(), "integer overflow") {
		return err
	}
	return c.ask(s.Halves, args, func(cols *columns) error {
		if seen++; seen <= done {
			return nil
		}
		return yield(cols)
	})
}

// ask runs one statement.
func (c *conn) ask(s *sqldb.Statement, args []expr.Value, yield func(*columns) error) error {
	p, err := c.take(s.SQL)
	if err != nil {
		return err
	}
	defer c.leave(p)
	for i := range s.Binds {
		b := &s.Binds[i]
		if b.Arg >= len(args) {
			return errArgs
		}
		c.bind(p, i+1, b.Value(args))
	}
	cols := &c.cols
	if cols.busy {
		cols = &columns{}
	}
	cols.st, cols.out, cols.busy, cols.err = p.Stmt, s.Outputs, true, nil
	defer func() { cols.busy, cols.st = false, nil }()
	for {
		more, err := p.Step()
		if err != nil || !more {
			return err
		}
		if err := yield(cols); err != nil {
			return err
		}
		if cols.err != nil {
			return cols.err
		}
		if s.Single {
			return nil
		}
	}
}

// leave gives a statement back, but for one that a fault of memory has stopped: of its connection nothing may
// be touched again. It is to be deferred.
func (c *conn) leave(p *prepared) {
	v := recover()
	if !faulted(v) {
		c.give(p)
	}
	if v != nil {
		panic(v)
	}
}

// faulted says whether a panic is a fault of memory: what is seen of the file there could not be read.
func faulted(v any) bool {
	_, ok := v.(interface{ Addr() uintptr })
	return ok
}

// arm interrupts the connection when ctx ends; the function it returns ends that. It starts nothing: each
// connection that is interruptible has a goroutine of the library that waits for c.interrupt.
func (c *conn) arm(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	ended := c.interrupt
	stop := context.AfterFunc(ctx, func() { close(ended) })
	return func() {
		if !stop() {
			<-ended
			c.interrupt = make(chan struct{})
			c.interruptible()
		}
	}
}
