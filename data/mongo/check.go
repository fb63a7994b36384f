package mongo

import (
	"context"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/fault"
)

// Check writes a document of its own: only a write shows that the database takes one.
func (e *Engine) Check(ctx context.Context) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	_, err := e.server.update(ctx, health, field("_id", "check"), op("$set", field("at", bson.NewDateTimeFromTime(time.Now()))), upsert)
	return during(ctx, "check", err)
}

// Verify reads every document: what the server cannot read it says.
func (e *Engine) Verify(ctx context.Context) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	names, err := e.server.collections(ctx)
	for _, name := range names {
		if err != nil {
			break
		}
		err = e.server.rows(ctx, asked{from: name, filter: bson.D{}, project: bson.D{}}, func(d bson.Raw) error {
			return fault.Wrap(fault.Internal, "verify", d.Validate())
		})
	}
	return during(ctx, "verify", err)
}

// Backup is not made here: what a server has is copied by its own tools, which also put it back.
func (e *Engine) Backup(context.Context, io.Writer, func(done, total int)) error {
	return &fault.Error{Kind: fault.Capability, Op: "backup", Msg: "a MongoDB database is copied with mongodump, and put back with mongorestore"}
}
