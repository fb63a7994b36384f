package data

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// The states of a job. The first four are unfinished: among them a key is unique. What due says depends on the state,
// so that one index serves all that comes to be due.
//
//	held       the rest of its batch is not finished
//	later      due: from when it may be worked on
//	waiting    due: since when
//	running    due: from when its worker is taken for gone
//	done       due: when it is removed
//	dead       it failed as often as it might; due: when it is removed
//	cancelled  due: when it is removed
const (
	Held      = "held"
	Later     = "later"
	Waiting   = "waiting"
	Running   = "running"
	Done      = "done"
	Dead      = "dead"
	Cancelled = "cancelled"
)

// JobStates are all states of a job, in the order in which it goes through them.
var JobStates = []string{Held, Later, Waiting, Running, Done, Dead, Cancelled}

// NewJob is a job that is to be enqueued. Only Kind must be given.
type NewJob struct {
	Kind     string
	Payload  any           // what encoding/json makes of it; it is stored encrypted, 64 KiB at most
	Key      string        // among unfinished jobs there is one with it: to enqueue it again does nothing
	Priority int           // the smaller goes first; 0 when absent
	Delay    time.Duration // not before it has passed
	Attempts int           // how often it is begun at most; DefaultAttempts when 0
	Timeout  time.Duration // of one attempt; DefaultTimeout when 0, a second at least
}

const (
	DefaultAttempts = 10
	DefaultTimeout  = time.Minute
	maxPayload      = 64 << 10
	maxAttempts     = 1000
	maxTimeout      = 24 * time.Hour
	maxDelay        = 10 * 366 * 24 * time.Hour
)

// Job is a job as it is stored.
type Job struct {
	ID       string
	Kind     string
	State    string
	Priority int
	Due      time.Time
	Attempt  int // how often it was begun
	Attempts int
	Timeout  time.Duration
	Key      string
	Payload  json.RawMessage
	Error    string   // of the last attempt that failed
	Steps    []string // that are finished
	Worker   string   // who works on it, or did last
	Batch    string   // the job that waits for it
	Cancel   bool     // it is running, and to be cancelled
	Trace    string   // of what enqueued it, as its traceparent (W3C Trace Context); "": none was kept
	Created  time.Time
	Updated  time.Time

	rec Record // as it is stored
}

// queue is what the database knows of jobs beside their kind.
type queue struct {
	k *kind
	jobColumns
	statements
	forget []string // Options.Forget
	wake   chan struct{}
}

// jobColumns are the ordinals of the fields of _jobs.
type jobColumns struct {
	kind, state, priority, due, attempt, attempts, timeout, key, payload, error, steps, worker, cancel, batch, left, trace int
	oneKey                                                                                                                 int // the companion by which a key is unique
}

func jobColumnsOf(c *spec.Collection) jobColumns {
	ord := func(name string) int {
		f, _ := c.Field(name)
		return f.Ord
	}
	return jobColumns{ord("kind"), ord("state"), ord("priority"), ord("due"), ord("attempt"), ord("attempts"), ord("timeout"), ord("key"),
		ord("payload"), ord("error"), ord("steps"), ord("worker"), ord("cancel"), ord("batch"), ord("left"), ord("trace"),
		slices.IndexFunc(c.Fields, func(f *spec.Field) bool { return f.Companion == spec.Partial })}
}

// job is a record of _jobs as what it says.
func (db *DB) job(rec Record) (Job, error) {
	q := &db.queue
	plain := slices.Clone(rec)
	if err := db.keys.open(q.k.Collection, plain); err != nil {
		return Job{}, err
	}
	at := func(ord int) time.Time { return time.UnixMilli(plain[ord].Int()).UTC() }
	j := Job{ID: plain[spec.OrdID].Text(), Kind: plain[q.kind].Text(), State: plain[q.state].Text(),
		Priority: int(plain[q.priority].Int()), Due: at(q.due), Attempt: int(plain[q.attempt].Int()), Attempts: int(plain[q.attempts].Int()),
		Timeout: time.Duration(plain[q.timeout].Int()) * time.Millisecond, Key: plain[q.key].Text(),
		Payload: json.RawMessage(plain[q.payload].Text()), Error: plain[q.error].Text(), Worker: plain[q.worker].Text(),
		Batch: plain[q.batch].Text(), Cancel: q.asksEnd(plain), Trace: plain[q.trace].Text(), Created: at(spec.OrdCreated), Updated: at(spec.OrdUpdated), rec: rec}
	for _, s := range plain[q.steps].List() {
		j.Steps = append(j.Steps, s.Text())
	}
	return j, nil
}

// record makes the record of a new job, waiting.
func (n *NewJob) record(w *work) (Record, error) {
	q := &w.db.queue
	attempts, timeout := n.Attempts, n.Timeout
	if attempts == 0 {
		attempts = DefaultAttempts
	}
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	payload, err := json.Marshal(n.Payload)
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, "the payload of a job "+n.Kind, err)
	case !validKind(n.Kind):
		return nil, fault.New(fault.Invalid, "the kind of a job is 1 to 60 letters of a-z, 0-9, _, - and ., not %q", n.Kind)
	case len(payload) > maxPayload:
		return nil, fault.New(fault.Invalid, "the payload of a job %s has %d bytes: %d are the most; store it in a record and name that", n.Kind, len(payload), maxPayload)
	case len(n.Key) > 200:
		return nil, fault.New(fault.Invalid, "the key of a job %s has more than 200 bytes", n.Kind)
	case attempts < 1 || attempts > maxAttempts:
		return nil, fault.New(fault.Invalid, "a job %s is begun 1 to %d times, not %d", n.Kind, maxAttempts, attempts)
	case timeout < time.Second || timeout > maxTimeout:
		return nil, fault.New(fault.Invalid, "the timeout of a job %s is from 1s to %s, not %s", n.Kind, maxTimeout, timeout)
	case n.Delay < 0 || n.Delay > maxDelay:
		return nil, fault.New(fault.Invalid, "the delay of a job %s is from 0 to ten years, not %s", n.Kind, n.Delay)
	case int64(n.Priority) < -1<<31 || int64(n.Priority) > 1<<31:
		return nil, fault.New(fault.Invalid, "the priority of a job %s is out of bounds", n.Kind)
	}
	rec := q.k.fresh(w)
	rec[q.kind], rec[q.state], rec[q.priority] = expr.TextOf(n.Kind), expr.TextOf(Waiting), expr.IntOf(int64(n.Priority))
	rec[q.due], rec[q.attempt], rec[q.attempts] = rec[spec.OrdCreated], expr.IntOf(0), expr.IntOf(int64(attempts))
	rec[q.timeout], rec[q.key], rec[q.payload] = expr.IntOf(timeout.Milliseconds()), textOrNull(expr.NFC(n.Key)), expr.TextOf(string(payload))
	if w.db.observer != nil {
		rec[q.trace] = textOrNull(w.db.observer.Traced(w.ctx))
	}
	if n.Delay > 0 {
		now, err := w.tx.Now()
		if err != nil {
			return nil, err
		}
		rec[q.state], rec[q.due] = expr.TextOf(Later), expr.TimeOf(now+n.Delay.Milliseconds())
	}
	return rec, nil
}

// ValidKind says whether a Go program may register a kind of job with this name: those of Plinth's own begin with "plinth.".
func ValidKind(s string) bool { return validKind(s) && !strings.HasPrefix(s, "plinth.") }

func validKind(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return s != "" && len(s) <= 60
}
