package mongotest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// alone is a server of MongoDB's wire protocol (MongoDB's manual, "MongoDB Wire Protocol", "Database Commands") whose
// databases are a Node's. Like a server that is no member of a replica set it has no transactions and no sessions. It
// answers those commands that data/mongo sends, and all that it finds at once.
type alone struct {
	node *Node
	l    net.Listener

	mu   sync.Mutex
	made int
}

var (
	aloneOnce sync.Once
	lonely    *alone
	aloneErr  error
)

// Alone is the address of a new, empty database on a server without transactions whose language is mingo's. Where there is
// no Node the test is skipped, and says so; with PLINTH_TEST_ALL=1 it fails.
func Alone(t testing.TB) string {
	t.Helper()
	address, _ := begun(t)
	return address
}

// Copy is the address of a new database on the same server that has what the one at another of its addresses has at this
// moment.
func Copy(t testing.TB, of string) string {
	t.Helper()
	address, name := begun(t)
	a, err := lonely.node.Ask(bson.D{{Key: "op", Value: "copy"}, {Key: "db", Value: of[strings.LastIndexByte(of, '/')+1:]}, {Key: "to", Value: name}})
	if err != nil || a.Error != "" {
		t.Fatalf("copy %s: %v %s", of, err, a.Error)
	}
	return address
}

// begun is the address and the name of a new database.
func begun(t testing.TB) (address, name string) {
	t.Helper()
	aloneOnce.Do(func() { lonely, aloneErr = startAlone() })
	switch {
	case aloneErr != nil && os.Getenv("PLINTH_TEST_ALL") == "1":
		t.Fatalf("mingo: %v", aloneErr)
	case aloneErr != nil:
		t.Skipf("LEFT OUT, for want of mingo: %v", aloneErr)
	}
	lonely.mu.Lock()
	lonely.made++
	name = fmt.Sprintf("alone_%d", lonely.made)
	lonely.mu.Unlock()
	t.Cleanup(func() { _, _ = lonely.node.Ask(bson.D{{Key: "op", Value: "close"}, {Key: "db", Value: name}}) })
	return "mongodb://" + lonely.l.Addr().String() + "/" + name, name
}

func startAlone() (*alone, error) {
	node, err := StartNode()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		node.Stop()
		return nil, err
	}
	s := &alone{node: node, l: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, nil
}

func (s *alone) stop() {
	_ = s.l.Close()
	s.node.Stop()
}

// The codes of messages that there are.
const (
	opReply = 1
	opQuery = 2004 // with which a driver says hello
	opMsg   = 2013
)

