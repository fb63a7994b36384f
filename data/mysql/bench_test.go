package mysql_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

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
	raw(b, address).exec(b, `ANALYZE TABLE "posts"`)
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

// BenchmarkChildren asks for the first children of many parents.
func BenchmarkChildren(b *testing.B) {
	e, address := empty(b)
	fill(b, e, 20000)
	raw(b, address).exec(b, `ANALYZE TABLE "posts"`)
	q := one()
	q.Where, q.Sort = nil, []driver.Key{{Ord: postScore}, {Ord: spec.OrdID}}
	q.Per = &driver.Per{Arg: 0, Ord: postAuthor, Limit: 1}
	s := prepare(b, e, q)
	var parents []expr.Value
	for i := range 7 {
		parents = append(parents, expr.TextOf(fmt.Sprint("a", i)))
	}
	args := []expr.Value{expr.ListOf(parents...), expr.IntOf(3)}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := e.Rows(context.Background(), s, args, func(driver.Columns) error { n++; return nil }); err != nil || n != 21 {
			b.Fatal(n, err)
		}
	}
}
