package mysql

import (
	"context"
	"strings"
)

// Warnings looks at the settings that no connection can have for itself (MariaDB's manual, "InnoDB System Variables",
// "Replication and Binary Log System Variables").
func (e *Engine) Warnings(ctx context.Context) (found []string, err error) {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return nil, err
	}
	s := session{e: e, c: c, reads: true}
	defer s.end()
	err = s.first(ctx, func() error {
		found = nil
		const ask = "SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite, @@log_bin, @@sync_binlog"
		return s.c.each(ctx, ask, func(text func(int) string) error {
			found = warnings(text(0), text(1), text(2), text(3))
			return nil
		})
	})
	return found, during(ctx, "look at the settings", err)
}

// Version is what the server says that it is.
func (e *Engine) Version(ctx context.Context) (version string, err error) {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return "", err
	}
	s := session{e: e, c: c, reads: true}
	defer s.end()
	err = s.first(ctx, func() error {
		return s.c.each(ctx, "SELECT VERSION()", func(text func(int) string) error {
			if version = text(0); !strings.Contains(version, "MariaDB") {
				version = "MySQL " + version
			}
			return nil
		})
	})
	return version, during(ctx, "ask for the version", err)
}

func warnings(flush, doublewrite, binlog, sync string) (found []string) {
	if flush != "1" && flush != "3" { // 3 is MariaDB's, and syncs more
		found = append(found, "the server answers a commit before it is on its disk: a write that was answered can be lost when the machine stops; set innodb_flush_log_at_trx_commit = 1")
	}
	if binlog == "1" && sync != "1" { // then the log is what says whether a transaction was committed
		found = append(found, "the server does not sync its binary log at each commit: a write that was answered can be lost when the machine stops; set sync_binlog = 1")
	}
	switch strings.ToUpper(doublewrite) {
	case "0", "OFF", "DETECT_ONLY":
		found = append(found, "the server cannot mend a page that was half written when the machine stopped: the database can be damaged; set innodb_doublewrite = ON")
	}
	return found
}
