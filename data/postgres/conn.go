package postgres

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/internal/pool"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// What a connection keeps of prepared statements is bounded: their number, and the length of each, for a
// client can make up long ones.
const (
	keptStatements = 256
	keptLength     = 16384 // bytes of SQL
)

// conn is one connection with its prepared statements. It belongs to one goroutine at a time.
type conn struct {
	pool.State
	pg    *pgconn.PgConn
	boot  string // see commit.go
	at    string // the server's process and when it began; "": not known
	kept  map[string]*prepared
	front prepared // ring of kept statements, the latest used after it
	made  int      // statements that were ever named

	limited bool // it is given a time to answer
	until   time.Time
	asked   time.Time // when the latest statement was sent that was given a time
	heard   time.Time // such a time, after which the server answered

	args arguments
	rows cursor  // of the query whose rows are being read
	top  *cursor // the innermost one that is open
}

// prepared is a statement of one connection.
type prepared struct {
	*pgconn.StatementDescription
	prev, next *prepared
}

func newConn(pg *pgconn.PgConn) *conn {
	c := &conn{pg: pg, kept: map[string]*prepared{}}
	c.front.prev, c.front.next = &c.front, &c.front
	return c
}

// Alive: whether the server is still there shows with the first statement, see session.first.
func (c *conn) Alive(context.Context) bool { return !c.pg.IsClosed() }

// Broken: the library closes a connection that fails; one that is not free would not become so.
func (c *conn) Broken() bool { return c.pg.IsClosed() || c.pg.IsBusy() || c.pg.TxStatus() != 'I' }

// Close says so to the server, and waits until the library has done what it does behind a statement that was given up.
func (c *conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	_ = c.pg.Close(ctx)
	select {
	case <-c.pg.CleanupDone():
	case <-ctx.Done():
	}
}

// binaryFormat says that all values travel in the binary format.
var binaryFormat = []int16{1}

// limit makes the connection one that fails after a time.
func (c *conn) limit(until time.Time) {
	c.limited, c.until = true, until
	_ = c.pg.Conn().SetDeadline(until) // a closed connection says so when it is used
}

func (c *conn) unlimit() {
	if c.limited {
		c.limited = false
		_ = c.pg.Conn().SetDeadline(time.Time{})
	}
}

// late says that the time is over, after which the library closes the connection.
func (c *conn) late() bool { return c.limited && !time.Now().Before(c.until) }

// fresh is how long a connection is taken for one that leads to the server after that was heard: what happens to it meanwhile
// might as well happen a moment later, on the way, where it is found out what became of the write (see tx.settle). To
// look would only make fewer of those that the server's end meets.
const fresh = time.Millisecond

// there says that what is sent will arrive, as far as one can say without asking.
func (c *conn) there() bool { return c.asked.Sub(c.heard) < fresh || c.quiet() }

// prepare finds or prepares a statement. A long one is prepared each time, without a name.
func (c *conn) prepare(ctx context.Context, sql string) (*prepared, error) {
	p := c.kept[sql]
	if p == nil {
		name := ""
		if len(sql) <= keptLength {
			c.made++
			name = "p" + strconv.Itoa(c.made)
		}
		c.settle()
		d, err := c.pg.Prepare(ctx, name, sql, nil)
		if err != nil {
			return nil, err
		}
		p = &prepared{StatementDescription: d}
		if name == "" {
			return p, nil
		}
		c.kept[sql] = p
	} else {
		p.prev.next, p.next.prev = p.next, p.prev
	}
	p.prev, p.next = &c.front, c.front.next
	p.prev.next, p.next.prev = p, p
	if len(c.kept) > keptStatements {
		c.drop(ctx, c.front.prev)
	}
	return p, nil
}

// drop gives a statement up, on the server too.
func (c *conn) drop(ctx context.Context, p *prepared) {
	p.prev.next, p.next.prev = p.next, p.prev
	delete(c.kept, p.SQL)
	_ = c.pg.Deallocate(ctx, p.Name) // a connection that is broken says so again
}

// call is a statement with its arguments.
type call struct {
	p    *prepared
	vals [][]byte
	from int // of its arguments, while they are added
}

// send sends statements, behind a BEGIN where there is one, in one round trip, and gives the result of
// each that answers to read. What it returns is how many were done, and the first error, after which the server did nothing.
func (c *conn) send(ctx context.Context, begin *prepared, calls []call, read func(i int, r *pgconn.ResultReader)) (done int, err error) {
	c.settle()
	if begin == nil && len(calls) == 1 {
		r := c.pg.ExecStatement(ctx, calls[0].p.StatementDescription, calls[0].vals, binaryFormat, binaryFormat)
		if read != nil {
			read(0, r)
		}
		if _, err := r.Close(); err != nil {
			return 0, err
		}
		return 1, nil
	}
	pipe := c.pg.StartPipeline(ctx)
	if begin != nil {
		pipe.SendQueryStatement(begin.StatementDescription, nil, nil, nil)
	}
	for _, k := range calls {
		pipe.SendQueryStatement(k.p.StatementDescription, k.vals, binaryFormat, binaryFormat)
	}
	err = pipe.Sync()
	if begin != nil && err == nil {
		_, err = pipe.GetResults()
	}
	for i := range calls {
		if err != nil {
			break
		}
		var result any
		if result, err = pipe.GetResults(); err != nil {
			break
		}
		r, ok := result.(*pgconn.ResultReader)
		if !ok {
			break
		}
		if read != nil {
			read(i, r)
		}
		if _, err = r.Close(); err == nil {
			done++
		}
	}
	if closed := pipe.Close(); err == nil {
		err = closed
	}
	return done, err
}

