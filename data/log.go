package data

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// The log of changes. A write leaves a row for each record that it changes, in its own transaction. A reader at a
// position never misses anything below it, so positions are given in the order of commits: by the write itself where
// the engine does one after the other (driver.Caps.Ordered). Elsewhere a transaction that began first may commit last:
// there rows get their positions when they are committed, in batches, by whichever process wants to read them
// (sequence). One at a time does so, for it locks the one row of _log. Where there are no transactions rows wait in the
// records that they tell of, and are moved (landing).
//
// A position is in the id of its row, as the time of a UUIDv7, which no clock has said since 1970 plus a few minutes: rows
// without one have ids of their own time, and come behind all that have. The rows of one transaction have positions that follow
// one another, and their ids say how many of them there are before and behind (positionID).
type changeLog struct {
	db      *DB
	k       *kind
	row     changeRow
	state   *kind
	ordered bool
	carrier driver.Carrier // nil: rows are stored with the transaction that they tell of
	landing landing

	newest  driver.Stmt // the id of the last row that has a position
	oldest  driver.Stmt
	between driver.Stmt // rows behind argument 0, up to argument 1
	named   driver.Stmt // their ids alone
	waiting driver.Stmt // rows without a position, at most argument 0, as far as is needed to order them
	unseen  driver.Stmt // the same, whole

	heads heads

	mu      sync.Mutex
	woken   chan struct{} // closed by the next wake; nil: nobody waits
	settled *logState
}

// logState is the one row of _log: which log this is, and from which position on its rows are of this model.
type logState struct {
	epoch string
	floor int64
}

const (
	logRow     = "00000000-0000-7000-8000-000000000001"
	positioned = "01000000-0000-7000-8000-000000000000" // the ids of rows that have a position are below: 2^52 of them, up to 2004
)

// mostTogether is how many changes of one transaction are told together: its id has room for so many.
const mostTogether = 1 << 24

// positionID is the id of the row at position p, whose transaction has positions from first to last. Rows that older
// versions have written, and those that a carrier has moved, are alone in theirs.
func positionID(p, first, last int64) string {
	return idAt(p, uint64(p-first)<<24|uint64(last-p))
}

// upTo is behind the ids of all rows up to a position, and before those of all others.
func upTo(p int64) string { return idAt(p, 1<<48-1) }

func idAt(p int64, rest uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(p>>12)<<16|0x7000|uint64(p&0xfff))
	binary.BigEndian.PutUint64(b[8:], 0x8000<<48|rest)
	return formatID(b)
}

// positionOf is the position that an id says.
func positionOf(id string) int64 {
	p, err := strconv.ParseInt(id[:8]+id[9:13]+id[15:18], 16, 64)
	if err != nil {
		return 0
	}
	return p
}

// spanOf are the first and the last position of the transaction of the row with this id.
func spanOf(id string) (first, last int64) {
	p := positionOf(id)
	before, err := strconv.ParseInt(id[24:30], 16, 64)
	behind, bad := strconv.ParseInt(id[30:], 16, 64)
	if err != nil || bad != nil {
		return p, p
	}
	return p - before, p + behind
}

// A row that has no position yet has the id of its transaction, but for its number in it: so the rows of one come together
// by their ids, and in order.
const transactionID = 30 // characters

// waitingID is the id of row n of a transaction with this id.
func waitingID(transaction string, n int) string {
	return fmt.Sprintf("%s%06x", transaction[:transactionID], n)
}

