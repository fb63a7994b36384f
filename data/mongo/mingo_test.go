package mongo

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/drivertest"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// TestSuiteOnMingo runs the suite on a second implementation of MongoDB's language: what the compiler makes is
// answered by mingo, and the answers are those of the oracle.
func TestSuiteOnMingo(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t testing.TB, _ *spec.App) driver.Engine {
		e, err := on(context.Background(), newMingo(t), abilities{joins: true, transactions: true, partial: true})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}, drivertest.Known{"lifecycle/a backup beside writers": "mongodump is the tool",
		"changes/a transaction that begins first and commits last": "the stand-in does transactions one after the other"})
}

// TestSuiteOnMingoAlone runs the suite on mingo as on a single server, which has no transactions.
func TestSuiteOnMingoAlone(t *testing.T) {
	t.Parallel()
	lacking(t, "alone.refused", func(t testing.TB, _ *spec.App) driver.Engine {
		return openAt(t, mongotest.Alone(t))
	}, drivertest.Known{"lifecycle/a backup beside writers": "mongodump is the tool",
		"tx/a snapshot stays what it was": "without transactions each question has its own moment"})
}

// mingo is a server in a process of Node's.
type mingo struct {
	node   *mongotest.Node
	db     string
	writer chan struct{} // holds one token: who has it may have a transaction
}

var _ server = (*mingo)(nil)

var (
	nodesOnce sync.Once
	nodes     [2]*mongotest.Node
	nodesErr  error
	mingos    atomic.Int64
)

// newMingo is an empty database. Where there is no Node or no package of its the test is skipped, and says so;
// with PLINTH_TEST_ALL=1 it fails.
func newMingo(t testing.TB) *mingo {
	nodesOnce.Do(func() {
		for i := range nodes {
			if nodes[i], nodesErr = mongotest.StartNode(); nodesErr != nil {
				return
			}
		}
	})
	switch {
	case nodesErr != nil && os.Getenv("PLINTH_TEST_ALL") == "1":
		t.Fatalf("mingo: %v", nodesErr)
	case nodesErr != nil:
		t.Skipf("LEFT OUT, for want of mingo: %v", nodesErr)
	}
	n := mingos.Add(1)
	return &mingo{node: nodes[n%2], db: strconv.FormatInt(n, 10), writer: make(chan struct{}, 1)}
}

func stopNodes() {
	for _, n := range nodes {
		if n != nil {
			n.Stop()
		}
	}
}

// stateKey finds the transaction or snapshot in a context.
type stateKey struct{}

func (s *mingo) ask(ctx context.Context, op, from string, more ...bson.E) (mongotest.Answer, error) {
	var a mongotest.Answer
	if err := ctx.Err(); err != nil {
		return a, err
	}
	state, _ := ctx.Value(stateKey{}).(int64)
	request := append(bson.D{{Key: "op", Value: op}, {Key: "db", Value: s.db}, {Key: "state", Value: int32(state)}, {Key: "from", Value: from}}, more...)
	a, err := s.node.Ask(request)
	if err != nil {
		return a, err
	}
	switch {
	case a.Error != "":
		return a, &fault.Error{Kind: fault.Internal, Err: fmt.Errorf("%s\n%v", a.Error, request)}
	case a.Index != "":
		return a, &fault.Error{Kind: fault.Unique, Index: a.Index}
	}
	return a, nil
}

// now is the clock of this machine, where mingo runs.
func (s *mingo) now(ctx context.Context) (int64, error) { return time.Now().UnixMilli(), ctx.Err() }

