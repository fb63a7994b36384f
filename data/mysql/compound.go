package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// MariaDB takes a compound statement outside of a program, prepared and with arguments (its manual, "Using Compound
// Statements Outside of Stored Programs"). So a write of many statements is one there, with its transaction. What must
// have been found and was not ends it by an error of our own; whatever error ended it, nothing of it is left once it is
// rolled back, and the write is done once more, one statement after the other, to find out why.
const (
	unfound = 31000 // the number of that error: SIGNAL takes any, and gives 1644 where none is said
	absent  = " THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'not there'; END IF; "
)

// mostCompound is how many arguments a compound statement has at most: at every execution the server writes its statements
// out with their values, which for more costs it more than the round trips that are saved cost us.
const mostCompound = 256

// compounds says whether the server takes compound statements.
func (c *conn) compounds(ctx context.Context) bool {
	p, err := c.prepare(ctx, "BEGIN NOT ATOMIC SET @plinth = ?; END")
	if err != nil {
		return false
	}
	c.drop(p)
	return true
}

// body is a compound statement in the making.
type body struct {
	strings.Builder
	args []sqldriver.Value
}

// add adds a statement and what ends it.
func (b *body) add(sql, end string) {
	b.WriteString(sql)
	b.WriteString(end)
}

// compound is the statement that does it all, with its arguments; "" where it would be too long to be kept.
func (e *Engine) compound(u *driver.Revision, all []driver.Insertion) (string, []sqldriver.Value) {
	n := 0
	if u != nil {
		n = len(u.Ords)
	}
	for i := 0; i < len(all) && n <= mostCompound; i++ {
		n += len(all[i].C.Fields)
	}
	if !e.compounds || n > mostCompound {
		return "", nil
	}
	b := &body{}
	b.WriteString("BEGIN NOT ATOMIC START TRANSACTION; ")
	served := e.served()
	if u != nil {
		w := served.Writes(u.C)
		b.add(w.Revision(u.Ords), "; ")
		b.args = revision(u)
		b.add("IF ROW_COUNT() = 0", absent)
		for _, s := range w.Sides {
			if slices.Contains(u.Ords, s.Ord) {
				b.add(s.Delete, "; ")
				b.args = append(b.args, u.ID)
				b.fill(s, expr.TextOf(u.ID), u.R[s.Ord])
			}
		}
	}
	for _, target := range sqldb.Targets(all) {
		ids := target.IDs()
		size := stepped(len(ids))
		b.add("IF (SELECT COUNT(*) FROM "+q(target.C.Name)+` FORCE INDEX (PRIMARY) WHERE "id" IN (?`+strings.Repeat(", ?", size-1)+")"+
			e.d.Lock(driver.LockStay)+") <> ?", absent)
		for i := range size {
			b.args = append(b.args, ids[min(i, len(ids)-1)].Text())
		}
		b.args = append(b.args, int64(len(ids)))
	}
	for len(all) > 0 {
		c, w, n := all[0].C, served.Writes(all[0].C), 1
		for len(w.Sides) == 0 && n < len(all) && n < mostInserted && all[n].C == c {
			n++
		}
		b.add(w.Inserts(n), "; ")
		b.args = appendRecords(b.args, all[:n])
		for _, s := range w.Sides {
			b.fill(s, all[0].R[spec.OrdID], all[0].R[s.Ord])
		}
		all = all[n:]
	}
	b.WriteString("COMMIT; END")
	if b.Len() > keptLength {
		return "", nil
	}
	return b.String(), b.args
}

// fill puts a list's items into its side table.
func (b *body) fill(s sqldb.Side, id, list expr.Value) {
	if len(list.List()) > 0 {
		b.add(s.Fill, "; ")
		b.args = append(b.args, bound(list, s.Elem), bound(id, expr.Null))
	}
}
