package main

import (
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// writer is the one connection that writes. Requests queue their work; what is queued at the
// same moment becomes savepoints of one transaction and is answered after its one sync.
type writer struct {
	conn  *sqlite.Conn
	queue chan *job
	ended chan struct{}

	begin, commit, rollback  *sqlite.Stmt
	savepoint, release, undo *sqlite.Stmt
	insertPost, insertAuthor *sqlite.Stmt
	insertChange             *sqlite.Stmt
	post                     *sqlite.Stmt
	updatePost               [32]*sqlite.Stmt // by the set of changed fields
	scratch                  []byte           // for one column
}

// job is one request's part of a transaction.
type job struct {
	work func(*writer) error
	err  error
	done chan struct{}
}

const maxGroup = 256

func openWriter(path string) (*writer, error) {
	conn, err := open(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	if err := sqlitex.ExecuteScript(conn, schema, nil); err != nil {
		return nil, err
	}
	w := &writer{conn: conn, queue: make(chan *job, maxGroup), ended: make(chan struct{}), scratch: make([]byte, 4<<10)}
	err = prepare(conn, map[**sqlite.Stmt]string{
		&w.begin:        "BEGIN IMMEDIATE",
		&w.commit:       "COMMIT",
		&w.rollback:     "ROLLBACK",
		&w.savepoint:    "SAVEPOINT request",
		&w.release:      "RELEASE request",
		&w.undo:         "ROLLBACK TO request",
		&w.insertPost:   "INSERT INTO posts (id, created, updated, rev, title, body, status, views, author) VALUES (?,?,?,?,?,?,?,?,?)",
		&w.insertAuthor: "INSERT INTO authors (id, created, updated, rev, name, bio) VALUES (?,?,?,?,?,?)",
		&w.insertChange: "INSERT INTO changes (" + changeColumns + ") VALUES (?1,?1,?2,?3,?4,?5,?6,?7)",
		&w.post:         postByID,
	})
	if err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// do runs work in a transaction and returns once it is on disk, or refused.
func (w *writer) do(work func(*writer) error) error {
	j := &job{work: work, done: make(chan struct{})}
	w.queue <- j
	<-j.done
	return j.err
}

func (w *writer) close() {
	close(w.queue)
	<-w.ended
	w.conn.Close()
}

func (w *writer) run() {
	defer close(w.ended)
	group := make([]*job, 0, maxGroup)
	for first := range w.queue {
		group = append(group[:0], first)
		w.transact(&group)
		for _, j := range group {
			close(j.done)
		}
	}
}

// transact runs the first job and all that arrive while the group is open.
func (w *writer) transact(group *[]*job) {
	err := exec(w.begin)
	if err == nil {
		for i := 0; i < len(*group); i++ {
			w.attempt((*group)[i])
			if len(*group) == maxGroup {
				continue
			}
			select {
			case j, open := <-w.queue:
				if open {
					*group = append(*group, j)
				}
			default:
			}
		}
		if w.conn.AutocommitEnabled() {
			err = errors.New("the transaction was lost")
		} else {
			err = exec(w.commit)
		}
	}
	if err == nil {
		return
	}
	if !w.conn.AutocommitEnabled() {
		exec(w.rollback)
	}
	for _, j := range *group {
		j.err = err
	}
}

// attempt runs one job; a job that fails leaves no trace.
func (w *writer) attempt(j *job) {
	if j.err = exec(w.savepoint); j.err != nil {
		return
	}
	if j.err = j.work(w); j.err != nil && !w.conn.AutocommitEnabled() {
		exec(w.undo)
	}
	if err := exec(w.release); err != nil && j.err == nil {
		j.err = err
	}
}

func exec(stmt *sqlite.Stmt) error {
	_, err := stmt.Step()
	if err != nil {
		return err
	}
	return stmt.Reset()
}