func newChangeLog(db *DB) (*changeLog, error) {
	k, state := db.kinds["_changes"], db.kinds["_log"]
	if k == nil || state == nil {
		return nil, nil
	}
	l := &changeLog{db: db, k: k, row: changeRowOf(k), state: state, ordered: db.eng.Caps().Ordered}
	if !db.eng.Caps().Transactions {
		var ok bool
		if l.carrier, ok = engineOf(db.eng).(driver.Carrier); !ok {
			return nil, nil
		}
	}
	id := fieldNode(k.Fields[spec.OrdID])
	compare := func(op expr.Op, with *expr.Node) *expr.Node {
		return &expr.Node{Op: op, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{id, with}}
	}
	arg := func(i int) *expr.Node {
		return &expr.Node{Op: expr.OpParam, Index: i, Type: expr.Type{Kind: expr.Text}}
	}
	bound := &expr.Node{Op: expr.OpLit, Val: expr.TextOf(positioned), Type: expr.Type{Kind: expr.Text}}
	for _, q := range []struct {
		stmt  *driver.Stmt
		where *expr.Node
		limit int
		desc  bool
		cols  []driver.Col
	}{
		{&l.newest, compare(expr.OpLt, bound), 0, true, k.wholeAll[:1]},
		{&l.oldest, compare(expr.OpLt, bound), 0, false, k.wholeAll},
		{&l.between, expr.And(compare(expr.OpGt, arg(0)), compare(expr.OpLe, arg(1))), -1, false, k.wholeAll},
		{&l.named, expr.And(compare(expr.OpGt, arg(0)), compare(expr.OpLe, arg(1))), -1, false, k.wholeAll[:1]},
		{&l.waiting, compare(expr.OpGe, bound), 0, false, k.wholeAll[:l.row.op+1]},
		{&l.unseen, compare(expr.OpGe, bound), 0, false, k.wholeAll},
	} {
		var err error
		*q.stmt, err = db.eng.Prepare(&driver.Query{From: k.Collection, Cols: q.cols, Where: q.where, Limit: q.limit, Sort: []driver.Key{{Ord: spec.OrdID, Desc: q.desc}}})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// last is the newest position; 0: there is none.
func (l *changeLog) last(ctx context.Context, rd driver.Reader) (p int64, err error) {
	err = rd.Rows(ctx, l.newest, []Value{expr.IntOf(1)}, func(cols driver.Columns) error {
		p = positionOf(string(cols.Text(0)))
		return nil
	})
	return p, err
}

// first is the row with the oldest position; nil: there is none.
func (l *changeLog) first(ctx context.Context, rd driver.Reader) (rec Record, err error) {
	err = rd.Rows(ctx, l.oldest, []Value{expr.IntOf(1)}, func(cols driver.Columns) error {
		rec = l.k.copy(cols)
		return nil
	})
	return rec, err
}

// read reads the changes behind a position, at most some hundreds, up to the newest, and the rest of the last one's transaction
// if that is not very much. to is how far it has read: rows of collections that are there no more are passed over.
func (l *changeLog) read(ctx context.Context, after, newest int64) (all []*Change, to int64, err error) {
	next, end := after+1, int64(0)
	some := func(cols driver.Columns) error {
		row := l.k.copy(cols)
		id := row[spec.OrdID].Text()
		if positionOf(id) != next {
			return &TooOld{Position: after}
		}
		next++
		_, end = spanOf(id)
		c, err := l.change(row)
		if c != nil && err == nil {
			all = append(all, c)
		}
		return err
	}
	for to = min(after+readAtOnce, newest); next <= to; {
		from := next
		if err = l.db.eng.Rows(ctx, l.between, []Value{expr.TextOf(upTo(next - 1)), expr.TextOf(upTo(to))}, some); err != nil {
			return nil, to, err
		}
		if next <= to {
			return nil, to, &TooOld{Position: after}
		}
		if from == after+1 && end > to && end-to <= mostRest {
			to = min(end, newest)
		}
	}
	return all, to, nil
}

// readAtOnce is how many changes are read together, and mostRest how many more, of the same transaction.
const (
	readAtOnce = 500
	mostRest   = 10_000
)

// TooOld is the error of reading on from a position whose successors are not there any more, or never were: of another
// log, or of records that had another form.
type TooOld struct{ Position int64 }

func (e *TooOld) Error() string {
	return fmt.Sprintf("the log does not go on from position %d: start again with what is there", e.Position)
}

// sequence gives committed rows that have no position the next ones, some hundreds, and says whether those were all.
func (l *changeLog) sequence(ctx context.Context) (all bool, err error) {
	if l.ordered {
		return true, nil
	}
	if l.carrier != nil {
		_, err := l.land(ctx, nil)
		return true, err
	}
	if any, err := l.unsequenced(ctx, l.db.eng, 1); err != nil || len(any) == 0 {
		return true, err
	}
	if _, err := l.settle(ctx); err != nil {
		return false, err
	}
	err = l.db.commit(ctx, &System, func(w *work) error {
		state, err := l.state.record(w.ctx, w.tx, l.state.lock, logRow)
		if err != nil {
			return err
		}
		if state == nil {
			return fault.New(fault.Internal, "the row of _log is gone")
		}
		last, err := l.last(w.ctx, w.tx)
		if err != nil {
			return err
		}
		all, err = l.give(w, last)
		return err
	})
	return all, err
}

// give gives some hundred rows the positions behind last, and those of a transaction together, however many they are. It says
// whether those were all.
func (l *changeLog) give(w *work, last int64) (all bool, err error) {
	far := w.held != nil && w.held.finisher != nil
	read := l.unsequenced
	whole := func(row Record) (Record, error) { return row, nil }
	if far {
		whole = func(row Record) (Record, error) { return l.k.record(w.ctx, w.tx, l.k.lock, row[spec.OrdID].Text()) }
	} else {
		read = l.whole
	}
	var found [][]Record
	for limit := int64(readAhead); ; limit *= 8 {
		rows, err := read(w.ctx, w.tx, limit)
		if err != nil {
			return false, err
		}
		found = transactions(rows)
		if all = int64(len(rows)) < limit; all {
			break
		}
		if len(found) > 1 { // the last may go on behind the limit
			found = found[:len(found)-1]
			break
		}
	}
	if found, err = l.order(found, whole); err != nil || len(found) == 0 {
		return all, err
	}
	var rows []Record
	var ids []string
	for _, t := range found {
		if len(rows) >= readAtOnce {
			all = false
			break
		}
		rows = append(rows, t...)
		for _, row := range t {
			ids = append(ids, row[spec.OrdID].Text())
		}
		number(t, last+1)
		last += int64(len(t))
	}
	n := 0
	if far {
		revisions := make([]driver.Revision, len(rows))
		for i, row := range rows {
			revisions[i] = driver.Revision{C: l.k.Collection, ID: ids[i], Rev: row[spec.OrdRev].Int(), R: row, Ords: []int{spec.OrdID}}
		}
		n, err = w.held.finisher.UpdateAll(revisions)
	} else {
		n, err = w.tx.Delete(l.k.Collection, ids)
		for _, row := range rows {
			if err == nil {
				err = w.tx.Insert(l.k.Collection, row)
			}
		}
	}
	if err == nil && n != len(rows) {
		err = fault.New(fault.Internal, "%d of %d rows of the log were changed by another", len(rows)-n, len(rows))
	}
	return all, err
}

// readAhead is how many rows are looked at to give some of them positions. What is committed first is mostly among the first by
// its id, but who made it may have waited in between, or his clock may be fast.
const readAhead = 2000

// transactions are rows without a position, in the order of their ids, by the transaction that has left them.
func transactions(rows []Record) (all [][]Record) {
	for from, i := 0, 1; i <= len(rows); i++ {
		if i == len(rows) || i-from == mostTogether || rows[i][spec.OrdID].Text()[:transactionID] != rows[from][spec.OrdID].Text()[:transactionID] {
			all, from = append(all, rows[from:i]), i
		}
	}
	return all
}

// number gives the rows of a transaction the positions from first on.
func number(transaction []Record, first int64) {
	last := first + int64(len(transaction)) - 1
	for i, row := range transaction {
		row[spec.OrdID] = expr.TextOf(positionID(first+int64(i), first, last))
	}
}

// unsequenced reads rows without a position: as far as is needed to order them.
func (l *changeLog) unsequenced(ctx context.Context, rd driver.Reader, limit int64) (rows []Record, err error) {
	err = rd.Rows(ctx, l.waiting, []Value{expr.IntOf(limit)}, func(cols driver.Columns) error {
		row := make(Record, len(l.k.Fields))
		cols.Record(row[:l.row.op+1])
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// pending reads all rows without a position, numbered from one on in the order that they will have.
func (l *changeLog) pending(ctx context.Context, rd driver.Reader, next int64) ([]Record, error) {
	rows, err := l.whole(ctx, rd, mostLater+1)
	if len(rows) > mostLater {
		return nil, &TooOld{}
	}
	if err != nil {
		return nil, err
	}
	found, err := l.order(transactions(rows), func(row Record) (Record, error) { return row, nil })
	if err != nil {
		return nil, err
	}
	rows = make([]Record, 0, len(rows))
	for _, t := range found {
		number(t, next+int64(len(rows)))
		rows = append(rows, t...)
	}
	return rows, nil
}

func (l *changeLog) whole(ctx context.Context, rd driver.Reader, limit int64) (rows []Record, err error) {
	err = rd.Rows(ctx, l.unseen, []Value{expr.IntOf(limit)}, func(cols driver.Columns) error {
		rows = append(rows, l.k.copy(cols))
		return nil
	})
	return rows, err
}

// order puts transactions that were committed at about the same time in order. They come in the order of their ids, which is
// that of the clocks of those who made them; but whatever clocks say, changes of one record follow its revisions: one that has
// made what another goes on from comes before it. whole gives all of a row.
func (l *changeLog) order(all [][]Record, whole func(row Record) (Record, error)) ([][]Record, error) {
	type record struct{ collection, id string }
	type place struct {
		row Record
		of  int
	}
	places := map[record][]place{}
	for of, t := range all {
		for _, row := range t {
			r := record{row[l.row.collection].Text(), row[l.row.record].Text()}
			places[r] = append(places[r], place{row, of})
		}
	}
	before := make([][]int, len(all)) // the transactions that come before one
	for _, own := range places {
		if own[0].of == own[len(own)-1].of {
			continue
		}
		rows := make([]Record, len(own))
		for i, p := range own {
			rows[i] = p.row
		}
		follow := l.follows(rows)
		if follow {
			var err error
			if follow, err = l.again(rows, whole); err != nil {
				return nil, err
			}
		}
		if !follow {
			slices.SortStableFunc(own, func(a, b place) int {
				gone := func(p place) int { return strings.Count(p.row[l.row.op].Text(), opWords[Delete]) }
				return cmp.Or(cmp.Compare(a.row[spec.OrdRev].Int(), b.row[spec.OrdRev].Int()), gone(a)-gone(b))
			})
		}
		for i, p := range own[1:] {
			before[p.of] = append(before[p.of], own[i].of)
		}
	}
	ordered, seen := make([][]Record, 0, len(all)), make([]bool, len(all))
	var put func(of int)
	put = func(of int) {
		if seen[of] {
			return
		}
		seen[of] = true
		slices.Sort(before[of])
		for _, earlier := range before[of] {
			put(earlier)
		}
		ordered = append(ordered, all[of])
	}
	for of := range all {
		put(of)
	}
	return ordered, nil
}

// again says of changes of a record that follow whether each create behind a delete makes another of the same id. If it has made the one that
// was deleted, it comes before: two processes have done both in one millisecond, or their clocks differ.
func (l *changeLog) again(own []Record, whole func(row Record) (Record, error)) (bool, error) {
	for i, row := range own[1:] {
		if own[i][l.row.op].Text() != opWords[Delete] || row[l.row.op].Text() != opWords[Create] {
			continue
		}
		var made [2]expr.Value
		for j, row := range []Record{own[i], row} {
			all, err := whole(row)
			if err != nil {
				return false, err
			}
			if all == nil {
				return false, fault.New(fault.Unavailable, "a row of the log was changed by another")
			}
			c, err := l.change(all)
			if err != nil {
				return false, err
			}
			if c == nil { // nobody reads it: the app has the collection no more
				return true, nil
			}
			is := c.New
			if is == nil {
				is = c.Old
			}
			made[j] = is[spec.OrdCreated]
		}
		if same(made[0], made[1]) {
			return false, nil
		}
	}
	return true, nil
}

// follows says whether changes of a record can have come in this order. Its id may be given again after it was deleted.
func (l *changeLog) follows(own []Record) bool {
	for i, row := range own[1:] {
		before, was := own[i], own[i][l.row.op].Text() == opWords[Delete]
		grown := row[spec.OrdRev].Int() - before[spec.OrdRev].Int()
		switch op := row[l.row.op].Text(); {
		case was != (op == opWords[Create]), op == opWords[Update] && grown != 1, op == opWords[Delete] && grown != 0:
			return false
		}
	}
	return true
}

// settle reads the row of _log, or makes it. Where the records of the app have another form than they had, the log
// begins anew behind what it has: older images are of fields that may have other names by now.
func (l *changeLog) settle(ctx context.Context) (logState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settled != nil {
		return *l.settled, nil
	}
	epoch, _ := l.state.Field("epoch")
	model, _ := l.state.Field("model")
	floor, _ := l.state.Field("floor")
	form := l.form()
	var s logState
	var clean int64
	if l.carrier != nil {
		var err error
		if clean, err = l.land(ctx, nil); err != nil {
			return s, err
		}
	}
	err := l.db.commit(ctx, &System, func(w *work) error {
		rec, err := l.state.record(w.ctx, w.tx, l.state.lock, logRow)
		if err != nil {
			return err
		}
		last, err := l.last(w.ctx, w.tx)
		if err != nil {
			return err
		}
		if l.carrier != nil {
			last = clean
		} else if !l.ordered {
			rows, err := l.unsequenced(w.ctx, w.tx, 1<<20)
			if err != nil {
				return err
			}
			last += int64(len(rows))
		}
		switch {
		case rec == nil:
			s = logState{epoch: strings.ToLower(rand.Text()[:12])} // nobody has a position in it yet
			rec = l.state.fresh(w)
			rec[spec.OrdID] = expr.TextOf(logRow)
			rec[epoch.Ord], rec[model.Ord], rec[floor.Ord] = expr.TextOf(s.epoch), expr.TextOf(form), expr.IntOf(s.floor)
			return w.insert(l.state, rec)
		case rec[model.Ord].Text() != form:
			s = logState{epoch: rec[epoch.Ord].Text(), floor: max(last, rec[floor.Ord].Int())} // another may have swept since
			old := append(Record(nil), rec...)
			rec[model.Ord], rec[floor.Ord] = expr.TextOf(form), expr.IntOf(s.floor)
			return w.replace(l.state, old, rec)
		}
		s = logState{epoch: rec[epoch.Ord].Text(), floor: rec[floor.Ord].Int()}
		return nil
	})
	if fault.Is(err, fault.Conflict) { // another process has made the row
		l.mu.Unlock()
		s, err = l.settle(ctx)
		l.mu.Lock()
	}
	if err == nil {
		l.settled = &s
	}
	return s, err
}

// form tells models apart in which records are written down differently.
func (l *changeLog) form() string {
	h := sha256.New()
	for _, c := range l.db.app.Collections {
		if c.System {
			continue
		}
		fmt.Fprintf(h, "%s\n", c.Name)
		for _, f := range c.Fields {
			if f.Companion == spec.Own {
				fmt.Fprintf(h, "\t%s %d %d %d %t %s\n", f.Name, f.Type, f.Elem, f.Scale, f.Encrypted, f.To)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// committed is what is left to do after a commit with changes.
func (l *changeLog) committed(context.Context) {
	l.wake()
	l.db.hints.give()
}

// wake tells those who wait that there may be more.
func (l *changeLog) wake() {
	l.mu.Lock()
	if l.woken != nil {
		close(l.woken)
		l.woken = nil
	}
	l.mu.Unlock()
}

// signal is closed by the next wake.
func (l *changeLog) signal() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.woken == nil {
		l.woken = make(chan struct{})
	}
	return l.woken
}

// Position is a place in the log of one database, as text for clients: EPOCH.NUMBER.
type Position struct {
	Epoch  string
	Number int64
}

func (p Position) String() string { return p.Epoch + "." + strconv.FormatInt(p.Number, 10) }

// ParsePosition is the reverse of String.
func ParsePosition(text string) (Position, error) {
	epoch, number, ok := strings.Cut(text, ".")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 0 || epoch == "" || len(epoch) > 36 {
		return Position{}, fault.New(fault.BadRequest, "%.60q is no position in the log", text)
	}
	return Position{epoch, n}, nil
}

// Logged is the newest position that was given in the log. Unlike Head it gives none itself.
func (db *DB) Logged(ctx context.Context) (int64, error) {
	l, err := db.logged()
	if err != nil {
		return 0, err
	}
	return l.last(ctx, db.eng)
}

// Head is the newest position. What is committed before Head is called lies at or before it.
func (db *DB) Head(ctx context.Context) (Position, error) {
	l, err := db.logged()
	if err != nil {
		return Position{}, err
	}
	if l.ordered {
		return l.head(ctx)
	}
	return l.heads.ask(ctx, l.head)
}

// heads are questions for the head. Those who ask while somebody looks are answered together by the next look: when a process
// has ended thousands of live clients come to the others at once.
type heads struct {
	mu      sync.Mutex
	next    *look // that nobody has begun; nil: nobody waits for it
	looking bool
}

// look is one, for all who wait until it is done.
type look struct {
	done chan struct{}
	at   Position
	err  error
}

// lookTime bounds a look, which is nobody's in particular: who asks may go before.
const lookTime = time.Minute

func (h *heads) ask(ctx context.Context, head func(context.Context) (Position, error)) (Position, error) {
	h.mu.Lock()
	if h.next == nil {
		h.next = &look{done: make(chan struct{})}
	}
	own := h.next
	if !h.looking {
		h.looking = true
		go h.look(head)
	}
	h.mu.Unlock()
	select {
	case <-own.done:
		return own.at, own.err
	case <-ctx.Done():
		return Position{}, fault.Wrap(fault.Unavailable, "look for the newest change", ctx.Err())
	}
}

func (h *heads) look(head func(context.Context) (Position, error)) {
	for {
		h.mu.Lock()
		own := h.next
		h.next, h.looking = nil, own != nil
		h.mu.Unlock()
		if own == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), lookTime)
		own.err = contained(func() (err error) { own.at, err = head(ctx); return err })
		cancel()
		close(own.done)
	}
}

func (l *changeLog) head(ctx context.Context) (Position, error) {
	s, err := l.settle(ctx)
	if err != nil {
		return Position{}, err
	}
	for {
		all, err := l.sequence(ctx)
		if err != nil {
			return Position{}, err
		}
		if all {
			break
		}
	}
	last, err := l.last(ctx, l.db.eng)
	return Position{s.epoch, last}, err
}

// Oldest is the position behind which the changes that are kept begin.
func (db *DB) Oldest(ctx context.Context) (Position, error) {
	head, err := db.Head(ctx)
	if err != nil {
		return head, err
	}
	s, err := db.changes.settle(ctx)
	if err != nil {
		return head, err
	}
	if db.changes.carrier != nil { // another process may have swept since
		if s.floor, err = db.changes.floor(ctx); err != nil {
			return head, err
		}
	}
	first, err := db.changes.first(ctx, db.eng)
	if first != nil {
		head.Number = max(positionOf(first[spec.OrdID].Text())-1, s.floor)
	}
	return head, err
}

// Changes are the changes behind a position, in order, at most some hundreds; next is the position of the last, or what
// lies behind it of no interest. Its error is *TooOld where the log does not go on from there.
func (db *DB) Changes(ctx context.Context, after Position) (all []*Change, next Position, err error) {
	l, err := db.logged()
	if err != nil {
		return nil, after, err
	}
	head, err := db.Head(ctx)
	if err != nil {
		return nil, after, err
	}
	s, err := l.settle(ctx)
	if err != nil {
		return nil, after, err
	}
	if after.Epoch != head.Epoch || after.Number > head.Number || after.Number < s.floor {
		return nil, after, &TooOld{after.Number}
	}
	if after.Number == head.Number {
		return nil, after, nil
	}
	all, to, err := l.read(ctx, after.Number, head.Number)
	if err == nil {
		err = l.passed(ctx, after.Number)
	}
	if err != nil {
		return nil, after, err
	}
	return all, Position{head.Epoch, to}, nil
}

// logged is the log, where the engine can keep one.
func (db *DB) logged() (*changeLog, error) {
	if db.changes == nil {
		return nil, &fault.Error{Kind: fault.Capability, Op: "changes", Msg: "this database keeps no log of changes: that needs transactions"}
	}
	return db.changes, nil
}

// How often those who follow the log look for what other processes have committed, beside the hints that they get (see
// hints): soon after there was something, later less often.
const (
	soon  = 20 * time.Millisecond
	later = 500 * time.Millisecond
)

// Follow gives the changes behind a position to yield as they are committed, in order, some at a time, until ctx ends or
// yield fails. to is the position of the last. Its error is *TooOld where the log does not go on.
func (db *DB) Follow(ctx context.Context, after Position, yield func(all []*Change, to Position) error) error {
	l, err := db.logged()
	if err != nil {
		return err
	}
	defer db.hints.take(l.wake)()
	pause := soon
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		signal := l.signal()
		all, next, err := db.Changes(ctx, after)
		if err != nil {
			return err
		}
		if next != after {
			after, pause = next, soon
			if err := yield(all, next); err != nil {
				return err
			}
			continue
		}
		timer.Reset(pause)
		select {
		case <-signal:
			pause = soon
		case <-timer.C:
			pause = min(2*pause, later)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SweepChanges removes changes that are older than keep, and the oldest where there are more than most. The last one
// stays: its position is not given again. It is called from time to time while the server runs.
func (db *DB) SweepChanges(ctx context.Context, keep time.Duration, most int64) error {
	l, err := db.logged()
	if err != nil {
		return nil
	}
	head, err := db.Head(ctx)
	if err != nil {
		return err
	}
	if l.carrier != nil {
		clean, err := l.land(ctx, nil)
		if err != nil {
			return err
		}
		head.Number = min(head.Number, clean)
	}
	before := db.now().Add(-keep)
	for {
		first, err := l.first(ctx, db.eng)
		if err != nil || first == nil {
			return err
		}
		from := positionOf(first[spec.OrdID].Text())
		to := min(from+readAtOnce, head.Number) - 1
		if over := head.Number - most; to > over {
			err := db.eng.Rows(ctx, l.between, []Value{expr.TextOf(upTo(max(from-1, over))), expr.TextOf(upTo(to))}, func(cols driver.Columns) error {
				if at := cols.Int(spec.OrdCreated); at >= before.UnixMilli() {
					to = positionOf(string(cols.Text(spec.OrdID))) - 1
					return errEnough
				}
				return nil
			})
			if err != nil && !errors.Is(err, errEnough) {
				return err
			}
		}
		if to < from {
			return nil
		}
		if l.carrier != nil {
			if err := l.raise(ctx, to); err != nil {
				return err
			}
			if err := l.carrier.Clear(ctx, l.k.Collection, upTo(to)); err != nil {
				return err
			}
			continue
		}
		ids := make([]string, 0, to-from+1)
		err = db.eng.Rows(ctx, l.named, []Value{expr.TextOf(upTo(from - 1)), expr.TextOf(upTo(to))}, func(cols driver.Columns) error {
			ids = append(ids, string(cols.Text(0)))
			return nil
		})
		if err != nil {
			return err
		}
		err = db.commit(ctx, &System, func(w *work) error {
			_, err := w.tx.Delete(l.k.Collection, ids)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// AnotherLog makes the log of a database that was restored another one: what was committed after the backup has had
// positions that others will have now.
func AnotherLog(ctx context.Context, eng driver.Engine) error {
	tables, err := eng.Inspect(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tables, func(t driver.Table) bool { return t.Name == "_log" }) {
		return nil // the backup is older than logs
	}
	state := collectionOf(&tableShape{Name: "_log"})
	return eng.Write(ctx, func(tx driver.Tx) error {
		_, err := tx.Delete(state, []string{logRow})
		return err
	})
}
