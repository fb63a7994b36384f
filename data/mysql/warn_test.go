package mysql_test

import (
	"strings"
	"testing"

	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
)

// TestWarnings: settings with which a server loses what it has acknowledged are warned of, and no others.
func TestWarnings(t *testing.T) {
	t.Parallel()
	durable := mysqltest.Start(t)
	e := open(t, durable.Database(t))
	says(t, e, "")
	durable.Exec(t, "SET GLOBAL innodb_flush_log_at_trx_commit = 2")
	says(t, e, "innodb_flush_log_at_trx_commit = 1")
	durable.Exec(t, "SET GLOBAL innodb_flush_log_at_trx_commit = 3")
	says(t, e, "")
	lax, _ := openEmpty(t)
	says(t, lax, "innodb_flush_log_at_trx_commit = 1, innodb_doublewrite = ON")
	for _, c := range [][5]string{ // a binary log is a setting of the start; the words are those of both servers and their ages
		{"1", "1", "0", "0", ""}, {"1", "ON", "1", "1", ""}, {"1", "fast", "0", "1", ""}, {"1", "DETECT_AND_RECOVER", "0", "1", ""},
		{"1", "ON", "1", "0", "sync_binlog = 1"}, {"1", "OFF", "0", "0", "innodb_doublewrite = ON"}, {"1", "DETECT_ONLY", "0", "0", "innodb_doublewrite = ON"},
	} {
		if got := remedies(mysql.WarningsOf(c[0], c[1], c[2], c[3])); got != c[4] {
			t.Errorf("%q: %q", c, got)
		}
	}
}

func says(t *testing.T, e *mysql.Engine, want string) {
	t.Helper()
	found, err := e.Warnings(t.Context())
	if got := remedies(found); err != nil || got != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
}

// remedies are what warnings say is to be set.
func remedies(found []string) string {
	var all []string
	for _, text := range found {
		_, remedy, _ := strings.Cut(text, "; set ")
		all = append(all, remedy)
	}
	return strings.Join(all, ", ")
}
