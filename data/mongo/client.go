package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/bluell/plinth/fault"
)

// client is a server by MongoDB's own driver.
type client struct {
	c  *mongo.Client
	db *mongo.Database
}

var _ server = (*client)(nil)

func (s *client) rows(ctx context.Context, a asked, yield func(bson.Raw) error) error {
	var cur *mongo.Cursor
	var err error
	if a.pipeline != nil {
		cur, err = s.db.Collection(a.from).Aggregate(ctx, a.pipeline)
	} else {
		o := options.Find().SetProjection(a.project)
		if len(a.sort) > 0 {
			o.SetSort(a.sort)
		}
		if a.limit > 0 {
			o.SetLimit(a.limit)
		}
		cur, err = s.db.Collection(a.from).Find(ctx, a.filter, o)
	}
	if err != nil {
		return err
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }() // the server forgets it by itself
	for cur.Next(ctx) {
		if err := yield(cur.Current); err != nil {
			return &yielded{err}
		}
	}
	return cur.Err()
}

// yielded is an error of who reads, which stays as it is.
type yielded struct{ error }

func (y *yielded) Unwrap() error { return y.error }

func (s *client) insert(ctx context.Context, collection string, doc bson.D) error {
	_, err := s.db.Collection(collection).InsertOne(ctx, doc)
	return err
}

func (s *client) insertAll(ctx context.Context, collection string, docs []bson.D) (int, error) {
	_, err := s.db.Collection(collection).InsertMany(ctx, docs)
	var refused mongo.BulkWriteException
	if errors.As(err, &refused) && len(refused.WriteErrors) > 0 {
		return refused.WriteErrors[0].Index, err
	}
	if err != nil {
		return 0, err
	}
	return len(docs), nil
}

func (s *client) update(ctx context.Context, collection string, filter, change bson.D, how updating) (int64, error) {
	c := s.db.Collection(collection)
	var r *mongo.UpdateResult
	var err error
	switch how {
	case many:
		r, err = c.UpdateMany(ctx, filter, change)
	case upsert:
		r, err = c.UpdateOne(ctx, filter, change, options.UpdateOne().SetUpsert(true))
	default:
		r, err = c.UpdateOne(ctx, filter, change)
	}
	if err != nil {
		return 0, err
	}
	return r.MatchedCount, nil
}

func (s *client) delete(ctx context.Context, collection string, filter bson.D) (int64, error) {
	r, err := s.db.Collection(collection).DeleteMany(ctx, filter)
	if err != nil {
		return 0, err
	}
	return r.DeletedCount, nil
}

// resolving is how long the outcome of a commit is asked for when its answer was lost.
const resolving = 30 * time.Second

// begin opens a transaction on one snapshot, which is committed when a majority has it on disk. A commit may be
// sent again as often as it takes: the server knows whether it was done.
func (s *client) begin(ctx context.Context) (context.Context, func(bool) error, error) {
	session, err := s.c.StartSession()
	if err != nil {
		return nil, nil, err
	}
	err = session.StartTransaction(options.Transaction().SetReadConcern(readconcern.Snapshot()).SetWriteConcern(durable()))
	if err != nil {
		session.EndSession(ctx)
		return nil, nil, err
	}
	in := mongo.NewSessionContext(ctx, session)
	return in, func(commit bool) error {
		defer session.EndSession(context.WithoutCancel(ctx))
		if !commit {
			return session.AbortTransaction(in)
		}
		until := time.Now().Add(resolving)
		for {
			err := session.CommitTransaction(in)
			var labeled mongo.LabeledError
			if err == nil || !errors.As(err, &labeled) || !labeled.HasErrorLabel("UnknownTransactionCommitResult") {
				return err
			}
			ended := time.Now().After(until)
			select {
			case <-in.Done():
				ended = true
			case <-time.After(50 * time.Millisecond):
			}
			if ended {
				return &fault.Error{Kind: fault.Unavailable, Op: "commit", Msg: "the database does not say whether the change was made", Err: err}
			}
		}
	}, nil
}

func (s *client) snapshot(ctx context.Context) (context.Context, func(), error) {
	session, err := s.c.StartSession(options.Session().SetSnapshot(true))
	if err != nil {
		return nil, nil, err
	}
	return mongo.NewSessionContext(ctx, session), func() { session.EndSession(context.WithoutCancel(ctx)) }, nil
}

// durable is a write that a majority has in its journal.
func durable() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: "majority", Journal: &journal}
}

func (s *client) collections(ctx context.Context) ([]string, error) {
	return s.db.ListCollectionNames(ctx, bson.D{})
}

// unless runs a command whose work may have been done before, which these codes of the server's say.
func (s *client) unless(ctx context.Context, db *mongo.Database, command bson.D, done ...int) error {
	err := db.RunCommand(ctx, command).Err()
	var e mongo.ServerError
	if errors.As(err, &e) {
		for _, code := range done {
			if e.HasErrorCode(code) {
				return nil
			}
		}
	}
	return err
}

// Codes of MongoDB's error_codes.yml.
const (
	namespaceNotFound = 26
	indexNotFound     = 27
	namespaceExists   = 48
)

func (s *client) create(ctx context.Context, collection string) error {
	return s.unless(ctx, s.db, bson.D{{Key: "create", Value: collection}}, namespaceExists)
}

func (s *client) drop(ctx context.Context, collection string) error {
	return s.unless(ctx, s.db, bson.D{{Key: "drop", Value: collection}}, namespaceNotFound)
}

func (s *client) rename(ctx context.Context, from, to string) error {
	return s.unless(ctx, s.c.Database("admin"), bson.D{{Key: "renameCollection", Value: s.db.Name() + "." + from},
		{Key: "to", Value: s.db.Name() + "." + to}}, namespaceNotFound)
}

func (s *client) createIndex(ctx context.Context, collection string, x index) error {
	return s.unless(ctx, s.db, bson.D{{Key: "createIndexes", Value: collection}, {Key: "indexes", Value: bson.A{x.spec()}}})
}

func (s *client) dropIndex(ctx context.Context, collection, name string) error {
	return s.unless(ctx, s.db, bson.D{{Key: "dropIndexes", Value: collection}, {Key: "index", Value: name}}, indexNotFound, namespaceNotFound)
}

// now is asked outside of any transaction: none of the commands that may stand in one tells the time to all servers.
func (s *client) now(ctx context.Context) (int64, error) {
	raw, err := s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		return 0, err
	}
	at, ok := raw.Lookup("localTime").DateTimeOK()
	if !ok {
		return 0, errors.New("the server's hello does not tell its time")
	}
	return at, nil
}

func (s *client) explain(ctx context.Context, a asked) (bson.Raw, error) {
	return s.db.RunCommand(ctx, bson.D{{Key: "explain", Value: a.command()}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
}

func (s *client) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	return s.c.Disconnect(ctx)
}

// command is a question as a command.
func (a asked) command() bson.D {
	if a.pipeline != nil {
		return bson.D{{Key: "aggregate", Value: a.from}, {Key: "pipeline", Value: a.pipeline}, {Key: "cursor", Value: bson.D{}}}
	}
	d := bson.D{{Key: "find", Value: a.from}, {Key: "filter", Value: a.filter}}
	if len(a.sort) > 0 {
		d = append(d, bson.E{Key: "sort", Value: a.sort})
	}
	d = append(d, bson.E{Key: "projection", Value: a.project})
	if a.limit > 0 {
		d = append(d, bson.E{Key: "limit", Value: a.limit})
	}
	return d
}
