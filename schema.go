package plinth

import (
	"context"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Names of package data that callers of this package need.
type (
	Migration    = data.Migration
	ApplyOptions = data.ApplyOptions
)

// Plan finds the steps from the database as it is to the schema of the app file. It changes nothing.
func Plan(ctx context.Context, dir string, opts ...Option) (m *Migration, err error) {
	err = withEngine(ctx, dir, opts, func(app *spec.App, eng driver.Engine, key []byte) error {
		m, err = data.Plan(ctx, app, eng, key)
		return err
	})
	return m, err
}

// Apply runs the steps of Plan and returns them. Beside a server that runs on the database, what that server
// does not know to keep is computed only once it has noticed.
func Apply(ctx context.Context, dir string, a ApplyOptions, opts ...Option) (m *Migration, err error) {
	o := choose(opts)
	if at := o.place(dir); at.file == "" && a.Settle == 0 {
		a.Settle = 5 * fitEvery / 2 // nobody can tell whether one runs
	} else if there(at.file) && a.Settle == 0 {
		if release, err := at.own(); err == nil {
			release()
		} else {
			a.Settle = 5 * fitEvery / 2
		}
	}
	err = withEngine(ctx, dir, opts, func(app *spec.App, eng driver.Engine, key []byte) error {
		if m, err = data.Plan(ctx, app, eng, key); err != nil {
			return err
		}
		return m.Apply(ctx, eng, a)
	})
	return m, err
}

// withEngine opens the database for work on its schema. The key is needed only where something is
// sealed with it.
func withEngine(ctx context.Context, dir string, opts []Option, fn func(*spec.App, driver.Engine, []byte) error) error {
	o := choose(opts)
	app, err := load(dir, &o)
	if err != nil {
		return err
	}
	key, err := secret(dir, &o)
	if err != nil && seals(app) {
		return err
	}
	eng, err := o.engine(ctx, o.place(dir))
	if err != nil {
		return err
	}
	err = fn(app, eng, key)
	if closing := eng.Close(); err == nil {
		err = closing
	}
	return err
}

// seals says whether the app has encrypted fields of its own.
func seals(app *spec.App) bool {
	return slices.ContainsFunc(app.Collections, func(c *spec.Collection) bool {
		return !c.System && slices.ContainsFunc(c.Fields, func(f *spec.Field) bool { return f.Encrypted })
	})
}

// settle brings the schema to that of the app, as far as nobody need be asked, and sees to it that the
// database knows its key.
func (p *Plinth) settle(ctx context.Context, m *Migration) error {
	if len(m.Steps) == 0 {
		return m.KeepKey(ctx, p.eng)
	}
	if !p.fresh {
		if err := p.mayApply(m); err != nil {
			return err
		}
	}
	return m.Apply(ctx, p.eng, ApplyOptions{})
}

// named is how a command names the app and its database: another than the app's own must be named too, or the command
// would be about the wrong one. The address of a server may hold a password.
func (p *Plinth) named() string {
	switch {
	case p.at.file == "":
		return p.dir + " --db …"
	case p.o.file != "":
		return p.dir + " --db sqlite:" + p.o.file
	default:
		return p.dir
	}
}

func (p *Plinth) mayApply(m *Migration) error {
	steps := Counted(len(m.Steps), "step")
	if !p.o.dev {
		return fault.New(fault.Conflict, "the database differs from the app file by %s: look at them with `plinth plan %s`, then `plinth apply %s`", steps, p.named(), p.named())
	}
	if lost := m.Losses(); lost != "" {
		return fault.New(fault.Conflict, "%s; look at it with `plinth plan %s`, then `plinth apply --allow-loss %s`", lost, p.named(), p.named())
	}
	return nil
}
