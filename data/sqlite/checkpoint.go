package sqlite

import (
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

// checkpoints work the log into the file beside the writer, so that a commit seldom has to. The
// writer's own checkpoint at backstop pages then finds little left to do, and starts the log again
// from its beginning, which needs a moment without writes.
//
// When nobody has written for a moment, all of the log is worked in, as far as no reader needs it: whoever reads then need not look
// through it, and sees the whole file through memory. A snapshot is then held until somebody writes: the lock that
// each reader needs is one that the process has already, and SQLite does not ask the system for it twice for each
// read (7 % of the processor's time of reading one record over HTTP). Each second it is given up for a moment, to look
// for what other processes wrote.
type checkpoints struct {
	path  string
	wrote chan struct{} // a commit; one that finds it full is not counted
	stop  chan struct{}
	ended chan struct{}
	holds atomic.Bool // a snapshot, for tests
}

const (
	lookAfter = 64                     // commits between two looks at the log
	quiet     = 250 * time.Millisecond // without a commit: all of the log is worked in
	hold      = time.Second            // a snapshot: then another process's commits are looked for
)

func newCheckpoints(path string) *checkpoints {
	k := &checkpoints{path: path, wrote: make(chan struct{}, lookAfter), stop: make(chan struct{}), ended: make(chan struct{})}
	go k.run()
	return k
}

// commit counts a commit. It never waits.
func (k *checkpoints) commit() {
	select {
	case k.wrote <- struct{}{}:
	default:
	}
}

func (k *checkpoints) run() {
	defer close(k.ended)
	var c *conn
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	still := time.NewTimer(quiet)
	defer still.Stop()
	var seen int64 // version of the database at the last look
	for commits := 0; ; {
		most := int64(backstop / 4)
		wrote := false
		select {
		case <-k.stop:
			return
		case <-k.wrote:
			still.Reset(quiet)
			commits++
			wrote = true
		case <-still.C:
			still.Reset(hold)
			most = 1
		}
		k.holds.Store(false)
		if c != nil && c.unhold() != nil {
			c.close()
			c = nil
		}
		if wrote && commits < lookAfter {
			continue
		}
		commits = 0
		if c == nil {
			opened, err := connect(k.path, sqlite.OpenReadWrite, time.Second)
			if err != nil {
				continue // the writer's own checkpoint remains
			}
			c = opened
		}
		left, err := c.checkpoint(most)
		if err == nil && !wrote {
			err = c.hold(left, &seen)
		}
		if err != nil {
			c.close()
			c = nil
			continue
		}
		k.holds.Store(!c.c.AutocommitEnabled())
	}
}

// checkpoint works the log into the file where at least so many of its pages are not yet there, and tells how many
// are left.
func (c *conn) checkpoint(most int64) (left int64, err error) {
	left, err = c.log("NOOP")
	if err == nil && left >= most {
		left, err = c.log("PASSIVE")
	}
	return left, err
}

// log is how many pages of the log are not in the file after a checkpoint.
func (c *conn) log(mode string) (left int64, err error) {
	err = c.each("PRAGMA wal_checkpoint("+mode+")", func(s *sqlite.Stmt) error {
		left = s.ColumnInt64(1) - s.ColumnInt64(2)
		if s.ColumnInt64(1) < 0 {
			left = 1 // not known: somebody else is at it
		}
		return nil
	})
	return left, err
}

// unhold ends the snapshot that hold began, if there is one.
func (c *conn) unhold() error {
	if c.c.AutocommitEnabled() {
		return nil
	}
	return c.run("COMMIT")
}

// hold begins a snapshot where all of the log is worked in and nobody has written since it was called last. While
// another process writes all the time a snapshot would be one of the log, which could not begin anew: it would grow.
func (c *conn) hold(left int64, seen *int64) error {
	before := *seen
	if err := c.each("PRAGMA data_version", func(s *sqlite.Stmt) error { *seen = s.ColumnInt64(0); return nil }); err != nil {
		return err
	}
	if left > 0 || *seen != before {
		return nil
	}
	if err := c.run("BEGIN"); err != nil {
		return err
	}
	return c.run("SELECT 1 FROM sqlite_schema")
}

func (k *checkpoints) close() {
	close(k.stop)
	<-k.ended
}
