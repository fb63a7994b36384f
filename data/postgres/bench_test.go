package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// print looks at every output as an answer in JSON would.
func print(q *driver.Query, n, size *int) func(driver.Columns) error {
	return func(c driver.Columns) error {
		*n++
		for i, col := range q.Cols {
			switch posts.Fields[col.Ord].Kind() {
			case expr.Text, expr.Date, expr.JSON, expr.List, expr.Bytes:
				*size += len(c.Text(i))
			default:
				*size += int(c.Int(i))
			}
		}
		return nil
	}
}

func BenchmarkGet(b *testing.B) {
	e, _ := empty(b)
	fill(b, e, 1000)
	q := one()
	s := prepare(b, e, q)
	for name, ctx := range contexts(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n, size := 0, 0
			yield, args := print(q, &n, &size), []expr.Value{expr.TextOf(id(77))}
			for b.Loop() {
				if err := e.Rows(ctx, s, args, yield); err != nil {
					b.Fatal(err)
				}
			}
			if n < b.N {
				b.Fatal(n)
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	e, address := empty(b)
	fill(b, e, 20000)
	pg, err := pgconn.Connect(context.Background(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer pg.Close(context.Background())
	if _, err := pg.Exec(context.Background(), "ANALYZE").ReadAll(); err != nil {
		b.Fatal(err)
	}
	q := one()
	q.Where, q.Sort, q.Limit = op(expr.OpEq, mine(postAuthor), param(0, expr.Text)), []driver.Key{{Ord: postScore}, {Ord: spec.OrdID}}, 1
	s := prepare(b, e, q)
	for name, ctx := range contexts(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n, size := 0, 0
			yield, args := print(q, &n, &size), []expr.Value{expr.TextOf("a3"), expr.IntOf(31)}
			for b.Loop() {
				if err := e.Rows(ctx, s, args, yield); err != nil {
					b.Fatal(err)
				}
			}
			if n < 31*b.N {
				b.Fatal(n)
			}
		})
	}
}

func contexts(b *testing.B) map[string]context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	return map[string]context.Context{"patient": context.Background(), "watched": ctx}
}

func BenchmarkInsert(b *testing.B) {
	e, _ := empty(b)
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := insert(e, post(int(n.Add(1)))); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
