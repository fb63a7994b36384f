package sqlite

import (
	"time"

	"zombiezen.com/go/sqlite"
)

// checkpoints work the log into the file beside the writer, so that a commit seldom has to. The
// writer's own checkpoint at backstop pages then finds little left to do, and starts the log again
// from its beginning, which needs a moment without writes.
//
// When nobody has written for a moment, all of the log is worked in, as far as no reader needs it: whoever reads then need not look
// through it, and sees the whole file through memory.
type checkpoints struct {
	path  string
	wrote chan struct{} // a commit; one that finds it full is not counted
	stop  chan struct{}
	ended chan struct{}
}

const (
	lookAfter = 64                     // commits between two looks at the log
	quiet     = 250 * time.Millisecond // without a commit: all of the log is worked in
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
	for commits := 0; ; {
		most := int64(backstop / 4)
		select {
		case <-k.stop:
			return
		case <-k.wrote:
			still.Reset(quiet)
			if commits++; commits < lookAfter {
				continue
			}
		case <-still.C:
			most = 1
		}
		commits = 0
		if c == nil {
			opened, err := connect(k.path, sqlite.OpenReadWrite, time.Second)
			if err != nil {
				continue // the writer's own checkpoint remains
			}
			c = opened
		}
		if err := c.checkpoint(most); err != nil {
			c.close()
			c = nil
		}
	}
}

// checkpoint works the log into the file where at least so many of its pages are not yet there.
func (c *conn) checkpoint(most int64) error {
	var log, done int64
	err := c.each("PRAGMA wal_checkpoint(NOOP)", func(s *sqlite.Stmt) error {
		log, done = s.ColumnInt64(1), s.ColumnInt64(2)
		return nil
	})
	if err != nil || log-done < most {
		return err
	}
	return c.run("PRAGMA wal_checkpoint(PASSIVE)")
}

func (k *checkpoints) close() {
	close(k.stop)
	<-k.ended
}
