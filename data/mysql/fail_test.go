package mysql

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/fault"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for number, want := range map[uint16]fault.Kind{
		1213: fault.Retry, 1205: fault.Retry, 1020: fault.Retry, 1412: fault.Retry, 1062: fault.Unique, 1586: fault.Unique, 1114: fault.Full, 1021: fault.Full,
		1040: fault.Unavailable, 1053: fault.Unavailable, 1927: fault.Unavailable, 1290: fault.Unavailable, 1045: fault.Unavailable, 1049: fault.Unavailable,
		1153: fault.TooLarge, 1406: fault.TooLarge, 1712: fault.Internal, 1146: fault.Internal, 1064: fault.Internal,
	} {
		cause := &mysql.MySQLError{Number: number, Message: "Duplicate entry 'x' for key 'one'"}
		err := classify("read", cause)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != want || !errors.Is(err, cause) {
			t.Errorf("%d: %v, want %s", number, err, want)
		}
		if f.Kind == fault.Unique && f.Index != "one" {
			t.Errorf("%d: the index is %q", number, f.Index)
		}
	}
	if err := classify("write", &mysql.MySQLError{Number: 1030, Message: `Got error 28 "No space left on device" from storage engine InnoDB`}); !fault.Is(err, fault.Full) {
		t.Errorf("no space: %v", err)
	}
	for _, away := range []error{io.ErrUnexpectedEOF, mysql.ErrInvalidConn} {
		if err := classify("read", away); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the network: %v", err)
		}
	}
	if err := classify("write", mysql.ErrPktTooLarge); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a packet: %v", err)
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

// TestKeyOf: the value that is told with the name of an index may be anything.
func TestKeyOf(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"Duplicate entry 'x' for key 'a$b$index'":                 "a$b$index",
		"Duplicate entry 'it''s for key 'y'' for key 'posts.one'": "one",
		"Duplicate entry '' for key 'PRIMARY'":                    "PRIMARY",
		"":                                                        "",
	} {
		if got := keyOf(message); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"10.11.19-MariaDB-0+deb12u1": "utf8mb4_nopad_bin", "5.5.5-10.6.18-MariaDB-log": "utf8mb4_nopad_bin", "11.4.2-MariaDB": "utf8mb4_nopad_bin", "10.5.9-MariaDB": "",
		"8.0.36": "utf8mb4_0900_bin", "8.0.17-log": "utf8mb4_0900_bin", "9.1.0": "utf8mb4_0900_bin", "8.0.16": "", "5.7.44": "", "what": "",
	} {
		got, err := collationFor(version)
		if got != want || (err == nil) != (want != "") || err != nil && !fault.Is(err, fault.Capability) {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

// TestFates: what a record tells of a transaction, and nothing that it does not.
func TestFates(t *testing.T) {
	t.Parallel()
	made, changed := trace{made: true, created: 10, to: 1, updated: 10}, trace{from: 3, to: 4, updated: 50}
	for _, c := range []struct {
		name                  string
		trace                 trace
		there                 bool
		created, updated, rev int64
		want                  fate
	}{
		{"made, and there", made, true, 10, 10, 1, committed},
		{"made, and changed since", made, true, 10, 99, 7, committed},
		{"made, and not there", made, false, 0, 0, 0, unknown},
		{"made by another", made, true, 11, 11, 1, unknown},
		{"as before", changed, true, 1, 40, 3, undone},
		{"changed", changed, true, 1, 50, 4, committed},
		{"changed by another", changed, true, 1, 60, 4, unknown},
		{"changed further", changed, true, 1, 70, 6, unknown},
		{"deleted", changed, false, 0, 0, 0, unknown},
	} {
		if got := c.trace.fate(c.there, c.created, c.updated, c.rev); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMillis(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1970-01-01 00:00:00.001": 1, "1969-12-31 23:59:59.999": -1, "2024-02-29 12:00:00": 1709208000000, "1000-01-01 00:00:00.000": -30610224000000,
		"9999-12-31 23:59:59.999": 253402300799999, "": 0,
	} {
		if got := millis([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}
