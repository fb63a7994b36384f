package mongo

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// catalogue has a document for each table, for MongoDB knows no columns: what there is is what was asked for.
// A step changes the documents of the table first, as often as it takes, and then its entry.
const catalogue = "_schema"

// health is the collection of the health check.
const health = "_health"

func ours(name string) bool {
	return name == catalogue || name == health || strings.HasPrefix(name, "system.")
}

// table is a table's entry.
type table struct {
	Name    string       `bson:"_id"`
	Columns []column     `bson:"columns"`
	Indexes []tableIndex `bson:"indexes"`
}

type column struct {
	Name   string `bson:"name"`
	Kind   int64  `bson:"kind"`
	Elem   int64  `bson:"elem"`
	Scale  int64  `bson:"scale"`
	Ref    string `bson:"ref"`
	Side   bool   `bson:"side"`
	MaxLen int64  `bson:"maxlen"`
}

type tableIndex struct {
	Name    string   `bson:"name"`
	Columns []string `bson:"columns"`
	Unique  bool     `bson:"unique"`
}

func columnOf(c driver.Column) column {
	return column{c.Name, int64(c.Kind), int64(c.Elem), int64(c.Scale), c.Ref, c.Side, int64(c.MaxLen)}
}

func (c column) asked() driver.Column {
	return driver.Column{Name: c.Name, Kind: expr.Kind(c.Kind), Elem: expr.Kind(c.Elem), Scale: int(c.Scale), Ref: c.Ref, Side: c.Side, MaxLen: int(c.MaxLen)}
}

func (t *table) asked() driver.Table {
	out := driver.Table{Name: t.Name}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, c.asked())
	}
	for _, x := range t.Indexes {
		out.Indexes = append(out.Indexes, driver.TableIndex(x))
	}
	return out
}

func (t *table) column(name string) int {
	return slices.IndexFunc(t.Columns, func(c column) bool { return c.Name == name })
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.Indexes, func(x tableIndex) bool { return x.Name == name })
}

// Inspect tells what tables there are. A collection that is not in the catalogue is one without columns.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.leave()
	known, err := e.inspect(ctx)
	if err != nil {
		return nil, err
	}
	names, err := e.server.collections(ctx)
	if err != nil {
		return nil, during(ctx, "inspect", err)
	}
	var tables []driver.Table
	for _, name := range names {
		switch t := known[name]; {
		case ours(name):
		case t == nil:
			tables = append(tables, driver.Table{Name: name})
		default:
			tables = append(tables, t.asked())
		}
	}
	slices.SortFunc(tables, func(a, b driver.Table) int { return cmp.Compare(a.Name, b.Name) })
	return tables, nil
}

// inspect reads the catalogue, and keeps it for who asks for unique values.
func (e *Engine) inspect(ctx context.Context) (map[string]*table, error) {
	tables, err := e.entries(ctx, bson.D{})
	if err == nil {
		e.tables.Store(&tables)
	}
	return tables, err
}

// entries are those of the catalogue that a filter finds, as they are.
func (e *Engine) entries(ctx context.Context, which bson.D) (map[string]*table, error) {
	tables := map[string]*table{}
	err := e.server.rows(ctx, asked{from: catalogue, filter: which, project: bson.D{}}, func(d bson.Raw) error {
		t := &table{}
		if err := bson.Unmarshal(d, t); err != nil {
			return fault.Wrap(fault.Internal, "read the catalogue", err)
		}
		tables[t.Name] = t
		return nil
	})
	return tables, during(ctx, "inspect", err)
}

// uniques are the unique indexes of a table, as they were known last.
func (e *Engine) uniques(name string) ([]tableIndex, error) {
	known := e.tables.Load()
	var t *table
	if known != nil {
		t = (*known)[name]
	}
	if t == nil {
		entry, err := e.entries(context.Background(), field("_id", name))
		if err != nil {
			return nil, err
		}
		if t = entry[name]; t == nil {
			return nil, fault.New(fault.Internal, "there is no table %q", name)
		}
		if known != nil {
			maps.Copy(entry, *known)
		}
		e.tables.CompareAndSwap(known, &entry) // who has forgotten something since is right
	}
	return slices.DeleteFunc(slices.Clone(t.Indexes), func(x tableIndex) bool { return !x.Unique }), nil
}

// forget is called by who has changed entries: of the tables with these names, or of any where there are none, nothing is
// known any more. What others have read before does not become known behind it.
func (e *Engine) forget(names ...string) {
	for {
		known := e.tables.Load()
		left := map[string]*table{}
		if known != nil && len(names) > 0 {
			maps.Copy(left, *known)
			for _, name := range names {
				delete(left, name)
			}
		}
		if e.tables.CompareAndSwap(known, &left) {
			return
		}
	}
}
