package same_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.shrinktime", "10s"); err != nil { // the rest is done by shorter
		panic(err)
	}
	os.Exit(pgtest.Main(running(func() int { return mysqltest.Main(m) })))
}

type running func() int

func (r running) Run() int { return r() }

// engine is an empty database for a scope, on an engine.
type engine struct {
	name  string
	lacks bool // something, so that it may refuse
	open  func(ctx context.Context, s *scope, dir string) (driver.Engine, error)
}

// refuses says whether an answer is the refusal of an engine that lacks something.
func (e engine) refuses(a answer) bool {
	return e.lacks && a.status == 501 && strings.Contains(a.body, `"/problems/capability"`)
}

var memoryEngine = engine{"memory", false, func(context.Context, *scope, string) (driver.Engine, error) { return memory.Open(), nil }}

var engines = []engine{
	{"sqlite", false, func(_ context.Context, _ *scope, dir string) (driver.Engine, error) {
		return sqlite.Open(filepath.Join(dir, "test.db"), sqlite.Options{Readers: 2})
	}},
	{"postgres", false, func(ctx context.Context, s *scope, _ string) (driver.Engine, error) {
		return postgres.Open(ctx, pgtest.Database(s), postgres.Options{Conns: 2})
	}},
	{"mysql", false, func(ctx context.Context, s *scope, _ string) (driver.Engine, error) {
		return mysql.Open(ctx, mysqltest.Database(s), mysql.Options{Conns: 2})
	}},
}

// side is an app on one engine.
type side struct {
	door, anns http.Handler // with keys; and as ann, a user
	keys       map[string]string
	now        atomic.Int64 // milliseconds since start
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tick sets the clocks of sides to the moment of a request.
func tick(n int, sides ...*side) {
	for _, x := range sides {
		x.now.Store(int64(n+1) * 1001)
	}
}

const annID = "01900000-0000-7000-8000-0000000000aa"

func open(s *scope, yaml string, e engine) (*side, error) {
	dir, err := os.MkdirTemp("", "same-")
	if err != nil {
		return nil, err
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	x := &side{keys: map[string]string{}}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx := context.Background()
	app, err := plinth.Open(ctx, dir, plinth.WithKey(bytes.Repeat([]byte("k"), 32)), plinth.WithLog(log),
		plinth.WithClock(func() time.Time { return start.Add(time.Duration(x.now.Load()) * time.Millisecond) }),
		plinth.On(func(ctx context.Context) (driver.Engine, error) { return e.open(ctx, s, dir) }))
	if err != nil {
		return nil, err
	}
	closing(s, app.Close)
	for name, o := range map[string]plinth.KeyOptions{"staff": {Role: "staff"}, "operator": {Operator: true}} {
		if _, x.keys[name], err = app.AddKey(ctx, o); err != nil {
			return nil, err
		}
	}
	x.door = app.Handler()
	ann := func(*http.Request) (data.Caller, error) {
		return data.Caller{ID: annID, SignedIn: true, Role: "member", Scope: "user:" + annID}, nil
	}
	x.anns = web.Guard(rest.New(app.DB(), ann, rest.Options{}), app.App().Server, log)
	return x, nil
}

// request is one request, by nobody (""), ann, staff or operator.
type request struct {
	by, method, path, body string
	header                 string // a line for each
}

func (r request) String() string {
	path, err := url.QueryUnescape(r.path)
	if err != nil {
		path = r.path
	}
	return strings.TrimSpace(fmt.Sprintf("%-8s %s %s %s %s", r.by, r.method, path, r.body, strings.ReplaceAll(r.header, "\n", "; ")))
}

// answer is what came back, without what differs each time.
type answer struct {
	status       int
	header, body string
}

func (a answer) String() string { return fmt.Sprintf("%d %s\n%s", a.status, a.header, a.body) }

func (a answer) next() string {
	var page struct{ Next string }
	if a.status != 200 || json.Unmarshal([]byte(a.body), &page) != nil {
		return ""
	}
	return page.Next
}

// numbered is the number of a request, in a problem.
var numbered = regexp.MustCompile(`"request":"[0-9A-Z]{26}"`)

// random are the header fields that differ each time.
var random = []string{"Date", "X-Request-Id", "Request-Id"}

func (x *side) ask(r request) answer {
	q := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
	if r.body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for line := range strings.Lines(r.header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		q.Header.Set(name, value)
	}
	if key := x.keys[r.by]; key != "" {
		q.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	if r.by == "ann" {
		x.anns.ServeHTTP(w, q)
	} else {
		x.door.ServeHTTP(w, q)
	}
	var lines []string
	for name, values := range w.Result().Header {
		if !slices.Contains(random, name) {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	return answer{w.Code, strings.Join(lines, "; "), numbered.ReplaceAllString(w.Body.String(), `"request":"*"`)}
}

func withCursor(path, cursor string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	q := u.Query()
	q.Set("cursor", cursor)
	u.RawQuery = q.Encode()
	return u.String()
}
