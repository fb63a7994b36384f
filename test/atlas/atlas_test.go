// Package atlas_test holds the schema changes of the SQL engines against Atlas, which reads and compares schemas
// by itself: a database that came to an app by a chain of changes must be the same as one that was made for it.
package atlas_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"
	atlasmysql "ariga.io/atlas/sql/mysql"
	atlaspostgres "ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/schema"
	atlassqlite "ariga.io/atlas/sql/sqlite"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/spec"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(running(func() int { return mysqltest.Main(m) }))) }

type running func() int

func (r running) Run() int { return r() }

// versions are the collections of an app as it grows, is rearranged and shrinks: every type of field comes, is
// converted, renamed and goes, and so do every kind of index and of reference, and collections.
var versions = []string{`
  people: {fields: {name: {type: text, max: 50}}, access: {read: true}}
`, `
  people:
    fields:
      name: {type: text, max: 50, required: true, unique: true}
      age: {type: int}
      big: {type: bigint}
      weight: {type: float}
      wage: {type: decimal, precision: 10, scale: 2}
      smokes: {type: bool}
      born: {type: date}
      seen: {type: time}
      mail: {type: email, ci: true}
      home: {type: url}
      kind: {type: enum, values: [one, two]}
      extra: {type: json}
      photo: {type: file}
      tags: {type: list, of: text}
      nums: {type: list, of: int}
      boss: {type: ref, to: people, inverse: staff}
      friends: {type: list, of: ref, to: people}
      code: {type: text, max: 20, encrypted: true, searchable: true}
    indexes: [[age, born], [kind, seen], [tags]]
    access: {read: true}
  posts:
    fields:
      title: {type: text, max: 100}
      state: {type: enum, values: [open, shut]}
      who: {type: ref, to: people, onDelete: cascade}
    indexes:
      - [state, title]
      - {fields: [title], unique: true, where: 'state == "open"', name: one_open}
    access: {read: true}
`, `
  persons:
    was: people
    fields:
      name: {type: text, max: 60, required: true}
      years: {type: int, was: age}
      big: {type: text, max: 30}
      weight: {type: float, unique: true}
      wage: {type: decimal, precision: 12, scale: 4}
      smokes: {type: bool}
      born: {type: time}
      seen: {type: date}
      mail: {type: text, max: 200, ci: true, unique: true}
      kind: {type: text, max: 40}
      extra: {type: json}
      labels: {type: list, of: text, was: tags}
      nums: {type: list, of: float}
      chief: {type: ref, to: persons, inverse: staff, was: boss}
      friends: {type: list, of: ref, to: persons}
      secret: {type: text, max: 20, encrypted: true, searchable: true, was: code}
    indexes: [[years, born], [kind], [labels], [nums]]
    access: {read: true}
  posts:
    fields:
      title: {type: text, max: 100, unique: true}
      status: {type: enum, values: [open, shut, gone], was: state}
      who: {type: ref, to: persons, onDelete: clear}
      likers: {type: list, of: ref, to: persons}
    indexes: [[title, status]]
    access: {read: true}
  notes: {fields: {body: {type: text}, post: {type: ref, to: posts}}, access: {read: true}}
`, `
  persons:
    fields:
      name: {type: text, max: 60, ci: true}
      years: {type: bigint}
      secret: {type: text, max: 20}
      mail: {type: email, encrypted: true, searchable: true, unique: true}
      labels: {type: list, of: text}
      friends: {type: list, of: text}
    indexes: [[name]]
    access: {read: true}
  articles:
    was: posts
    fields:
      title: {type: text, max: 100}
      status: {type: enum, values: [open, shut, gone], unique: true}
      likers: {type: list, of: ref, to: persons}
    access: {read: true}
`, `
  articles: {fields: {title: {type: text, max: 100}}, access: {read: true}}
  posts: {fields: {title: {type: text, max: 10, unique: true}}, indexes: [[title, created]], access: {read: true}}
`, `
  posts: {fields: {title: {type: text, max: 10}}, access: {read: true}}
`}

