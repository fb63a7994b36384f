package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// lifecycle: an engine knows its name and its health, copies itself beside writers, explains how it
// answers, and says so when it is closed.
func lifecycle(s *suite) {
	b := s.bare()
	ctx := context.Background()
	s.expect("it has a name", func() error {
		if b.eng.Name() == "" {
			return errors.New("it has none")
		}
		return nil
	})
	s.expect("it is well and can write", func() error { return b.eng.Check(ctx) })
	s.expect("it is whole", func() error { return b.eng.Verify(ctx) })
	s.expect("a backup beside writers", func() error {
		if err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, b.row(1, 10)) }); err != nil {
			return err
		}
		var out bytes.Buffer
		var done, total int
		wrote := false
		err := b.eng.Backup(ctx, &out, func(d, t int) {
			done, total = d, t
			if !wrote {
				wrote = true
				if err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, b.row(2, 20)) }); err != nil {
					s.Errorf("a write beside the backup: %v", err)
				}
			}
		})
		if err == nil && (out.Len() == 0 || done != total || total == 0) {
			err = fmt.Errorf("%d bytes, %d parts of %d", out.Len(), done, total)
		}
		return err
	})
	s.expect("it explains", func() error {
		p := s.pair(library)
		e, err := p.it.Explain(ctx, operator, &data.ListQuery{Collection: "posts", Filter: `author == "` + id(1) + `"`})
		if err == nil && e == nil {
			err = errors.New("there is no explanation")
		}
		return err
	})
	s.expect("a statement of another engine", func() error {
		eng := s.open(s, app(s, library)) // without its contract, which would refuse it first
		defer closing(s, eng)
		none := func(driver.Columns) error { return nil }
		for what, err := range map[string]error{
			"rows":  eng.Rows(ctx, strange{}, nil, none),
			"read":  eng.Read(ctx, func(r driver.Reader) error { return r.Rows(ctx, strange{}, nil, none) }),
			"write": eng.Write(ctx, func(tx driver.Tx) error { return tx.Rows(ctx, strange{}, nil, none) }),
		} {
			if !fault.Is(err, fault.Internal) {
				return fmt.Errorf("%s: %v, want internal", what, err)
			}
		}
		return nil
	})
	s.expect("closed", func() error {
		if err := b.eng.Close(); err != nil {
			return err
		}
		for what, err := range map[string]error{
			"write":  b.write(func(driver.Tx) error { return nil }),
			"read":   b.eng.Read(ctx, func(driver.Reader) error { return nil }),
			"check":  b.eng.Check(ctx),
			"verify": b.eng.Verify(ctx),
		} {
			if !fault.Is(err, fault.Unavailable) {
				return fmt.Errorf("%s: %v, want unavailable", what, err)
			}
		}
		return b.eng.Close()
	})
}

// strange is a statement that no engine has prepared.
type strange struct{ driver.Stmt }
