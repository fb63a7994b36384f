package postgres

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/fault"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]fault.Kind{
		"40001": fault.Retry, "40P01": fault.Retry, "55P03": fault.Retry, "26000": fault.Retry, "23505": fault.Unique, "53100": fault.Full, "53300": fault.Unavailable,
		"57P01": fault.Unavailable, "57P03": fault.Unavailable, "08006": fault.Unavailable, "25006": fault.Unavailable, "28P01": fault.Unavailable,
		"58030": fault.Unavailable, "54000": fault.TooLarge, "XX001": fault.Internal, "42P01": fault.Internal, "0A000": fault.Internal,
	} {
		cause := &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: code, ConstraintName: "x"}
		err := classify("read", cause)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != want || !errors.Is(err, cause) {
			t.Errorf("%s: %v, want %s", code, err, want)
		}
		if f.Kind == fault.Unique && f.Index != "x" {
			t.Errorf("%s: the index is %q", code, f.Index)
		}
	}
	if err := classify("read", io.ErrUnexpectedEOF); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the network: %v", err)
	}
	if err := classify("read", &pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "25P03"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("too long without a word: %v", err)
	}
	known := fault.New(fault.Conflict, "taken")
	if err := classify("read", known); err != known {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := during(ctx, "read", io.ErrUnexpectedEOF); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
