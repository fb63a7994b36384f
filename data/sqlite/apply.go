package sqlite

import (
	"context"
	"errors"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// Apply runs a fence, a step and the catalogue's part of it in one transaction, in the queue of the writes.
// What the catalogue says of things that others dropped is replaced, so that they can be made again.
func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	return e.writer.do(ctx, func(c *conn) error {
		if fence != nil {
			if err := e.within(c, fence); err != nil {
				return err
			}
		}
		have, l, err := planning(c)
		if err != nil {
			return unchanged(err)
		}
		statements, err := have.Plan(l, s)
		if err != nil {
			return err
		}
		for _, sql := range statements {
			if err := c.script(sql); err != nil {
				return unchanged(err)
			}
		}
		return nil
	})
}

// unchanged is the error of a step that SQLite refused, with words of ours instead of its own.
func unchanged(err error) error {
	err = classify("change the tables", err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Msg != "" {
		return err
	}
	told := *f
	told.Msg = "the tables could not be changed"
	if told.Kind == fault.Unique {
		told.Msg = "values are there twice that would have to be unique"
	}
	return &told
}
