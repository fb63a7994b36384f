package sqlite

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/fault"
)

// backupPages are copied between two looks at ctx.
const backupPages = 1024

// Backup copies the database as it is at this moment into a file beside it, checks the copy and
// writes it to w. Writers go on meanwhile: the source stays on one snapshot, so the copy never starts again.
func (e *Engine) Backup(ctx context.Context, w io.Writer, progress func(done, total int)) error {
	f, err := os.CreateTemp(filepath.Dir(e.path), ".backup-*")
	if err != nil {
		return fault.Wrap(fault.Unavailable, "backup", err)
	}
	name := f.Name()
	defer func() {
		f.Close()
		for _, end := range []string{"", "-journal", "-wal", "-shm"} {
			os.Remove(name + end)
		}
	}()
	if err := e.copyTo(ctx, name, progress); err != nil {
		return err
	}
	// The file was made anew under its name or filled in place; either way it is opened again.
	copied, err := os.Open(name)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "backup", err)
	}
	defer copied.Close()
	if _, err := io.Copy(w, copied); err != nil {
		return fault.Wrap(fault.Unavailable, "backup", err)
	}
	return nil
}

func (e *Engine) copyTo(ctx context.Context, name string, progress func(done, total int)) error {
	src, err := connect(e.path, sqlite.OpenReadOnly, 5*time.Second)
	if err != nil {
		return err
	}
	defer src.close()
	dst, err := connect(name, sqlite.OpenReadWrite|sqlite.OpenCreate, 5*time.Second)
	if err != nil {
		return err
	}
	defer dst.close()
	if err := src.script("BEGIN; SELECT count(*) FROM sqlite_schema;"); err != nil {
		return classify("backup", err)
	}
	b, err := sqlite.NewBackup(dst.c, "main", src.c, "main")
	if err != nil {
		return classify("backup", err)
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			b.Close()
			return fault.Wrap(fault.Unavailable, "backup", err)
		}
		if more, err = b.Step(backupPages); err != nil {
			b.Close()
			return classify("backup", err)
		}
		if progress != nil {
			progress(b.PageCount()-b.Remaining(), b.PageCount())
		}
	}
	b.Close()
	// The copy is one file that needs no log beside it.
	if err := dst.script("PRAGMA journal_mode = DELETE"); err != nil {
		return classify("backup", err)
	}
	return classify("backup", quickCheck(dst))
}
