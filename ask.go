package plinth

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/rest"
)

// Names of package data that callers of this package need.
type (
	ListQuery   = data.ListQuery
	Explanation = data.Explanation
	Verdict     = data.Verdict
	Matrix      = data.Matrix
)

// Explain says how a list is answered for somebody: "" nobody, a role, "operator", or a user by address or id.
func (p *Plinth) Explain(ctx context.Context, as string, q *ListQuery) (*Explanation, error) {
	by, err := p.now.Load().gate.Whom(ctx, as)
	if err != nil {
		return nil, err
	}
	return p.DB().Explain(ctx, by, q)
}

// Why judges an operation (read create update delete) for somebody, as Explain knows him, part by part. id may
// be "" where the rule does not look at the record.
func (p *Plinth) Why(ctx context.Context, as, operation, collection, id string) (*Verdict, error) {
	by, err := p.now.Load().gate.Whom(ctx, as)
	if err != nil {
		return nil, err
	}
	ops := map[string]data.Op{"read": data.Read, "create": data.Create, "update": data.Update, "delete": data.Delete}
	op, ok := ops[operation]
	if !ok {
		return nil, fault.New(fault.BadRequest, "there is no operation %q: read, create, update, delete", operation)
	}
	return p.DB().Why(ctx, by, op, collection, id)
}

// Check says what the database cannot do of what the app needs; and, in warnings, with which of its settings a
// database server can lose what was acknowledged. The database is only looked at.
func Check(ctx context.Context, dir string, opts ...Option) (warnings []string, err error) {
	p, err := unserved(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	warnings, err = p.warnings(ctx)
	return warnings, errors.Join(err, p.eng.Close())
}

// OpenAPI is the description of the API as somebody with a role may see it ("" nobody, "operator").
// The database is not asked for anything.
func OpenAPI(ctx context.Context, dir, role string, opts ...Option) ([]byte, error) {
	p, err := unserved(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	defer p.eng.Close()
	s := p.now.Load()
	by, err := auth.As(s.app, role)
	if err != nil {
		return nil, err
	}
	door := rest.New(s.db, func(*http.Request) (data.Caller, error) { return by, nil }, rest.Options{Auth: http.NotFoundHandler(), Version: Version()})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/openapi.json", nil)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "describe the API", err)
	}
	w := &page{header: http.Header{}, status: http.StatusOK}
	door.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return nil, fault.New(fault.Internal, "the API could not be described: %s", w.Bytes())
	}
	return w.Bytes(), nil
}

// MatrixOf says who may do what with the app in a folder, by its rules. The database is not asked for anything.
func MatrixOf(ctx context.Context, dir string, opts ...Option) (*Matrix, error) {
	p, err := unserved(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	return p.now.Load().db.Matrix(), p.eng.Close()
}

// unserved opens an app with its database as it is, to ask about the app itself.
func unserved(ctx context.Context, dir string, opts []Option) (*Plinth, error) {
	o := choose(opts)
	app, err := load(dir, &o)
	if err != nil {
		return nil, err
	}
	eng, err := o.engine(ctx, o.place(dir))
	if err != nil {
		return nil, err
	}
	p := &Plinth{dir: dir, o: o, secret: newKey(), eng: eng, hasher: hasher()} // nothing is sealed with this key
	s, err := p.wire(ctx, app, nil)
	if err != nil {
		_ = eng.Close()
		return nil, err
	}
	p.now.Store(s)
	return p, nil
}

// page is an answer kept in memory.
type page struct {
	bytes.Buffer
	header http.Header
	status int
}

func (w *page) Header() http.Header    { return w.header }
func (w *page) WriteHeader(status int) { w.status = status }
