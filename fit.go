package plinth

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// fitEvery is how often a server looks whether the database is still the one it serves: another process
// may apply another app file.
const fitEvery = time.Second

// whileFit answers 503 as long as the schema of the database is not the one that is served. What a newer
// app file adds does no harm. A process that is about to end is not ready.
func (p *Plinth) whileFit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.unfit.Load() && r.URL.Path != "/healthz" {
			web.Problem(w, r, fault.New(fault.Unavailable, "the schema of the database was changed: this server must be started again with the app file that was applied"))
			return
		}
		if p.leaving.Load() && r.URL.Path == "/readyz" {
			web.Problem(w, r, fault.New(fault.Unavailable, "this process ends: ask another"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// look compares the schema. With Dev the app file is read again when it changed, and as long as a saved one
// waits for its schema.
func (p *Plinth) look(ctx context.Context) {
	if err := p.compare(ctx); err != nil {
		return // /readyz says that the database cannot be read
	}
	if p.o.dev && (p.unfit.Load() || p.waiting.Load()) {
		p.follow(ctx, false)
	}
}

// compare sees whether the schema is still what it was when it was wired.
func (p *Plinth) compare(ctx context.Context) error {
	p.reloading.Lock() // not in the middle of a reload
	defer p.reloading.Unlock()
	tables, err := p.eng.Inspect(ctx)
	if err != nil {
		return err
	}
	changed := difference(p.now.Load().tables, used(p.App(), tables))
	if was := p.unfit.Swap(changed != ""); !was && changed != "" {
		p.o.log.Warn("another process changed the schema of the database", "changed", changed)
		p.now.Load().live.Cut()
	}
	return nil
}

// used is what an app uses of the tables that there are: its fields, and all that Plinth keeps beside fields
// (their names have a $). A writer that does not know of these would leave them stale.
func used(app *spec.App, tables []driver.Table) []driver.Table {
	var out []driver.Table
	for _, t := range tables {
		c, ok := app.Collection(t.Name)
		if !ok {
			continue
		}
		own := driver.Table{Name: t.Name}
		for _, col := range t.Columns {
			if _, ok := c.Field(col.Name); ok || strings.Contains(col.Name, "$") {
				col.MaxLen = 0 // a longer text is none of the schema
				own.Columns = append(own.Columns, col)
			}
		}
		out = append(out, own)
	}
	return out
}

// difference names the first thing in which two lists of tables differ, or "".
func difference(was, is []driver.Table) string {
	for i, t := range was {
		if i >= len(is) || is[i].Name != t.Name {
			return t.Name
		}
		for _, col := range t.Columns {
			if !slices.Contains(is[i].Columns, col) {
				return t.Name + "." + col.Name
			}
		}
		for _, col := range is[i].Columns {
			if !slices.Contains(t.Columns, col) {
				return t.Name + "." + col.Name
			}
		}
	}
	return ""
}
