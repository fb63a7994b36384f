package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// filled is an engine with n posts, a tenth of them "rare".
func filled(b *testing.B, n int) *Engine {
	e := empty(b)
	for from := 0; from < n; from += 1000 {
		err := e.Write(context.Background(), func(tx driver.Tx) error {
			for i := from; i < min(n, from+1000); i++ {
				r := full(i)
				r[postAt] = expr.TimeOf(int64(i))
				if i%10 == 0 {
					r[postStatus] = expr.TextOf("rare")
				}
				if err := tx.Insert(posts, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// read asks a query and looks at every output as an answer in JSON would.
func read(b *testing.B, e *Engine, ctx context.Context, s driver.Stmt, q *driver.Query, args []expr.Value, want int) {
	n, bytes := 0, 0
	err := e.Read(ctx, func(r driver.Reader) error {
		return r.Rows(ctx, s, args, func(c driver.Columns) error {
			n++
			for i, col := range q.Cols {
				if c.Null(i) {
					continue
				}
				switch posts.Fields[col.Ord].Kind() {
				case expr.Float:
					bytes += int(c.Float(i))
				case expr.Text, expr.Date, expr.JSON, expr.List, expr.Bytes:
					bytes += len(c.Text(i))
				default:
					bytes += int(c.Int(i))
				}
			}
			return nil
		})
	})
	if err != nil || n != want {
		b.Errorf("%d rows, %v", n, err)
	}
}

func BenchmarkGet(b *testing.B) {
	e := filled(b, 20000)
	q := &driver.Query{From: posts, Where: op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text)), Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1}
	for i := range posts.Fields {
		q.Cols = append(q.Cols, driver.Col{Ord: i})
	}
	s, err := e.Prepare(q)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	args := []expr.Value{{}}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		args[0] = expr.TextOf(id(i * 7919 % 20000))
		read(b, e, ctx, s, q, args, 1)
	}
}

func BenchmarkList(b *testing.B) {
	e := filled(b, 20000)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, deep := range []bool{false, true} {
		b.Run(fmt.Sprintf("deep=%v", deep), func(b *testing.B) {
			q := &driver.Query{From: posts, Where: op(expr.OpEq, mine(postStatus), param(0, expr.Text)), Limit: 1,
				Sort: []driver.Key{{Ord: spec.OrdCreated, Desc: true}, {Ord: spec.OrdID, Desc: true}}}
			for i := range 8 {
				q.Cols = append(q.Cols, driver.Col{Ord: i})
			}
			args := []expr.Value{expr.TextOf("open"), expr.IntOf(30)}
			if deep {
				q.After, args = behind(q.Sort, full(5000), args)
			}
			s, err := e.Prepare(q)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				read(b, e, ctx, s, q, args, 30)
			}
		})
	}
}

func BenchmarkInsert(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e := empty(b)
			var n atomic.Int64
			b.SetParallelism(writers)
			b.ReportAllocs()
			put := func() {
				i := int(n.Add(1))
				r := full(i)
				r[postAt] = expr.TimeOf(int64(i))
				if err := e.Write(context.Background(), func(tx driver.Tx) error { return tx.Insert(posts, r) }); err != nil {
					b.Error(err)
				}
			}
			if writers == 1 {
				for b.Loop() {
					put()
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					put()
				}
			})
		})
	}
}
