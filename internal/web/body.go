package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// DefaultBody is the limit of a body in bytes where the app file gives none.
const DefaultBody = 1 << 20

// Types that a JSON body may have.
var (
	PlainJSON  = []string{"application/json"}
	MergePatch = []string{"application/merge-patch+json", "application/json"}
)

// Body is a JSON body: read whole, strictly.
type Body struct {
	*doc.Node
	Sum [32]byte // SHA-256 of the bytes, where there is an Idempotency-Key; else zero
}

// ReadJSON reads a JSON body of one of the content types, of at most limit bytes (0: the default).
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, types []string) (Body, error) {
	if err := ContentType(r, types); err != nil {
		return Body{}, err
	}
	buf := Borrow()
	defer buf.Return()
	if err := buf.read(w, r, limit); err != nil {
		return Body{}, err
	}
	if len(bytes.TrimSpace(buf.B)) == 0 {
		return Body{}, fault.New(fault.BadRequest, "the body is empty: a JSON document should be there")
	}
	n, err := doc.Parse(buf.B, doc.Limits{})
	if err != nil {
		return Body{}, Syntax(err)
	}
	b := Body{Node: n}
	if len(r.Header["Idempotency-Key"]) > 0 {
		b.Sum = sha256.Sum256(buf.B)
	}
	return b, nil
}

// ContentType checks that the body has one of the types, in UTF-8 and not compressed.
func ContentType(r *http.Request, types []string) error {
	value := r.Header.Get("Content-Type")
	known := value == types[0] // the common case needs no parsing
	if !known {
		base, params, err := mime.ParseMediaType(value)
		charset := params["charset"]
		known = err == nil && slices.Contains(types, base) && (charset == "" || strings.EqualFold(charset, "utf-8"))
	}
	if !known || len(r.Header["Content-Type"]) > 1 {
		return fault.New(fault.MediaType, "the body should be %s", strings.Join(types, " or "))
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return fault.New(fault.MediaType, "the body should not be compressed")
	}
	return nil
}

// Limit refuses a body that says it is too large before any of it is read, and bounds the others.
func Limit(w http.ResponseWriter, r *http.Request, limit int64) error {
	if limit <= 0 {
		limit = DefaultBody
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the body may have at most %d bytes", limit)
}

// ReadError gives an error of reading a body its kind. One that has a kind keeps it, and so does the
// end of the request's time.
func ReadError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(large.Limit)
	}
	var e *fault.Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &fault.Error{Kind: fault.BadRequest, Msg: "the body could not be read to its end", Err: err}
}

func (b *Buffer) read(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if limit <= 0 {
		limit = DefaultBody
	}
	if err := Limit(w, r, limit); err != nil {
		return err
	}
	if n := r.ContentLength; n > int64(cap(b.B)) {
		b.B = make([]byte, 0, n+1)
	}
	for {
		if len(b.B) == cap(b.B) {
			b.B = append(b.B, 0)[:len(b.B)]
		}
		n, err := r.Body.Read(b.B[len(b.B):cap(b.B)])
		b.B = b.B[:len(b.B)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return ReadError(err)
		}
	}
}

// Syntax gives an error of reading JSON (*doc.Error) its place in a problem.
func Syntax(err error) error {
	var e *doc.Error
	if !errors.As(err, &e) {
		return fault.Wrap(fault.BadRequest, "read the body", err)
	}
	return &fault.Error{Kind: fault.BadRequest, Msg: "the body is not proper JSON: " + e.Error(),
		Fields: []fault.Field{{Pointer: e.Pointer, Code: "syntax", At: e.At, Message: e.Msg}}}
}
