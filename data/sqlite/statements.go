package sqlite

import (
	"context"

	"github.com/bluell/plinth/data/driver"
)

// Statements plans the steps one after the other, each on what those before it leave. A step that is done
// already has none; nor have those behind one that cannot be told.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	_ = e.inspecting(context.Background(), func(c *conn) error {
		have, l, err := planning(c)
		for i := 0; err == nil && i < len(steps); i++ {
			out[i], err = have.Plan(l, steps[i])
		}
		return err
	})
	return out
}
