package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// stmt is a prepared query.
type stmt struct {
	*plan
	e     *Engine
	reads map[string][]int // outputs by the name of the field
}

func newStmt(e *Engine, p *plan) *stmt {
	s := &stmt{plan: p, e: e, reads: map[string][]int{}}
	for i, o := range p.outputs {
		if !o.top {
			s.reads[o.name] = append(s.reads[o.name], i)
		}
	}
	return s
}

// known is a statement that this package prepared.
func known(s driver.Stmt) (*stmt, error) {
	if own, ok := s.(*stmt); ok {
		return own, nil
	}
	return nil, fault.New(fault.Internal, "a statement of another engine")
}

// Text is the command that is sent, with the numbers of its arguments in their places.
func (s *stmt) Text() string {
	a, err := s.ask(nil, true)
	if err != nil {
		return err.Error()
	}
	text, err := bson.MarshalExtJSON(a.command(), false, false)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// rows asks, and gives each row to yield.
func (e *Engine) rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	q, err := known(s)
	if err != nil {
		return err
	}
	return e.found(ctx, q, args, func(c *columns) error { return yield(c) })
}

func (e *Engine) found(ctx context.Context, s *stmt, args []expr.Value, yield func(*columns) error) error {
	if err := ctx.Err(); err != nil {
		return during(ctx, "read", err)
	}
	c := &columns{s: s, vals: make([]bson.RawValue, len(s.outputs))}
	if s.nothing(args) && !s.q.Count {
		return nil
	}
	n := 0
	ask := func(args []expr.Value) error {
		a, err := s.ask(args, false)
		if err != nil {
			return err
		}
		err = e.server.rows(ctx, a, func(doc bson.Raw) error {
			over, err := c.load(doc)
			if err != nil || over {
				return err
			}
			n++
			return yield(c)
		})
		return during(ctx, "read", err)
	}
	switch {
	case s.nothing(args):
	case !s.each:
		if err := ask(args); err != nil {
			return err
		}
	default:
		own := append([]expr.Value(nil), args...)
		seen := map[string]bool{}
		for _, v := range args[s.q.Per.Arg].List() {
			if v.IsNull() || seen[v.Text()] {
				continue
			}
			seen[v.Text()] = true
			own[s.q.Per.Arg] = v
			c.parent = v.Text()
			if err := ask(own); err != nil {
				return err
			}
		}
	}
	// Of no rows MongoDB makes no group and no count.
	if n == 0 && (s.q.Count || len(s.q.Aggregates) > 0 && len(s.q.Group) == 0) {
		clear(c.vals)
		return yield(c)
	}
	return nil
}
