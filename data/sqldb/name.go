package sqldb

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// PostgreSQL cuts names at 63 bytes and MySQL refuses them beyond 64.
const maxName = 60

// Derived is the name of something Plinth makes beside the app's own tables. The $ keeps it apart
// from the names of an app, which never have one; a long name becomes its head and a hash.
func Derived(parts ...string) string {
	name := strings.Join(parts, "$")
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxName-17] + "$" + hex.EncodeToString(sum[:8])
}

// Kept is the name that something of the app has in a database which keeps its own name for itself; Named is the way back.
func Kept(name string) string { return "$" + name }

// Named is the app's name for what has this name in the database.
func Named(stored string) string { return strings.TrimPrefix(stored, "$") }

// sideTable is the name of the table (value, id) beside a list.
func sideTable(table, column string) string { return Derived(table, column, "items") }

// HasSide says whether a field's items are kept in a side table too: references always, other
// lists when an index of theirs alone is declared.
func HasSide(c *spec.Collection, f *spec.Field) bool {
	if f.Kind() != expr.List {
		return false
	}
	if f.Elem == spec.Ref {
		return true
	}
	for _, x := range c.Indexes {
		if len(x.Fields) == 1 && x.Fields[0].Ord == f.Ord {
			return true
		}
	}
	return false
}
