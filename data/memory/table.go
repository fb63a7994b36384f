package memory

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// table is one table at one moment. It is never changed: what changes it returns another.
type table struct {
	def    driver.Table
	rows   tree[[]expr.Value] // by id; a row has a value for each column of def
	unique []tree[string]     // for each unique index: its key, and the id that has it
	refs   *refs
}

// refs finds rows by what they refer to; made on demand, for this moment of the table.
type refs struct {
	sync.Mutex
	by map[int]map[string][]string // column, then the id referred to: ids that refer, in order
}

func newTable(def driver.Table) *table {
	return &table{def: def, unique: make([]tree[string], len(def.Indexes)), refs: &refs{}}
}

func (t *table) column(name string) int {
	return slices.IndexFunc(t.def.Columns, func(c driver.Column) bool { return c.Name == name })
}

// layout says where the fields of a collection are: a column for each ordinal.
type layout struct {
	cols []int
	same bool // column i is field i, and there are no others
}

func (t *table) layout(c *spec.Collection) (layout, error) {
	l := layout{cols: make([]int, len(c.Fields)), same: len(c.Fields) == len(t.def.Columns)}
	for i, f := range c.Fields {
		l.cols[i] = t.column(f.Name)
		if l.cols[i] < 0 {
			return l, fault.New(fault.Internal, "memory: %s has no column %q", t.def.Name, f.Name)
		}
		l.same = l.same && l.cols[i] == i
	}
	return l, nil
}

// record is a row by ordinal.
func (l layout) record(row []expr.Value) []expr.Value {
	if l.same {
		return row
	}
	rec := make([]expr.Value, len(l.cols))
	for i, c := range l.cols {
		rec[i] = row[c]
	}
	return rec
}

// put returns the table with a row in place of what had its id; fault.Unique when an index refuses.
func (t *table) put(row []expr.Value) (*table, error) {
	id := row[spec.OrdID].Text()
	next := *t
	next.refs = &refs{}
	next.unique = slices.Clone(t.unique)
	old, had := t.rows.get(id)
	for i, x := range t.def.Indexes {
		if !x.Unique {
			continue
		}
		if had {
			if key, ok := t.key(x, old); ok {
				next.unique[i] = next.unique[i].del(key)
			}
		}
		key, ok := t.key(x, row)
		if !ok {
			continue
		}
		if _, taken := next.unique[i].get(key); taken {
			return nil, &fault.Error{Kind: fault.Unique, Index: x.Name}
		}
		next.unique[i] = next.unique[i].put(key, id)
	}
	next.rows = t.rows.put(id, row)
	return &next, nil
}

func (t *table) del(id string) (*table, bool) {
	old, had := t.rows.get(id)
	if !had {
		return t, false
	}
	next := *t
	next.refs = &refs{}
	next.unique = slices.Clone(t.unique)
	for i, x := range t.def.Indexes {
		if !x.Unique {
			continue
		}
		if key, ok := t.key(x, old); ok {
			next.unique[i] = next.unique[i].del(key)
		}
	}
	next.rows = t.rows.del(id)
	return &next, true
}

// key is what a unique index compares; ok is false when a value is null, as nulls are many.
func (t *table) key(x driver.TableIndex, row []expr.Value) (key string, ok bool) {
	var b strings.Builder
	for _, name := range x.Columns {
		v := row[t.column(name)]
		if v.IsNull() {
			return "", false
		}
		writeKey(&b, v)
	}
	return b.String(), true
}

func writeKey(b *strings.Builder, v expr.Value) {
	switch v.Kind() {
	case expr.List:
		b.WriteByte('[')
		for _, item := range v.List() {
			writeKey(b, item)
		}
		b.WriteByte(']')
	case expr.Text, expr.Date, expr.JSON, expr.Bytes:
		b.WriteString(strconv.Itoa(len(v.Text())))
		b.WriteByte(':')
		b.WriteString(v.Text())
	default:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
		b.WriteByte(';')
	}
}

// referring are the ids of the rows whose column holds id, alone or in a list, in order.
func (t *table) referring(col int, id string) []string {
	t.refs.Lock()
	defer t.refs.Unlock()
	by, made := t.refs.by[col]
	if !made {
		by = map[string][]string{}
		t.rows.each(func(row string, vals []expr.Value) bool {
			v := vals[col]
			items := []expr.Value{v}
			if v.Kind() == expr.List {
				items = v.List()
			}
			for _, item := range items {
				// A list may name a record twice: it refers once.
				if at := by[item.Text()]; !item.IsNull() && (len(at) == 0 || at[len(at)-1] != row) {
					by[item.Text()] = append(at, row)
				}
			}
			return true
		})
		if t.refs.by == nil {
			t.refs.by = map[int]map[string][]string{}
		}
		t.refs.by[col] = by
	}
	return by[id]
}
