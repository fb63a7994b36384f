package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// dump is a backup: a SHA-256 of the rest, then this in JSON.
type dump struct{ Tables []dumpTable }

type dumpTable struct {
	Def  driver.Table
	Rows [][]dumpValue
}

type dumpValue struct {
	Kind  expr.Kind
	Scale uint8
	N     int64
	S     []byte // any bytes
	List  []dumpValue
}

func (e *Engine) Backup(ctx context.Context, w io.Writer, progress func(done, total int)) error {
	tables := e.state.Load().tables
	var d dump
	for i, name := range slices.Sorted(maps.Keys(tables)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := dumpTable{Def: tables[name].def}
		tables[name].rows.each(func(_ string, row []expr.Value) bool {
			t.Rows = append(t.Rows, toDump(row))
			return true
		})
		d.Tables = append(d.Tables, t)
		if progress != nil {
			progress(i+1, len(tables))
		}
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(d); err != nil {
		return fault.Wrap(fault.Internal, "backup", err)
	}
	sum := sha256.Sum256(body.Bytes())
	if _, err := w.Write(sum[:]); err != nil {
		return fault.Wrap(fault.Internal, "backup", err)
	}
	_, err := w.Write(body.Bytes())
	return fault.Wrap(fault.Internal, "backup", err)
}

// Restore opens a database with what Backup wrote. A damaged backup is refused.
func Restore(r io.Reader) (*Engine, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "restore", err)
	}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, fault.New(fault.Invalid, "the backup is damaged or not a backup of this engine")
	}
	var d dump
	if err := json.Unmarshal(b[sha256.Size:], &d); err != nil {
		return nil, fault.Wrap(fault.Invalid, "restore", err)
	}
	e := Open()
	st := &state{tables: map[string]*table{}}
	for _, dt := range d.Tables {
		t := newTable(dt.Def)
		for _, row := range dt.Rows {
			if t, err = t.put(fromDump(row)); err != nil {
				return nil, err
			}
		}
		st.tables[dt.Def.Name] = t
	}
	e.state.Store(st)
	return e, nil
}

func toDump(row []expr.Value) []dumpValue {
	out := make([]dumpValue, len(row))
	for i, v := range row {
		out[i] = dumpValue{Kind: v.Kind(), Scale: v.Scale(), N: v.Int(), S: []byte(v.Text())}
		if v.Kind() == expr.List {
			out[i].List = toDump(v.List())
		}
	}
	return out
}

func fromDump(row []dumpValue) []expr.Value {
	out := make([]expr.Value, len(row))
	for i, d := range row {
		out[i] = d.value()
	}
	return out
}

func (d dumpValue) value() expr.Value {
	switch d.Kind {
	case expr.Null:
		return expr.Value{}
	case expr.Bool:
		return expr.BoolOf(d.N != 0)
	case expr.Int:
		return expr.IntOf(d.N)
	case expr.Bigint:
		return expr.BigintOf(d.N)
	case expr.Float:
		return expr.FloatOf(math.Float64frombits(uint64(d.N)))
	case expr.Decimal:
		return expr.DecimalOf(d.N, d.Scale)
	case expr.Text:
		return expr.TextOf(string(d.S))
	case expr.Time:
		return expr.TimeOf(d.N)
	case expr.Date:
		return expr.DateOf(string(d.S))
	case expr.JSON:
		return expr.JSONOf(string(d.S))
	case expr.Bytes:
		return expr.BytesOf(string(d.S))
	default:
		return expr.ListOf(fromDump(d.List)...)
	}
}