// run executes a statement that nobody reads, with arguments.
func (c *conn) run(ctx context.Context, sql string, values ...expr.Value) error {
	return c.each(ctx, sql, nil, nil, values...)
}

// each executes a statement and gives its rows to yield, whose values are of the kinds out.
func (c *conn) each(ctx context.Context, sql string, out []sqldb.Output, yield func(*columns) error, values ...expr.Value) error {
	p, err := c.prepare(ctx, sql)
	if err != nil {
		return err
	}
	c.args.reset()
	for _, v := range values {
		c.args.add(v, expr.Text)
	}
	var refused error
	_, err = c.send(ctx, nil, []call{{p: p, vals: c.args.vals}}, func(_ int, r *pgconn.ResultReader) {
		for yield != nil && refused == nil && r.NextRow() {
			refused = yield(&columns{raw: r.Values(), out: out})
		}
	})
	if refused != nil {
		return refused
	}
	return err
}

// cursor is a query whose rows are being read. Another may be asked meanwhile on the same connection: the
// rows that are left are then read into memory first.
type cursor struct {
	cols    columns
	result  *pgconn.ResultReader
	pipe    *pgconn.Pipeline // it began the transaction too
	err     error
	settled bool // rows has what is left, and the connection is free
	rows    [][][]byte
	below   *cursor
	busy    bool
}

// open asks a query, behind a BEGIN where there is one.
func (c *conn) open(ctx context.Context, begin *prepared, p *prepared, out []sqldb.Output) *cursor {
	c.settle()
	k := &c.rows
	if k.busy {
		k = &cursor{}
	}
	k.cols.out, k.busy, k.below = out, true, c.top
	c.top = k
	if begin == nil {
		k.result = c.pg.ExecStatement(ctx, p.StatementDescription, c.args.vals, binaryFormat, binaryFormat)
		return k
	}
	k.pipe = c.pg.StartPipeline(ctx)
	k.pipe.SendQueryStatement(begin.StatementDescription, nil, nil, nil)
	k.pipe.SendQueryStatement(p.StatementDescription, c.args.vals, binaryFormat, binaryFormat)
	if k.err = k.pipe.Sync(); k.err != nil {
		return k
	}
	if _, k.err = k.pipe.GetResults(); k.err != nil {
		return k
	}
	var result any
	if result, k.err = k.pipe.GetResults(); k.err == nil {
		k.result, _ = result.(*pgconn.ResultReader)
	}
	return k
}

// next stands on the next row, if there is one.
func (k *cursor) next() bool {
	if k.settled {
		if len(k.rows) == 0 {
			return false
		}
		k.cols.raw, k.rows = k.rows[0], k.rows[1:]
		return true
	}
	if k.result == nil || !k.result.NextRow() {
		return false
	}
	k.cols.raw = k.result.Values()
	return true
}

// finish reads what is left on the connection, which is free then.
func (k *cursor) finish() {
	if k.settled {
		return
	}
	k.settled = true
	if k.result != nil {
		if _, err := k.result.Close(); k.err == nil {
			k.err = err
		}
	}
	if k.pipe != nil {
		if err := k.pipe.Close(); k.err == nil {
			k.err = err
		}
	}
	k.result, k.pipe = nil, nil
}

// close ends a cursor and says what went wrong.
func (c *conn) close(k *cursor) error {
	k.finish()
	c.top = k.below
	err := k.err
	*k = cursor{cols: columns{buf: k.cols.buf, ends: k.cols.ends}}
	return err
}

// settle makes the connection free for another statement while rows are being read.
func (c *conn) settle() {
	k := c.top
	if k == nil || k.settled {
		return
	}
	current := cloned(k.cols.raw)
	for k.next() {
		k.rows = append(k.rows, cloned(k.cols.raw))
	}
	k.cols.raw = current
	k.finish()
}

func cloned(row [][]byte) [][]byte {
	row = slices.Clone(row)
	for i, v := range row {
		row[i] = slices.Clone(v)
	}
	return row
}

// ask asks a statement with these arguments and gives its rows to yield, whose error is refused.
func (c *conn) ask(ctx context.Context, begin *prepared, st *sqldb.Statement, args []expr.Value, yield func(driver.Columns) error) (refused, err error) {
	p, err := c.prepare(ctx, st.SQL)
	if err != nil {
		return nil, err
	}
	c.args.reset()
	for i := range st.Binds {
		b := &st.Binds[i]
		if b.Arg >= len(args) {
			return nil, errArgs
		}
		c.args.add(b.Value(args), b.Elem)
	}
	k := c.open(ctx, begin, p, st.Outputs)
	for refused == nil && k.next() {
		refused = yield(&k.cols)
	}
	return refused, c.close(k)
}

var errArgs = fault.New(fault.Internal, "a query was given fewer arguments than it names")
