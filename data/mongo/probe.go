package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/bluell/plinth/fault"
)

// oldest is the version of the protocol that MongoDB 5.0 speaks, which has what is needed here.
const oldest = 13

// probe asks the server what it can do, by what it says of itself and by trying.
func (s *client) probe(ctx context.Context) (can abilities, err error) {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
		Minutes *int64 `bson:"logicalSessionTimeoutMinutes"`
		Wire    int32  `bson:"maxWireVersion"`
	}
	if err := s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: int32(1)}}).Decode(&hello); err != nil {
		return can, err
	}
	if hello.Wire < oldest {
		var built struct{ Version string }
		if err := s.db.RunCommand(ctx, field("buildInfo", int32(1))).Decode(&built); err != nil {
			return can, err
		}
		return can, fault.New(fault.Capability, "MongoDB 5 or later is needed, and this is %s", built.Version)
	}
	can.transactions = hello.Minutes != nil && (hello.SetName != "" || hello.Msg == "isdbgrid")
	if err := s.create(ctx, health); err != nil {
		return can, err
	}
	joined := []bson.D{op("$limit", int32(1)), op("$lookup", bson.D{{Key: "from", Value: health}, {Key: "localField", Value: "_id"}, {Key: "foreignField", Value: "_id"},
		{Key: "let", Value: bson.D{{Key: "v", Value: "$$ROOT"}}},
		{Key: "pipeline", Value: bson.A{op("$match", op("$expr", op("$eq", bson.A{op("$indexOfCP", bson.A{"ab", "b"}), int64(1)})))}}, {Key: "as", Value: "_j"}})}
	if can.joins, err = able(s.rows(ctx, asked{from: health, pipeline: joined}, func(bson.Raw) error { return nil })); err != nil {
		return can, err
	}
	can.partial, err = able(s.createIndex(ctx, health, index{name: "probe", keys: []string{"probe"}, unique: true, partial: true}))
	return can, err
}

// able reads what came of a try: what the server refuses to do it cannot; other errors are errors.
func able(err error) (bool, error) {
	var e mongo.CommandError
	if err == nil {
		return true, nil
	}
	if !errors.As(err, &e) || unavailable(e) || mongo.IsNetworkError(err) {
		return false, err
	}
	return false, nil
}