func (s *mingo) rows(ctx context.Context, q asked, yield func(bson.Raw) error) error {
	var more []bson.E
	if q.pipeline != nil {
		stages := bson.A{}
		for _, d := range q.pipeline {
			stages = append(stages, d)
		}
		more = []bson.E{{Key: "pipeline", Value: stages}}
	} else {
		sort := q.sort
		if sort == nil {
			sort = bson.D{}
		}
		more = []bson.E{{Key: "filter", Value: q.filter}, {Key: "sort", Value: sort}, {Key: "project", Value: q.project}, {Key: "limit", Value: int32(q.limit)}}
	}
	a, err := s.ask(ctx, "rows", q.from, more...)
	if err != nil {
		return err
	}
	for _, d := range a.Rows {
		if err := yield(d); err != nil {
			return &yielded{err}
		}
	}
	return nil
}

func (s *mingo) insert(ctx context.Context, collection string, doc bson.D) error {
	_, err := s.ask(ctx, "insert", collection, bson.E{Key: "doc", Value: doc})
	return err
}

// insertAll sends one after the other: what others do in between is seen.
func (s *mingo) insertAll(ctx context.Context, collection string, docs []bson.D) (int, error) {
	for i, d := range docs {
		if err := s.insert(ctx, collection, d); err != nil {
			return i, err
		}
	}
	return len(docs), nil
}

func (s *mingo) update(ctx context.Context, collection string, filter, change bson.D, how updating) (int64, error) {
	a, err := s.ask(ctx, "update", collection, bson.E{Key: "filter", Value: filter}, bson.E{Key: "change", Value: change},
		bson.E{Key: "how", Value: []string{"one", "many", "upsert"}[how]})
	return a.N, err
}

func (s *mingo) delete(ctx context.Context, collection string, filter bson.D) (int64, error) {
	a, err := s.ask(ctx, "delete", collection, bson.E{Key: "filter", Value: filter})
	return a.N, err
}

// begin has one transaction at a time.
func (s *mingo) begin(ctx context.Context) (context.Context, func(bool) error, error) {
	s.writer <- struct{}{}
	a, err := s.ask(ctx, "begin", "")
	if err != nil {
		<-s.writer
		return nil, nil, err
	}
	in := context.WithValue(ctx, stateKey{}, a.N)
	return in, func(commit bool) error {
		defer func() { <-s.writer }()
		_, err := s.ask(in, "end", "", bson.E{Key: "commit", Value: commit})
		return err
	}, nil
}

func (s *mingo) snapshot(ctx context.Context) (context.Context, func(), error) {
	a, err := s.ask(ctx, "begin", "")
	if err != nil {
		return nil, nil, err
	}
	in := context.WithValue(ctx, stateKey{}, a.N)
	return in, func() { _, _ = s.ask(context.WithoutCancel(in), "end", "", bson.E{Key: "commit", Value: false}) }, nil
}

func (s *mingo) collections(ctx context.Context) ([]string, error) {
	a, err := s.ask(ctx, "collections", "")
	var names []string
	for _, d := range a.Rows {
		names = append(names, d.Lookup("name").StringValue())
	}
	return names, err
}

func (s *mingo) create(ctx context.Context, collection string) error {
	_, err := s.ask(ctx, "create", collection)
	return err
}

func (s *mingo) drop(ctx context.Context, collection string) error {
	_, err := s.ask(ctx, "drop", collection)
	return err
}

func (s *mingo) rename(ctx context.Context, from, to string) error {
	_, err := s.ask(ctx, "rename", from, bson.E{Key: "to", Value: to})
	return err
}

func (s *mingo) createIndex(ctx context.Context, collection string, x index) error {
	_, err := s.ask(ctx, "createIndex", collection, bson.E{Key: "name", Value: x.name}, bson.E{Key: "unique", Value: x.unique}, bson.E{Key: "keys", Value: list(x.keys)})
	return err
}

func (s *mingo) dropIndex(ctx context.Context, collection, name string) error {
	_, err := s.ask(ctx, "dropIndex", collection, bson.E{Key: "name", Value: name})
	return err
}

// explain: mingo has no plans.
func (s *mingo) explain(context.Context, asked) (bson.Raw, error) { return bson.Marshal(bson.D{}) }

func (s *mingo) close() error {
	_, err := s.ask(context.Background(), "close", "")
	return err
}
