package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// server is what executes: MongoDB's driver, and in tests another implementation of its language. A context
// that begin or snapshot has returned makes what is asked with it a part of that transaction.
type server interface {
	// rows answers a find or a pipeline. A document is valid until yield returns, whose error is returned as it is.
	rows(ctx context.Context, a asked, yield func(bson.Raw) error) error
	insert(ctx context.Context, collection string, doc bson.D) error
	// insertAll inserts documents one after the other, up to the first that is refused, and says how many it has inserted.
	insertAll(ctx context.Context, collection string, docs []bson.D) (int, error)
	// update changes the first document that fits, or all of them, and says how many fitted.
	update(ctx context.Context, collection string, filter, change bson.D, how updating) (int64, error)
	delete(ctx context.Context, collection string, filter bson.D) (int64, error)

	// begin opens a transaction. end commits or undoes it.
	begin(ctx context.Context) (in context.Context, end func(commit bool) error, err error)
	// snapshot holds reads to one moment, where the server can.
	snapshot(ctx context.Context) (in context.Context, end func(), err error)

	collections(ctx context.Context) ([]string, error)
	create(ctx context.Context, collection string) error
	drop(ctx context.Context, collection string) error
	rename(ctx context.Context, from, to string) error
	createIndex(ctx context.Context, collection string, x index) error
	dropIndex(ctx context.Context, collection, name string) error

	// now is the server's clock, in milliseconds.
	now(ctx context.Context) (int64, error)
	explain(ctx context.Context, a asked) (bson.Raw, error)
	close() error
}

// updating says which documents an update changes.
type updating uint8

const (
	one    updating = iota
	many            // all that fit
	upsert          // one, which is made where there is none
)

// index is an index as the server is told of it.
type index struct {
	name    string
	keys    []string
	unique  bool
	partial bool // only documents that have all of its fields are in it
}

func (x index) spec() bson.D {
	keys := bson.D{}
	for _, k := range x.keys {
		keys = append(keys, bson.E{Key: k, Value: int32(1)})
	}
	d := bson.D{{Key: "key", Value: keys}, {Key: "name", Value: x.name}}
	if x.unique {
		d = append(d, bson.E{Key: "unique", Value: true})
	}
	if x.partial {
		there := bson.D{}
		for _, k := range x.keys {
			there = append(there, bson.E{Key: k, Value: op("$exists", true)})
		}
		d = append(d, bson.E{Key: "partialFilterExpression", Value: there})
	}
	return d
}
