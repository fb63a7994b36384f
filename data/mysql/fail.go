package mysql

import (
	"context"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/fault"
)

// during classifies an error of a statement; one that a cancelled ctx caused says so.
func during(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil {
		var known *fault.Error
		if !errors.As(err, &known) {
			return fault.Wrap(fault.Unavailable, op, ctx.Err())
		}
	}
	return classify(op, err)
}

// kinds of errors by their numbers (MySQL's "Server Error Message Reference", MariaDB's "Error Codes"). Those
// that are not here are ours.
var kinds = map[uint16]struct {
	kind fault.Kind
	msg  string
}{
	1205: {fault.Retry, busy}, 1213: {fault.Retry, busy}, // a lock was waited for too long; a deadlock
	1020: {fault.Retry, busy},       // changed since the snapshot
	1412: {fault.Retry, moved},      // the table, since the snapshot
	1615: {fault.Retry, moved},      // the table, since the statement was prepared
	3101: {fault.Retry, busy},       // group replication undid it at its commit
	1047: {fault.Unavailable, away}, // a node of Galera's that is not ready
	1021: {fault.Full, full}, 1114: {fault.Full, full},

	1040: {fault.Unavailable, away}, 1041: {fault.Unavailable, away}, 1053: {fault.Unavailable, away}, 1077: {fault.Unavailable, away},
	1079: {fault.Unavailable, away}, 1152: {fault.Unavailable, away}, 1158: {fault.Unavailable, away}, 1159: {fault.Unavailable, away},
	1160: {fault.Unavailable, away}, 1161: {fault.Unavailable, away}, 1184: {fault.Unavailable, away}, 1203: {fault.Unavailable, away},
	1226: {fault.Unavailable, away}, 1317: {fault.Unavailable, away}, 1927: {fault.Unavailable, away}, 1969: {fault.Unavailable, away},
	3024: {fault.Unavailable, away}, 3169: {fault.Unavailable, away}, 1461: {fault.Unavailable, away},
	1290: {fault.Unavailable, "the database cannot be written"}, 1792: {fault.Unavailable, "the database cannot be written"},
	1836: {fault.Unavailable, "the database cannot be written"},
	1044: {fault.Unavailable, closed}, 1045: {fault.Unavailable, closed}, 1049: {fault.Unavailable, closed}, 1130: {fault.Unavailable, closed},
	1142: {fault.Unavailable, closed}, 1698: {fault.Unavailable, closed}, 3118: {fault.Unavailable, closed}, 4151: {fault.Unavailable, closed},

	1071: {fault.TooLarge, large}, 1118: {fault.TooLarge, large}, 1153: {fault.TooLarge, large}, 1301: {fault.TooLarge, large},
	1390: {fault.TooLarge, large}, 1406: {fault.TooLarge, large}, 1038: {fault.TooLarge, large},
	1034: {fault.Internal, damaged}, 1035: {fault.Internal, damaged}, 1194: {fault.Internal, damaged}, 1195: {fault.Internal, damaged},
	1712: {fault.Internal, damaged}, 1877: {fault.Internal, damaged}, 1932: {fault.Internal, damaged},
}

const (
	busy    = "the database is busy"
	moved   = "the tables have changed"
	away    = "the database is away"
	closed  = "the database does not let us in"
	full    = "the disk is full"
	large   = "too large for this database"
	damaged = "the database is damaged: restore a backup"
)

// readOnly says that a server may only be read.
func readOnly(number uint16) bool { return number == 1290 || number == 1792 || number == 1836 }

// tooMany says that the server keeps as many prepared statements as it may.
func tooMany(err error) bool {
	var told *mysql.MySQLError
	return errors.As(err, &told) && told.Number == 1461
}

// cutOff says that with an error the server ended the connection, or the statement before its end.
func cutOff(number uint16) bool {
	switch number {
	case 1053, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 1969, 3024, 3169:
		return true
	}
	return false
}

// classify gives an error its kind. Errors that have one already stay as they are; what the server did not say
// was said by the network.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	f := &fault.Error{Kind: fault.Unavailable, Op: op, Msg: away, Err: err}
	if errors.Is(err, mysql.ErrPktTooLarge) {
		f.Kind, f.Msg = fault.TooLarge, large
		return f
	}
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return f
	}
	k, ok := kinds[e.Number]
	switch {
	case e.Number == 1062 || e.Number == 1586: // the name is found in the catalogue (tx.refusal)
		f.Kind, f.Msg, f.Index = fault.Unique, "", keyOf(e.Message)
	case ok:
		f.Kind, f.Msg = k.kind, k.msg
	case e.Number == 1105 && strings.Contains(e.Message, "mysql_send_long_data"): // a value that is longer than a packet may be
		f.Kind, f.Msg = fault.TooLarge, large
	case fullDisk(e.Message):
		f.Kind, f.Msg = fault.Full, full
	default:
		f.Kind, f.Msg = fault.Internal, ""
	}
	return f
}

// keyOf is the name of the index that refused a value: "Duplicate entry '…' for key 'table.name'", or without
// the table. The value may be anything, so the name is what is quoted last; ours have no point in them.
func keyOf(message string) string {
	name := strings.TrimSuffix(message, "'")
	name = name[strings.LastIndexByte(name, '\'')+1:]
	return name[strings.LastIndexByte(name, '.')+1:]
}

// fullDisk: what cannot be written is told by several errors, with the system's number for it (ENOSPC).
func fullDisk(message string) bool {
	for _, told := range []string{"Errcode: 28", "errno: 28", "error 28", "error: 28"} {
		if strings.Contains(message, told) {
			return true
		}
	}
	return false
}