var key = []byte("atlas atlas atlas atlas atlas at")

// store is an engine of which a test may have several databases.
type store struct {
	// database opens a new one, and gives what Atlas reads it by.
	database func(t *testing.T) (driver.Engine, *sql.DB)
	atlas    func(schema.ExecQuerier) (migrate.Driver, error)
}

var stores = map[string]store{
	"sqlite": {func(t *testing.T) (driver.Engine, *sql.DB) {
		file := filepath.Join(t.TempDir(), "plinth.db")
		e, err := sqlite.Open(file, sqlite.Options{})
		return opened(t, e, err), reader(t, "sqlite", file)
	}, atlassqlite.Open},
	"postgres": {func(t *testing.T) (driver.Engine, *sql.DB) {
		address := pgtest.Database(t)
		e, err := postgres.Open(t.Context(), address, postgres.Options{})
		return opened(t, e, err), reader(t, "pgx", address)
	}, atlaspostgres.Open},
	"mysql": {func(t *testing.T) (driver.Engine, *sql.DB) {
		address := mysqltest.Database(t)
		e, err := mysql.Open(t.Context(), address, mysql.Options{})
		u, bad := url.Parse(address)
		if bad != nil {
			t.Fatal(bad)
		}
		at := "tcp(" + u.Host + ")"
		if socket := u.Query().Get("socket"); socket != "" {
			at = "unix(" + socket + ")"
		}
		return opened(t, e, err), reader(t, "mysql", fmt.Sprintf("%s@%s%s", u.User, at, u.Path))
	}, atlasmysql.Open},
}

func opened(t *testing.T, e driver.Engine, err error) driver.Engine {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func reader(t *testing.T, driver, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestChainOfChanges goes through the versions and back.
func TestChainOfChanges(t *testing.T) {
	t.Parallel()
	for name, s := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there, seen := s.database(t)
			wanted := make([]*sql.DB, len(versions))
			for n := range 2*len(versions) - 1 {
				n = min(n, 2*len(versions)-2-n)
				app := app(t, versions[n])
				migrateTo(t, app, there)
				if wanted[n] == nil {
					var fresh driver.Engine
					fresh, wanted[n] = s.database(t)
					migrateTo(t, app, fresh)
				}
				s.equal(t, fmt.Sprintf("version %d", n+1), seen, wanted[n])
			}
		})
	}
}

// TestEachFromEach goes from every version to every other.
func TestEachFromEach(t *testing.T) {
	t.Parallel()
	for name, s := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for from := range versions {
				for to := range versions {
					if to == from || to == from+1 {
						continue
					}
					there, seen := s.database(t)
					migrateTo(t, app(t, versions[from]), there)
					migrateTo(t, app(t, versions[to]), there)
					fresh, wanted := s.database(t)
					migrateTo(t, app(t, versions[to]), fresh)
					s.equal(t, fmt.Sprintf("from version %d to %d", from+1, to+1), seen, wanted)
				}
			}
		})
	}
}

// TestAtlasSees: what the other tests rely on.
func TestAtlasSees(t *testing.T) {
	t.Parallel()
	for name, s := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, here := s.database(t)
			other, there := s.database(t)
			migrateTo(t, app(t, versions[0]), one)
			migrateTo(t, app(t, versions[0]), other)
			for _, c := range []struct{ change, sees string }{
				{"ALTER TABLE people ADD COLUMN added int", "people: drop the column added"},
				{"CREATE INDEX extra ON people (rev)", "people: drop the index false rev false"},
				{"CREATE TABLE beside (id int)", "drop the table beside"},
			} {
				if _, err := here.ExecContext(t.Context(), c.change); err != nil {
					t.Fatal(err)
				}
				if seen := s.changes(t, here, there); !slices.Contains(seen, c.sees) {
					t.Errorf("after %s Atlas would %q", c.change, seen)
				}
			}
		})
	}
}