func (s *alone) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head [16]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		size := binary.LittleEndian.Uint32(head[:])
		if size < 16 || size > 64<<20 {
			return
		}
		m := make([]byte, size-16)
		if _, err := io.ReadFull(r, m); err != nil {
			return
		}
		code := binary.LittleEndian.Uint32(head[12:])
		command, err := commandOf(code, m)
		var answer bson.D
		if err == nil {
			answer, err = s.do(command)
		}
		if err != nil {
			answer = bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(1)}, {Key: "errmsg", Value: err.Error()}}
		}
		doc, err := bson.Marshal(answer)
		if err != nil {
			return
		}
		body, says := append(make([]byte, 5), doc...), uint32(opMsg) // no flags, one section
		if code == opQuery {
			body, says = append(binary.LittleEndian.AppendUint32(make([]byte, 16), 1), doc...), opReply // one document
		}
		out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(body)))
		out = binary.LittleEndian.AppendUint32(out, 0)
		out = append(out, head[4:8]...)
		out = append(binary.LittleEndian.AppendUint32(out, says), body...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

var errMessage = errors.New("this message cannot be read")

// commandOf reads a message. Documents of a section of their own are an element like others.
func commandOf(code uint32, m []byte) (command bson.D, err error) {
	document := func() (d bson.Raw) {
		if len(m) < 5 {
			err = errMessage
			return nil
		}
		n := binary.LittleEndian.Uint32(m)
		if n < 5 || int(n) > len(m) {
			err = errMessage
			return nil
		}
		d, m = m[:n], m[n:]
		return d
	}
	switch code {
	case opQuery: // flags, the collection, two numbers
		if len(m) < 4 {
			return nil, errMessage
		}
		_, rest, ok := strings.Cut(string(m[4:]), "\x00")
		if !ok || len(rest) < 8 {
			return nil, errMessage
		}
		m = []byte(rest[8:])
		if d := document(); err == nil {
			err = bson.Unmarshal(d, &command)
		}
		return command, err
	case opMsg:
	default:
		return nil, errMessage
	}
	if len(m) < 5 {
		return nil, errMessage
	}
	for m = m[4:]; len(m) > 0 && err == nil; {
		kind := m[0]
		m = m[1:]
		if kind == 0 {
			if d := document(); err == nil {
				var some bson.D
				err = bson.Unmarshal(d, &some)
				command = append(some, command...)
			}
			continue
		}
		if len(m) < 4 {
			return nil, errMessage
		}
		size := int(binary.LittleEndian.Uint32(m))
		if size < 5 || size > len(m) {
			return nil, errMessage
		}
		after := m[size:]
		name, docs, ok := strings.Cut(string(m[4:size]), "\x00")
		if !ok {
			return nil, errMessage
		}
		all := bson.A{}
		for m = []byte(docs); len(m) > 0 && err == nil; {
			d := document()
			if err == nil {
				var one bson.D
				err = bson.Unmarshal(d, &one)
				all = append(all, one)
			}
		}
		m = after
		command = append(command, bson.E{Key: name, Value: all})
	}
	if len(command) == 0 && err == nil {
		err = errMessage
	}
	return command, err
}

var fine = bson.D{{Key: "ok", Value: 1.0}}

// do answers a command.
func (s *alone) do(c bson.D) (bson.D, error) {
	of := func(name string) any {
		for _, e := range c {
			if e.Key == name {
				return e.Value
			}
		}
		return nil
	}
	list := func(name string) bson.A { a, _ := of(name).(bson.A); return a }
	doc := func(d bson.D, name string) bson.D {
		for _, e := range d {
			if inner, ok := e.Value.(bson.D); ok && e.Key == name {
				return inner
			}
		}
		return bson.D{}
	}
	yes := func(d bson.D, name string) bool {
		for _, e := range d {
			if e.Key == name {
				return e.Value == true
			}
		}
		return false
	}
	db, _ := of("$db").(string)
	from, _ := c[0].Value.(string)
	ask := func(op string, more ...bson.E) (Answer, error) {
		a, err := s.node.Ask(append(bson.D{{Key: "op", Value: op}, {Key: "db", Value: db}, {Key: "state", Value: int32(0)}, {Key: "from", Value: from}}, more...))
		if err == nil && a.Error != "" {
			err = errors.New(a.Error)
		}
		return a, err
	}
	done := func(a Answer, err error) (bson.D, error) {
		if err == nil && a.Index != "" {
			return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(11000)}, {Key: "errmsg", Value: refusal(db, from, a.Index)}}, nil
		}
		return fine, err
	}
	found := func(a Answer, err error) (bson.D, error) {
		rows := bson.A{}
		for _, d := range a.Rows {
			rows = append(rows, d)
		}
		return bson.D{{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: rows}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: db + "." + from}}}, {Key: "ok", Value: 1.0}}, err
	}
	// each does one after the other, up to the first that is refused.
	each := func(all bson.A, one func(bson.D) (Answer, error)) (bson.D, error) {
		n, refused := int32(0), bson.A{}
		for i, v := range all {
			d, _ := v.(bson.D)
			a, err := one(d)
			if err != nil {
				return nil, err
			}
			if a.Index != "" {
				refused = append(refused, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: int32(11000)}, {Key: "errmsg", Value: refusal(db, from, a.Index)}})
				break
			}
			n += int32(a.N)
		}
		out := bson.D{{Key: "n", Value: n}, {Key: "nModified", Value: n}, {Key: "ok", Value: 1.0}}
		if len(refused) > 0 {
			out = append(out, bson.E{Key: "writeErrors", Value: refused})
		}
		return out, nil
	}
	switch c[0].Key {
	case "hello", "isMaster", "ismaster":
		return bson.D{{Key: "ok", Value: 1.0}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true}, {Key: "helloOk", Value: true},
			{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(17)}, {Key: "maxBsonObjectSize", Value: int32(16 << 20)},
			{Key: "maxMessageSizeBytes", Value: int32(48 << 20)}, {Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "localTime", Value: bson.NewDateTimeFromTime(time.Now())}}, nil
	case "ping", "endSessions", "killCursors", "explain":
		return fine, nil
	case "create", "drop":
		return done(ask(c[0].Key))
	case "dropDatabase":
		return done(ask("close"))
	case "renameCollection":
		to, _ := of("to").(string)
		db, from, _ = strings.Cut(from, ".")
		_, to, _ = strings.Cut(to, ".")
		return done(ask("rename", bson.E{Key: "to", Value: to}))
	case "createIndexes":
		for _, v := range list("indexes") {
			x, _ := v.(bson.D)
			keys := bson.A{}
			for _, k := range doc(x, "key") {
				keys = append(keys, k.Key)
			}
			var name any
			for _, e := range x {
				if e.Key == "name" {
					name = e.Value
				}
			}
			out, err := done(ask("createIndex", bson.E{Key: "name", Value: name}, bson.E{Key: "unique", Value: yes(x, "unique")}, bson.E{Key: "keys", Value: keys}))
			if err != nil || len(out) > 1 {
				return out, err
			}
		}
		return fine, nil
	case "dropIndexes":
		return done(ask("dropIndex", bson.E{Key: "name", Value: of("index")}))
	case "listCollections":
		return found(ask("collections"))
	case "find":
		limit, _ := of("limit").(int64)
		return found(ask("rows", bson.E{Key: "filter", Value: doc(c, "filter")}, bson.E{Key: "sort", Value: doc(c, "sort")},
			bson.E{Key: "project", Value: doc(c, "projection")}, bson.E{Key: "limit", Value: int32(limit)}))
	case "aggregate":
		return found(ask("rows", bson.E{Key: "pipeline", Value: list("pipeline")}))
	case "insert":
		return each(list("documents"), func(d bson.D) (Answer, error) {
			a, err := ask("insert", bson.E{Key: "doc", Value: d})
			a.N = 1
			return a, err
		})
	case "update":
		return each(list("updates"), func(d bson.D) (Answer, error) {
			how := "one"
			switch {
			case yes(d, "multi"):
				how = "many"
			case yes(d, "upsert"):
				how = "upsert"
			}
			return ask("update", bson.E{Key: "filter", Value: doc(d, "q")}, bson.E{Key: "change", Value: doc(d, "u")}, bson.E{Key: "how", Value: how})
		})
	case "delete":
		return each(list("deletes"), func(d bson.D) (Answer, error) { return ask("delete", bson.E{Key: "filter", Value: doc(d, "q")}) })
	}
	return nil, fmt.Errorf("there is no command %q here", c[0].Key)
}

// refusal is how MongoDB says that a value is taken.
func refusal(db, from, index string) string {
	if index == "id" {
		index = "_id_"
	}
	return fmt.Sprintf("E11000 duplicate key error collection: %s.%s index: %s dup key: { ? }", db, from, index)
}
