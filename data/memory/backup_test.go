package memory

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

func TestRestoreReadsBackup(t *testing.T) {
	t.Parallel()
	e := Open()
	def := driver.Table{Name: "t", Columns: []driver.Column{{Name: "id"}, {Name: "created"}, {Name: "updated"}, {Name: "rev"}, {Name: "v"}},
		Indexes: []driver.TableIndex{{Name: "v", Columns: []string{"v", "id"}, Unique: true}}}
	c := &spec.Collection{Name: "t"}
	for i, col := range def.Columns {
		c.Fields = append(c.Fields, &spec.Field{Name: col.Name, Ord: i})
	}
	if err := e.Apply(t.Context(), driver.Step{Kind: driver.CreateTable, New: def}, nil); err != nil {
		t.Fatal(err)
	}
	values := []expr.Value{{}, expr.BoolOf(true), expr.IntOf(-1 << 53), expr.BigintOf(1<<63 - 1), expr.FloatOf(-1.5e-300),
		expr.DecimalOf(-12345, 3), expr.TextOf("é\x01"), expr.TimeOf(-1), expr.DateOf("2024-02-29"), expr.JSONOf(`{"a":1}`),
		expr.BytesOf("\x00\xff"), expr.ListOf(expr.TextOf("a"), expr.TextOf("b")), expr.ListOf()}
	err := e.Write(t.Context(), func(tx driver.Tx) error {
		for i, v := range values {
			if err := tx.Insert(c, driver.Record{expr.TextOf(string(rune('a' + i))), {}, {}, expr.IntOf(1), v}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	var copied bytes.Buffer
	if err := e.Backup(t.Context(), &copied, nil); err != nil {
		t.Fatal(err)
	}
	back, err := Restore(bytes.NewReader(copied.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{cmp.AllowUnexported(expr.Value{}), cmpopts.EquateEmpty()}
	for i, want := range values {
		row, _ := back.state.Load().tables["t"].rows.get(string(rune('a' + i)))
		if diff := cmp.Diff(want, row[4], same...); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(def, back.state.Load().tables["t"].def); diff != "" {
		t.Error(diff)
	}

	for _, at := range []int{0, 40, copied.Len() - 1} {
		b := bytes.Clone(copied.Bytes())
		b[at] ^= 1
		if _, err := Restore(bytes.NewReader(b)); !fault.Is(err, fault.Invalid) {
			t.Errorf("a bit flipped at %d: %v, want invalid", at, err)
		}
	}
}