func app(t *testing.T, collections string) *spec.App {
	t.Helper()
	file := fstest.MapFS{"plinth.yaml": {Data: []byte("name: test\ncollections:\n" + collections)}}
	a, err := spec.LoadFS(file, func(string) (string, bool) { return "", false })
	if err == nil {
		err = a.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, collections)
	}
	return a
}

func migrateTo(t *testing.T, app *spec.App, e driver.Engine) {
	t.Helper()
	ctx := context.Background()
	plan, err := data.Plan(ctx, app, e, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(ctx, e, data.ApplyOptions{AllowLoss: true}); err != nil {
		t.Fatal(err)
	}
}

func (s store) equal(t *testing.T, what string, is, want *sql.DB) {
	t.Helper()
	if changes := s.changes(t, is, want); len(changes) > 0 {
		t.Errorf("%s: Atlas would still\n%s", what, strings.Join(changes, "\n"))
	}
}

// changes are what Atlas would do to make one database like another, in words.
func (s store) changes(t *testing.T, is, want *sql.DB) []string {
	t.Helper()
	var seen [2]*schema.Schema
	var atlas migrate.Driver
	for i, db := range []*sql.DB{is, want} {
		var err error
		if atlas, err = s.atlas(db); err != nil {
			t.Fatal(err)
		}
		if seen[i], err = atlas.InspectSchema(t.Context(), "", nil); err != nil {
			t.Fatal(err)
		}
		named(seen[i])
	}
	changes, err := atlas.SchemaDiff(seen[0], seen[1])
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, c := range changes {
		words = append(words, describe(c)...)
	}
	return words
}

// named gives indexes names that say what they are: a table that was renamed keeps those it had.
func named(s *schema.Schema) {
	s.Name = "app"
	for _, t := range s.Tables {
		for _, x := range t.Indexes {
			x.Name = fmt.Sprint(x.Unique)
			for _, part := range x.Parts {
				switch {
				case part.C != nil:
					x.Name += " " + part.C.Name
				case part.X != nil:
					x.Name += fmt.Sprintf(" %v", part.X)
				}
				x.Name += fmt.Sprint(" ", part.Desc)
			}
		}
		slices.SortFunc(t.Indexes, func(a, b *schema.Index) int { return strings.Compare(a.Name, b.Name) })
	}
}

// wider says that a column could only be narrower: what it may hold is checked before it is written, so that a
// smaller max in the app file rewrites no table.
func wider(is, want *schema.Column) bool {
	a, text := is.Type.Type.(*schema.StringType)
	b, too := want.Type.Type.(*schema.StringType)
	return text && too && a.T == b.T && a.Size > b.Size && is.Type.Null == want.Type.Null
}

func describe(c schema.Change) []string {
	switch c := c.(type) {
	case *schema.AddTable:
		return []string{"add the table " + c.T.Name}
	case *schema.DropTable:
		return []string{"drop the table " + c.T.Name}
	case *schema.ModifyTable:
		var words []string
		for _, part := range c.Changes {
			for _, w := range describe(part) {
				words = append(words, c.T.Name+": "+w)
			}
		}
		return words
	case *schema.AddColumn:
		return []string{"add the column " + c.C.Name}
	case *schema.DropColumn:
		return []string{"drop the column " + c.C.Name}
	case *schema.ModifyColumn:
		if wider(c.From, c.To) {
			return nil
		}
		return []string{fmt.Sprintf("change the column %s from %s to %s (%d)", c.From.Name, c.From.Type.Raw, c.To.Type.Raw, c.Change)}
	case *schema.AddIndex:
		return []string{"add the index " + c.I.Name}
	case *schema.DropIndex:
		return []string{"drop the index " + c.I.Name}
	}
	return []string{fmt.Sprintf("%T", c)}
}
