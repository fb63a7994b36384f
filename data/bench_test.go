package data_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

const posts = `
name: bench
collections:
  authors:
    fields: {name: {type: text, required: true, max: 80}, bio: {type: text, max: 500}}
    access: {read: true, write: true}
  posts:
    fields:
      title: {type: text, required: true, max: 200}
      body: {type: text, max: 20000}
      status: {type: enum, values: [draft, published, archived], default: draft}
      views: {type: int, min: 0, default: 0}
      author: {type: ref, to: authors}
    indexes: [[status, created]]
    access: {read: true, write: true}
`

// stocked is a SQLite database with 2,000 posts of 20 authors.
func stocked(b *testing.B) (*data.DB, []string) {
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(posts)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		b.Fatal(err)
	}
	if err := app.Extend("data", []byte(data.Collections)); err != nil {
		b.Fatal(err)
	}
	eng, err := sqlite.Open(filepath.Join(b.TempDir(), "plinth.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	plan, err := data.Plan(ctx, app, eng, secret)
	if err != nil {
		b.Fatal(err)
	}
	if err := plan.Apply(ctx, eng, data.ApplyOptions{}); err != nil {
		b.Fatal(err)
	}
	db, err := data.Open(ctx, app, eng, data.Options{Key: secret})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	var authors, ids []string
	for i := range 20 {
		r, err := db.Create(ctx, nobody, "authors", parse(fmt.Sprintf(`{"name":"Author %d","bio":"writes"}`, i)), data.WriteOptions{})
		if err != nil {
			b.Fatal(err)
		}
		authors = append(authors, r.ID)
	}
	for page := range 4 {
		var ops []data.Operation
		for i := range 500 {
			ops = append(ops, data.Operation{Op: "create", Collection: "posts", Body: post(page*500+i, authors)})
		}
		results, _, err := db.Batch(ctx, nobody, ops, true, data.WriteOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			ids = append(ids, r.ID)
		}
	}
	return db, ids
}

func post(i int, authors []string) *doc.Node {
	return parse(fmt.Sprintf(`{"title":"Post number %d","body":"%0400d","status":"%s","views":%d,"author":"%s"}`,
		i, i, []string{"draft", "published", "published", "archived"}[i%4], i%1000, authors[i%len(authors)]))
}

func parse(text string) *doc.Node {
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		panic(err)
	}
	return n
}

func BenchmarkGet(b *testing.B) {
	db, ids := stocked(b)
	ctx := context.Background()
	b.ReportAllocs()
	dst := make([]byte, 0, 4096)
	i := 0
	for b.Loop() {
		i++
		if _, _, err := db.Get(ctx, nobody, data.Target{Collection: "posts", ID: ids[i%len(ids)]}, data.View{}, dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) { benchList(b, "") }

func BenchmarkListExpanded(b *testing.B) { benchList(b, "author") }

func benchList(b *testing.B, expand string) {
	db, _ := stocked(b)
	ctx := context.Background()
	b.ReportAllocs()
	dst := make([]byte, 0, 65536)
	for b.Loop() {
		q := data.ListQuery{Collection: "posts", Filter: `status == "published"`, Sort: "-created", Expand: expand}
		if _, err := db.List(ctx, nobody, &q, dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	db, _ := stocked(b)
	ctx := context.Background()
	out, err := db.List(ctx, nobody, &data.ListQuery{Collection: "authors", Limit: 1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	items, _ := parse(string(out)).Get("items")
	id, _ := items.Items[0].Get("id")
	b.ReportAllocs()
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := db.Create(ctx, nobody, "posts", post(int(n.Add(1)), []string{id.Text}), data.WriteOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	db, _ := stocked(b)
	ctx := context.Background()
	out, err := db.List(ctx, nobody, &data.ListQuery{Collection: "authors", Limit: 1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	items, _ := parse(string(out)).Get("items")
	id, _ := items.Items[0].Get("id")
	var ops []data.Operation
	for i := range 100 {
		ops = append(ops, data.Operation{Op: "create", Collection: "posts", Body: post(i, []string{id.Text})})
	}
	b.ReportAllocs()
	for b.Loop() {
		results, _, err := db.Batch(ctx, nobody, ops, true, data.WriteOptions{})
		if err != nil || len(data.AppendBatch(nil, results)) == 0 {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	db, ids := stocked(b)
	ctx := context.Background()
	b.ReportAllocs()
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			if _, err := db.Update(ctx, nobody, "posts", ids[i%len(ids)], parse(fmt.Sprintf(`{"views":%d}`, i%100000+2000)), data.WriteOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
