package sqlite

import (
	"time"

	"zombiezen.com/go/sqlite"
)

// checkpoints work the log into the file beside the writer, so that a commit seldom has to. The
// writer's own checkpoint at backstop pages then finds little left to do, and starts the log again
// from its beginning, which needs a moment without writes.
type checkpoints struct {
	path  string
	due   chan struct{}
	stop  chan struct{}
	ended chan struct{}
	since int // commits since the last look; the writer's
}

// lookAfter is how many commits pass between two looks at the log.
const lookAfter = 64

func newCheckpoints(path string) *checkpoints {
	k := &checkpoints{path: path, due: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	go k.run()
	return k
}

// wrote counts a commit.
func (k *checkpoints) wrote() {
	if k.since++; k.since < lookAfter {
		return
	}
	k.since = 0
	select {
	case k.due <- struct{}{}:
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
	for {
		select {
		case <-k.stop:
			return
		case <-k.due:
		}
		if c == nil {
			opened, err := connect(k.path, sqlite.OpenReadWrite, time.Second)
			if err != nil {
				continue // the writer's own checkpoint remains
			}
			c = opened
		}
		var log, done int64
		err := c.each("PRAGMA wal_checkpoint(NOOP)", func(s *sqlite.Stmt) error {
			log, done = s.ColumnInt64(1), s.ColumnInt64(2)
			return nil
		})
		if err == nil && log-done < backstop/4 {
			continue
		}
		if err := c.run("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			c.close()
			c = nil
		}
	}
}

func (k *checkpoints) close() {
	close(k.stop)
	<-k.ended
}
