package sqlite

import (
	"context"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// Explain reads EXPLAIN QUERY PLAN, whose lines are "SEARCH alias USING INDEX name (…)",
// "SEARCH alias USING INTEGER PRIMARY KEY (…)", "SCAN alias", "SCAN alias USING INDEX name" and "USE TEMP B-TREE FOR ORDER BY". An index that is
// scanned gives the order only: what is asked for is looked for in every row.
func (s *stmt) Explain(ctx context.Context, _ []expr.Value) (driver.Explanation, error) {
	var x driver.Explanation
	err := s.e.inspecting(ctx, func(c *conn) error {
		names, err := indexNames(c)
		if err != nil {
			return classify("explain", err)
		}
		err = c.each("EXPLAIN QUERY PLAN "+s.Text(), func(st *sqlite.Stmt) error {
			s.step(&x, st.ColumnText(3), names)
			return nil
		})
		return during(ctx, "explain", err)
	})
	return x, err
}

func (s *stmt) step(x *driver.Explanation, line string, names map[string]string) {
	x.Steps = append(x.Steps, line)
	words := strings.Fields(line)
	if strings.HasPrefix(line, "USE TEMP B-TREE FOR") && strings.Contains(line, "ORDER BY") {
		x.Sorts = true
	}
	if len(words) > 1 && sqldb.Beside(words[1]) {
		return
	}
	if i := slices.Index(words, "INDEX"); i > 0 && i+1 < len(words) && !strings.Contains(line, "VIRTUAL TABLE") {
		name := sqldb.Named(words[i+1])
		if strings.HasPrefix(name, "sqlite_autoindex_") {
			name = "id"
		} else if own, ok := names[name]; ok {
			name = own
		}
		if !slices.Contains(x.Indexes, name) {
			x.Indexes = append(x.Indexes, name)
		}
		if !s.filters {
			return
		}
	}
	if strings.Contains(line, " USING INTEGER PRIMARY KEY ") && !slices.Contains(x.Indexes, "id") {
		x.Indexes = append(x.Indexes, "id")
	}
	if words[0] != "SCAN" || len(words) < 2 {
		return
	}
	if table, ok := s.Tables[words[1]]; ok && !slices.Contains(x.Scans, table) {
		x.Scans = append(x.Scans, table)
	}
}

// indexNames are the names that indexes have in the app, by their names in the file.
func indexNames(c *conn) (map[string]string, error) {
	names := map[string]string{}
	err := c.each(`SELECT "sqlname", "name" FROM "_indexes"`, func(s *sqlite.Stmt) error {
		names[s.ColumnText(0)] = s.ColumnText(1)
		return nil
	})
	return names, err
}
