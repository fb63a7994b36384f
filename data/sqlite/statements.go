package sqlite

import (
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
)

// Statements runs the steps on a database in memory that has the tables of this one without their
// rows, so that each is told as the ones before it leave the tables. A step that is done already has
// none; nor have those behind one that cannot be told.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	c, err := connect(":memory:", sqlite.OpenReadWrite|sqlite.OpenCreate, time.Second)
	if err != nil {
		return out
	}
	defer c.close()
	if e.copyTables(c) != nil {
		return out
	}
	for i, s := range steps {
		have, err := inspect(c)
		if err != nil {
			return out
		}
		if out[i], err = plan(have, s); err != nil {
			return out
		}
		for _, sql := range out[i] {
			if c.script(sql) != nil {
				return out
			}
		}
	}
	return out
}

// copyTables makes the tables, the indexes and the catalogue in another database. What others made
// and cannot be made there (a virtual table, say) is no part of any step.
func (e *Engine) copyTables(to *conn) error {
	if err := makeOwn(to); err != nil {
		return err
	}
	return e.inspecting(context.Background(), func(c *conn) error {
		err := c.each(`SELECT "name", "sql" FROM sqlite_schema WHERE "sql" IS NOT NULL ORDER BY "type" = 'table' DESC`,
			func(s *sqlite.Stmt) error {
				if own[s.ColumnText(0)] == "" {
					_ = to.script(s.ColumnText(1))
				}
				return nil
			})
		if err != nil {
			return err
		}
		for _, table := range catalogue {
			err := c.each(`SELECT * FROM `+q(table), func(s *sqlite.Stmt) error {
				values := make([]string, s.ColumnCount())
				for i := range values {
					values[i] = text(s.ColumnText(i))
				}
				return to.script("INSERT INTO " + q(table) + " VALUES (" + strings.Join(values, ", ") + ")")
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
