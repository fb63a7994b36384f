package password

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"time"

	"github.com/bluell/plinth/fault"
)

// Options are how a Hasher works. The zero value of each is its default.
//
// The defaults of Memory, Time and Threads are the minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, two
// passes, one lane, about 25 ms of one processor. RFC 9106's second recommendation (64 MiB, three passes, four lanes) costs five
// times as much, with which two processors serve sixteen sign-ins a second instead of eighty; who can pay that says so here.
type Options struct {
	Memory  uint32 // of one derivation, in KiB; 19456
	Time    uint32 // passes over the memory; 2
	Threads uint8  // lanes, each on a processor of its own; 1

	AtOnce   int           // derivations at once; half of the processors, and at least 2, so that other requests find one
	Queue    int           // how many may wait for one; 256
	Patience time.Duration // how long one may wait; 5 s

	Pepper string // what Devise appended to passwords (config.pepper), for hashes marked {devise}
}

// A Hasher hashes and verifies passwords. One serves a whole process, which has then this bound on what derivations hold
// of its memory: the larger of AtOnce × Memory and 128 MiB (what one foreign hash may ask for), as much again for
// garbage, and, only while foreign hashes of more than 32 MiB are verified, as much again for what lies between them.
// It is safe for concurrent use.
type Hasher struct {
	today  argon2Params
	pepper string
	gate   gate
	heap   heap
	nobody form
	pace   pace
}

// New is a Hasher. Parameters outside of RFC 9106, or of the package's limits, are an error.
func New(o Options) (*Hasher, error) {
	h := &Hasher{today: argon2Params{kind: "argon2id", memory: o.Memory, time: o.Time, threads: o.Threads}, pepper: o.Pepper}
	if h.today.memory == 0 {
		h.today.memory = 19456
	}
	if h.today.time == 0 {
		h.today.time = 2
	}
	if h.today.threads == 0 {
		h.today.threads = 1
	}
	if why := h.today.wrong(); why != "" {
		return nil, fault.New(fault.Invalid, "the parameters of argon2id: %s", why)
	}
	if o.AtOnce == 0 {
		o.AtOnce = max(2, runtime.GOMAXPROCS(0)/2)
	}
	if o.Queue == 0 {
		o.Queue = 256
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.AtOnce < 0 || o.Queue < 0 || o.Patience < 0 {
		return nil, fault.New(fault.Invalid, "derivations at once, the queue and its patience are not negative")
	}
	budget := max(int64(o.AtOnce)*h.today.bytes(), maxMemory)
	h.gate.open(budget, o.AtOnce, o.Queue, o.Patience)
	h.heap.limit, h.heap.usual = 2*budget, h.today.bytes()
	h.nobody = form{scheme: "none", digest: argon2Digest{argon2Params: h.today, salt: random(saltLen), sum: random(sumLen)}, empty: true}
	return h, nil
}

// MaxTyped is the longest password, in bytes, that is hashed or verified; Check allows less. Other systems allowed more.
const MaxTyped = 4096

// Hash is what is to be stored of a password. It does not judge it: see Check. An empty password, or one of more than MaxTyped
// bytes, is fault.Invalid. When too many wait, or ctx ends, it is fault.Unavailable.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", fieldError("min", "must not be empty")
	}
	if len(password) > MaxTyped {
		return "", tooLong(MaxTyped)
	}
	leave, err := h.gate.enter(ctx, h.today.bytes())
	if err != nil {
		return "", err
	}
	defer leave()
	d := argon2Digest{argon2Params: h.today, salt: random(saltLen)}
	h.heap.begin(d.bytes())
	defer h.heap.end(d.bytes())
	d.sum = d.derive(normal(password), sumLen)
	return d.String(), nil
}

// Verify says whether password is the one whose hash is stored, and whether the stored form is to be replaced by Hash's:
// it is another system's, or of other parameters than today's. A sign-in does not fail because that replacement did; the next
// one does it.
//
// Ask it for every sign-in, also when there is no such account or it has no password: then stored is "", nothing is
// verified, and it takes as long. A password of more than MaxTyped bytes is nobody's, after the same time; an empty one is at once.
//
// When too many wait, or ctx ends, the error is fault.Unavailable. When what is stored cannot be read, as Identify would say, or is marked
// {devise} where Options.Pepper is missing, it is fault.Internal, after the same time: it is for the log, the one
// who asked is told what a wrong password is told.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	if password == "" {
		return false, false, nil
	}
	if len(password) > MaxTyped {
		stored, password = "", "too long" // it takes its time too: else what is around it would be all that the time tells
	}
	f, unread := h.read(stored)
	if unread != nil || f.empty {
		f = h.nobody
	}
	leave, err := h.gate.enter(ctx, f.digest.bytes())
	if err != nil {
		return false, false, err
	}
	began := time.Now()
	tries := f.candidates(password)
	at, err := h.match(ctx, leave, f.digest, tries)
	current := h.current(f)
	if !current {
		h.pace.learn(time.Since(began) / time.Duration(min(at+1, len(tries))))
	}
	switch {
	case err != nil:
		return false, false, err
	case at < len(tries) && !f.empty:
		return true, !current || at > 0, nil
	}
	if err := h.pace.hold(ctx, began, len(tries)); err != nil {
		return false, false, err
	}
	if unread != nil {
		return false, false, &fault.Error{Kind: fault.Internal, Op: "verify a password", Err: unread}
	}
	return false, false, nil
}

// read is parse, with the pepper put where it belongs.
func (h *Hasher) read(stored string) (form, error) {
	f, err := parse(stored)
	if err != nil || f.scheme != "devise" {
		return f, err
	}
	if h.pepper == "" {
		return f, refuse("is of Devise, and the pepper is missing that it was made with")
	}
	b := f.digest.(bcryptDigest)
	b.after = h.pepper
	f.digest = b
	return f, nil
}

// match is which of the candidates a digest is of: as many as there are if it is of none.
func (h *Hasher) match(ctx context.Context, leave func(), d digest, candidates []string) (at int, err error) {
	defer leave()
	for at, candidate := range candidates {
		if at > 0 && ctx.Err() != nil {
			return at, gone(context.Cause(ctx))
		}
		ok, err := h.derive(d, candidate)
		if ok || err != nil {
			return at, err
		}
	}
	return len(candidates), nil
}

func (h *Hasher) derive(d digest, candidate string) (bool, error) {
	h.heap.begin(d.bytes())
	defer h.heap.end(d.bytes())
	return d.match(candidate)
}

// current says that a hash costs what today's does, and is to stay.
func (h *Hasher) current(f form) bool {
	d, is := f.digest.(argon2Digest)
	return is && (f.scheme == "argon2id" || f.empty) && d.argon2Params == h.today && len(d.salt) == saltLen && len(d.sum) == sumLen
}

// Identify names the scheme of what is stored, by the table of the package, without verifying anything. It is an error
// (fault.Invalid) that names what is wrong and repeats nothing of the hash, when Verify could not read it: so that a table is
// refused before it moves in.
func Identify(stored string) (scheme string, err error) {
	f, err := parse(stored)
	return f.scheme, err
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return string(b)
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Invalid, "the stored password %s", fmt.Sprintf(format, args...))
}
