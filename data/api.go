package data

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Record is one row, by field ordinal. Value is one of its values.
type (
	Record = driver.Record
	Value  = expr.Value
)

// Options of Open.
type Options struct {
	Key   []byte           // the app's secret, at least 32 bytes: seals fields, signs cursors
	Clock func() time.Time // default time.Now
	Log   *slog.Logger     // default slog.Default()
	Hooks []Hook
	Blobs Blobs // where files are; nil: the app may have no file fields

	Forget []string // kinds of jobs that keep no payload when they are cancelled, and so are not tried again

	Observer Observer      // nil: nobody is told what the database does
	Slow     time.Duration // a question that takes longer is a line of the log; 0: none is
}

// Blobs stores the bytes of files. Package files implements it.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, limit int64) (key string, size int64, err error)
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
	Delete(ctx context.Context, key string) error
}

// Caller is who asks. The zero Caller is nobody.
type Caller struct {
	ID       string // the user's id; "" for nobody and for API keys
	Role     string
	SignedIn bool
	MFA      bool         // signed in with a second factor
	Operator bool         // passes every rule
	ReadOnly bool         // writes nothing, anywhere
	User     Record       // the user's own record, where there is one
	Teams    []Membership // those that the user belongs to (TeamsOf), where the app has teams
	Scope    string       // whose idempotency keys these are: "key:ID", "user:ID", "address:1.2.3.4"

	system bool // reaches the collections Plinth keeps for itself
}

// System is Plinth itself: passes every rule, reaches the collections Plinth keeps for itself.
var System = Caller{Operator: true, SignedIn: true, Scope: "system", system: true}

// Op is an operation on a collection.
type Op uint8

const (
	Read Op = iota
	Create
	Update
	Delete
)

// ListQuery asks for a list. Strings are as the client wrote them.
type ListQuery struct {
	Collection string
	Filter     string
	Params     map[string]*doc.Node // param.NAME; from a query string all are String
	Sort       string
	Fields     string
	Expand     string
	Limit      int // 0: 30
	Cursor     string
	Count      bool
}

// GroupQuery asks for groups and aggregates.
type GroupQuery struct {
	Collection string
	Filter     string
	Params     map[string]*doc.Node
	Group      string // "status,author"
	Aggregate  string // "count,sum(price)"
}

// Target names one record: by id, or by a unique field and its value.
type Target struct {
	Collection string
	ID         string
	By, Value  string
}

// View says what of a record is asked for.
type View struct{ Fields, Expand string }

// WriteOptions come with a write.
type WriteOptions struct {
	IfMatch     *Match // all but create
	IfNoneMatch *Match // all but create
	Idempotency *Idempotency
	Uploads     map[string][]Upload // file fields of a multipart body
	Minimal     bool                // no body is wanted
}

// Match is a precondition: any existing record, or one of these revisions.
type Match struct {
	Any  bool
	Revs []int64
	Weak bool // If-Match named weak tags, which match nothing (RFC 9110, 13.1.1)
}

// Check is nil for a revision that m names, and else fault.Precondition.
func (m *Match) Check(rev int64) error {
	before := false // it names one that was
	for _, named := range m.Revs {
		if named == rev {
			return nil
		}
		before = before || named < rev
	}
	switch {
	case m.Any:
		return nil
	case m.Weak:
		return fault.New(fault.Precondition, `a weak tag, W/"…", never matches If-Match; the record is at revision %d`, rev)
	case before:
		return fault.New(fault.Precondition, "the record has changed: it is at revision %d", rev)
	}
	return fault.New(fault.Precondition, "the record is at revision %d, which If-Match does not name", rev)
}

// Idempotency is an Idempotency-Key and what it belongs to.
type Idempotency struct {
	Key         string
	Method      string
	Path        string
	Fingerprint [32]byte // of the body
}

// Upload is a file that is already stored.
type Upload struct {
	Name, Type, Blob string
	Size             int64
}

// Reply is the answer to a write.
type Reply struct {
	Status   int    // 200, 201, 204
	ID       string // of the record
	Rev      int64
	Body     []byte // JSON, as the caller may read it; nil for 204 and Minimal
	Replayed bool   // an earlier answer, because of its Idempotency-Key
}

// Operation is one operation of a batch.
type Operation struct {
	Op         string // create update delete
	Collection string
	ID         string
	Body       *doc.Node
	IfMatch    *Match
}

// Result is the outcome of one operation of a batch; Err set when it failed (not atomic).
type Result struct {
	Reply
	Err error
}

// FileInfo is a stored file that the caller may read.
type FileInfo struct {
	Name, Type, Blob string
	Size             int64
}

// Sight is what a caller could do with a collection, before any record is looked at.
type Sight struct {
	Read, Create, Update, Delete bool
	Readable, Writable           []bool // by field ordinal
}
