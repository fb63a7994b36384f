package postgres

import "context"

// Warnings looks at the settings that no connection can have for itself: synchronous_commit is set by each of ours
// (PostgreSQL's manual, "Write Ahead Log", Settings).
func (e *Engine) Warnings(ctx context.Context) (found []string, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	defer e.give(c, rollback)
	const ask = "SELECT current_setting('fsync'), current_setting('full_page_writes')"
	err = c.each(ctx, ask, nil, func(row *columns) error {
		if string(row.raw[0]) == "off" {
			found = append(found, "PostgreSQL does not wait for its disk: a write that was answered can be lost, and the database damaged, when the machine stops; set fsync = on")
		}
		if string(row.raw[1]) == "off" {
			found = append(found, "PostgreSQL cannot mend a page that was half written when the machine stopped: the database can be damaged; set full_page_writes = on")
		}
		return nil
	})
	return found, during(ctx, "look at the settings", err)
}
