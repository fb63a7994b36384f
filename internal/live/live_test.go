package live_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/mongo"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/live"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

var secret = []byte("live live live live live live li")

// house is an app that is served, and who asks it.
type house struct {
	*data.DB
	t       *testing.T
	hub     *live.Hub
	url     string
	anew    func()   // serves with a hub that knows of nothing yet
	atomic  bool     // several records may be written at once
	callers sync.Map // by the word behind Bearer
	again   sync.Map // the ids of users who are to be looked up anew
	stale   sync.Map // by the same word: what is remembered in place of it until then
}

var engines = map[string]func(t *testing.T) driver.Engine{
	"memory": func(*testing.T) driver.Engine { return memory.Open() },
	"sqlite": func(t *testing.T) driver.Engine {
		e, err := sqlite.Open(filepath.Join(t.TempDir(), "plinth.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	},
	slow: func(t *testing.T) driver.Engine {
		e, err := mongo.Open(t.Context(), mongotest.Alone(t), mongo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	},
}

// slow is the engine whose server takes minutes under the race detector, which finds nothing there that it does not find elsewhere.
const slow = "mongo without transactions"

// TestAllEngines says aloud, and has CI count, that the tests of this package are not run on every engine.
func TestAllEngines(t *testing.T) {
	if _, there := engines[slow]; testing.Short() && !there {
		t.Skip("LEFT OUT with -short: " + slow + ", in all tests of this package")
	} else if !there {
		t.Error(slow, "is missing")
	}
}

func TestMain(m *testing.M) {
	if flag.Parse(); testing.Short() { // TestAllEngines says so
		delete(engines, slow)
	}
	code := m.Run()
	mongotest.Stop()
	os.Exit(code)
}

func onEach(t *testing.T, yaml string, test func(h *house)) {
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(serve(t, yaml, open(t)))
		})
	}
}

var system = data.Caller{SignedIn: true, Operator: true, Scope: "operator"}

func serve(t *testing.T, yaml string, eng driver.Engine) *house {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = app.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatal(err)
	}
	plan, err := data.Plan(t.Context(), app, eng, secret)
	if err == nil {
		err = plan.Apply(t.Context(), eng, data.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, atomic: eng.Caps().Transactions}
	h.callers.Store("root", system)
	if h.DB, err = data.Open(t.Context(), app, eng, data.Options{Key: secret}); err != nil {
		t.Fatal(err)
	}
	caller := func(r *http.Request) (data.Caller, error) {
		word := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if c, err := r.Cookie("who"); word == "" && err == nil {
			word = c.Value
		}
		if word == "" {
			return data.Caller{Scope: "nobody"}, nil
		}
		by, ok := h.stale.Load(word)
		if !ok {
			by, ok = h.callers.Load(word)
		}
		if !ok {
			return data.Caller{}, fault.New(fault.Unauthenticated, "the credential is not valid")
		}
		return by.(data.Caller), nil
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	h.anew = func() {
		hub := live.New(h.DB, live.Options{Caller: caller, Anew: func(user string) { h.again.Store(user, true); h.stale.Clear() }, Server: app.Server})
		srv := httptest.NewServer(web.Guard(rest.New(h.DB, caller, rest.Options{Live: hub}), app.Server, nil))
		h.hub, h.url = hub, srv.URL
		t.Cleanup(func() {
			hub.Close()
			srv.Close()
		})
	}
	h.anew()
	return h
}

func (h *house) node(text string) *doc.Node {
	h.t.Helper()
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		h.t.Fatalf("%v in %s", err, text)
	}
	return n
}

// batch does several writes, in one transaction where the engine has them.
func (h *house) batch(ops ...data.Operation) {
	h.t.Helper()
	results, _, err := h.Batch(h.t.Context(), system, ops, h.atomic, data.WriteOptions{Minimal: true})
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) create(collection, text string) string {
	h.t.Helper()
	r, err := h.Create(h.t.Context(), system, collection, h.node(text), data.WriteOptions{})
	if err != nil {
		h.t.Fatalf("create %s %s: %v", collection, text, err)
	}
	return r.ID
}

func (h *house) update(collection, id, text string) {
	h.t.Helper()
	if _, err := h.Update(h.t.Context(), system, collection, id, h.node(text), data.WriteOptions{}); err != nil {
		h.t.Fatalf("update %s %s: %v", collection, text, err)
	}
}

func (h *house) delete(collection, id string) {
	h.t.Helper()
	if _, err := h.Delete(h.t.Context(), system, collection, id, data.WriteOptions{}); err != nil {
		h.t.Fatalf("delete %s: %v", collection, err)
	}
}

// event is one that came.
type event struct{ kind, id, data string }

// listener is a client of a stream, by the letter of the standard.
type listener struct {
	t      *testing.T
	cancel func()
	limit  *time.Timer // cancels
	body   io.ReadCloser
	in     *bufio.Reader
	last   string // the last event's id
}

// listen opens a stream as somebody. last is Last-Event-ID.
func (h *house) listen(who, path, last string) *listener {
	h.t.Helper()
	l, status := h.ask(who, path, last)
	if status != http.StatusOK {
		b, _ := io.ReadAll(l.body)
		h.t.Fatalf("GET %s: %d %s", path, status, b)
	}
	return l
}

func (h *house) ask(who, path, last string) (*listener, int) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	h.t.Cleanup(cancel)
	limit := time.AfterFunc(patience, cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	limit.Stop()
	if err != nil {
		h.t.Fatal(err)
	}
	return &listener{t: h.t, cancel: cancel, limit: limit, body: resp.Body, in: bufio.NewReader(resp.Body), last: last}, resp.StatusCode
}

// patience is how long a listener waits for an answer, or for its next line: not for a whole stream, whose test may take its time.
const patience = time.Minute

var errEnded = errors.New("the stream has ended")

// next is the next event; comments and what has no data are passed over.
func (l *listener) next() (e event, err error) {
	has, last := false, l.last
	for {
		l.limit.Reset(patience)
		line, err := l.in.ReadString('\n')
		l.limit.Stop() // who reads late is not cut off for it
		if err != nil {
			return event{}, errEnded
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			l.last = last
			if has {
				if e.kind == "" {
					e.kind = "message"
				}
				return e, nil
			}
			e = event{}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.kind = value
		case "data":
			e.data, has = e.data+value, true
		case "id":
			e.id, last = value, value
		}
	}
}

// want reads events and compares them with lines of "kind what", what being the name of a record or its id's end.
func (l *listener) want(lines ...string) {
	l.t.Helper()
	for _, want := range lines {
		e, err := l.next()
		if err != nil {
			l.t.Fatalf("%v, want %s", err, want)
		}
		if got := short(e); got != want {
			l.t.Fatalf("%s (%s), want %s", got, e.data, want)
		}
	}
}

func short(e event) string {
	n, err := doc.Parse([]byte(e.data), doc.Limits{})
	if err != nil {
		return e.kind + " " + err.Error()
	}
	out := e.kind
	if s, ok := n.Get("subscription"); ok {
		out += " " + s.Text
		n, _ = n.Get("record")
	}
	if name, ok := n.Get("name"); ok {
		return out + " " + name.Text
	}
	if id, ok := n.Get("id"); ok && len(n.Keys) == 1 {
		return out + " " + id.Text[len(id.Text)-2:]
	}
	return out
}

// ended waits for the end of the stream.
func (l *listener) ended() {
	l.t.Helper()
	if e, err := l.next(); err == nil {
		l.t.Fatalf("got %s, want the end", short(e))
	}
}

func id(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }

func with(n int, text string) string { return `{"id":"` + id(n) + `",` + text[1:] }

const shop = `
name: shop
auth: {roles: [member, staff]}
collections:
  teams:
    fields:
      name: {type: text, max: 40}
      owner: {type: text, max: 40}
      open: {type: bool}
    access: {read: true, write: true}
  posts:
    fields:
      name: {type: text, max: 40}
      n: {type: int}
      long: {type: text, max: 9000}
      public: {type: bool}
      team: {type: ref, to: teams, inverse: posts, onDelete: cascade}
      notes: {type: text, max: 99, read: 'auth.has("staff")'}
      hint: {type: text, max: 99, read: 'team.open == true'}
      hash: {type: text, max: 99, hidden: true}
    access: {read: true, write: true}
  drafts:
    fields:
      name: {type: text, max: 40}
      team: {type: ref, to: teams, inverse: drafts, onDelete: cascade}
    access: {read: 'team.owner == auth.id || auth.has("staff")', write: true}
  own:
    fields:
      name: {type: text, max: 40}
      by: {type: text, max: 40}
    access: {read: by == auth.id, write: true}
`

func TestList(t *testing.T) {
	onEach(t, shop, func(h *house) {
		l := h.listen("", "/api/posts", "")
		l.want("ready")
		h.create("posts", with(1, `{"name":"a","n":1}`))
		h.update("posts", id(1), `{"n":2}`)
		h.update("posts", id(1), `{"n":2}`) // nothing
		h.create("teams", `{"name":"t"}`)
		h.delete("posts", id(1))
		l.want("create a", "update a", "delete 01")
	})
}

func TestEnterAndLeave(t *testing.T) {
	onEach(t, shop, func(h *house) {
		l := h.listen("", "/api/posts?filter="+url.QueryEscape("n > param.n")+"&param.n=5&fields=name", "")
		l.want("ready")
		h.create("posts", with(1, `{"name":"a","n":1}`))
		h.update("posts", id(1), `{"n":6}`)
		h.update("posts", id(1), `{"n":7}`)
		h.update("posts", id(1), `{"n":5}`)
		h.create("posts", with(2, `{"name":"b","n":9}`))
		h.delete("posts", id(1))
		h.delete("posts", id(2))
		l.want("enter a", "update a", "leave 01", "create b", "delete 02")
	})
}

func TestOneRecord(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("posts", with(1, `{"name":"a"}`))
		h.create("posts", with(2, `{"name":"b"}`))
		l := h.listen("", "/api/posts/"+id(1)+"?start=snapshot", "")
		l.want("snapshot a", "ready")
		h.update("posts", id(2), `{"n":6}`)
		h.update("posts", id(1), `{"n":6}`)
		h.delete("posts", id(1))
		l.want("update a", "delete 01")
	})
}

func TestResume(t *testing.T) {
	onEach(t, shop, func(h *house) {
		l := h.listen("", "/api/posts", "")
		l.want("ready")
		h.create("posts", with(1, `{"name":"a"}`))
		l.want("create a")
		l.cancel()
		h.create("posts", with(2, `{"name":"b"}`))
		h.update("posts", id(1), `{"name":"c"}`)
		l = h.listen("", "/api/posts", l.last)
		l.want("create b", "update c")
		h.delete("posts", id(2))
		l.want("delete 02")
		before := l.last
		l.cancel()
		l = h.listen("", "/api/posts", before)
		h.create("posts", with(3, `{"name":"d"}`))
		l.want("create d")
	})
}

// One change may be several events: of lists that it is in, or of records that refer to what has changed.
func TestResumeBetweenTheEventsOfOneChange(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("teams", with(9, `{"name":"t","open":false}`))
		for n := range 3 {
			h.create("posts", with(n, fmt.Sprintf(`{"name":"p%d","team":"%s"}`, n, id(9))))
		}
		path := "/api/posts?fields=name&filter=" + url.QueryEscape("team.open == true")
		l := h.listen("", path, "")
		l.want("ready")
		h.update("teams", id(9), `{"open":true}`)
		l.want("enter p0")
		first := l.last
		l.want("enter p1")
		second := l.last
		l.want("enter p2")
		third := l.last
		h.update("teams", id(9), `{"open":false}`)
		l.want("leave 00", "leave 01", "leave 02")
		h.listen("", path, first).want("enter p1", "enter p2", "leave 00", "leave 01", "leave 02")
		h.listen("", path, second).want("enter p2", "leave 00", "leave 01", "leave 02")
		h.listen("", path, third).want("leave 00", "leave 01", "leave 02")
	})
}

func TestManyListsOverOneConnection(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("posts", with(1, `{"name":"a","n":1}`))
		h.create("teams", with(2, `{"name":"t"}`))
		path := "/api/live?start=snapshot&subscribe=" + url.QueryEscape("posts?filter="+url.QueryEscape("n > 0")) +
			"&subscribe=teams&subscribe=" + url.QueryEscape("posts/"+id(1)+"?fields=name")
		l := h.listen("", path, "")
		l.want("snapshot 0 a", "snapshot 1 t", "snapshot 2 a", "ready")
		h.update("posts", id(1), `{"n":2}`)
		l.want("update 0 a")
		first := l.last
		l.want("update 2 a")
		h.delete("teams", id(2))
		l.want("delete 1 02")
		h.listen("", path, first).want("update 2 a", "delete 1 02")
	})
}

func TestResync(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("posts", with(1, `{"name":"a"}`))
		head, err := h.Head(t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		for _, last := range []string{"nonsense", "other.1", "1", head.Epoch + ".99", head.Epoch + ".-1", head.Epoch + ".x", head.Epoch + ".0.0", head.Epoch + ".1.2"} {
			l := h.listen("", "/api/posts", last)
			l.want("resync")
			if l.last != "" {
				h.t.Errorf("after resync the last id is %q", l.last)
			}
			l.ended()
		}
		there := h.listen("", "/api/posts?fields=name", "")
		there.want("ready")
		for n := range 5 {
			h.create("posts", with(10+n, `{"name":"b"}`))
			there.want("create b")
		}
		if err := h.SweepChanges(t.Context(), time.Hour, 2); err != nil {
			h.t.Fatal(err)
		}
		h.listen("", "/api/posts?fields=name", head.String()).want("create b", "create b", "create b", "create b", "create b") // the hub remembers
		var old *data.TooOld
		if err := h.WithHistory(h.t.Context(), head, true, func(*data.History) error { return nil }); !errors.As(err, &old) {
			h.t.Errorf("looking back behind what was swept: %v", err)
		}
		h.anew()
		l := h.listen("", "/api/posts", head.String())
		l.want("resync")
		l.ended()
		head.Number += 3
		h.listen("", "/api/posts", head.String()).want("create b", "create b")
	})
}

func TestOnlyWhatTheCallerMayRead(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.callers.Store("ann", data.Caller{SignedIn: true, Role: "member", ID: id(100)})
		h.callers.Store("bob", data.Caller{SignedIn: true, Role: "member", ID: id(101)})
		h.callers.Store("staff", data.Caller{SignedIn: true, Role: "staff"})
		h.create("teams", with(1, `{"name":"t","owner":"`+id(100)+`"}`))
		ann, bob, staff := h.listen("ann", "/api/drafts", ""), h.listen("bob", "/api/drafts", ""), h.listen("staff", "/api/drafts", "")
		nobody := h.listen("", "/api/drafts", "")
		for _, l := range []*listener{ann, bob, staff, nobody} {
			l.want("ready")
		}
		h.create("drafts", with(2, `{"name":"d","team":"`+id(1)+`"}`))
		ann.want("create d")
		staff.want("create d")
		h.update("teams", id(1), `{"owner":"`+id(101)+`"}`)
		ann.want("leave 02")
		bob.want("enter d")
		h.update("drafts", id(2), `{"name":"e"}`)
		bob.want("update e")
		staff.want("update e")
		if h.atomic {
			h.delete("teams", id(1)) // cascades
		} else {
			h.delete("drafts", id(2))
			h.delete("teams", id(1))
		}
		bob.want("delete 02")
		staff.want("delete 02")
		h.update("teams", h.create("teams", `{"name":"end","owner":"`+id(100)+`"}`), `{"name":"x"}`)
		own := h.create("teams", `{"name":"u","owner":"`+id(100)+`"}`)
		h.create("drafts", with(3, `{"name":"f","team":"`+own+`"}`))
		ann.want("create f")
	})
}

func TestFieldRules(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.callers.Store("staff", data.Caller{SignedIn: true, Role: "staff"})
		h.create("teams", with(1, `{"name":"t","open":false}`))
		l, staff := h.listen("", "/api/posts", ""), h.listen("staff", "/api/posts", "")
		l.want("ready")
		staff.want("ready")
		h.create("posts", with(2, `{"name":"p","notes":"N","hint":"H","team":"`+id(1)+`"}`))
		fields := func(l *listener, want string) {
			h.t.Helper()
			e, err := l.next()
			if err != nil {
				h.t.Fatal(err)
			}
			if got := strings.Join(h.node(e.data).Keys[4:], ","); got != want {
				h.t.Fatalf("%s shows %s, want %s", e.kind, got, want)
			}
		}
		fields(l, "name,n,long,public,team")
		fields(staff, "name,n,long,public,team,notes")
		h.update("teams", id(1), `{"open":true}`)
		fields(l, "name,n,long,public,team,hint")
		fields(staff, "name,n,long,public,team,notes,hint")
		h.update("teams", id(1), `{"name":"no matter"}`)
		h.update("teams", id(1), `{"open":false}`)
		fields(l, "name,n,long,public,team")
	})
}

func TestMistakes(t *testing.T) {
	onEach(t, shop, func(h *house) {
		for path, want := range map[string]int{
			"/api/posts?sort=name":                     400,
			"/api/posts?limit=1":                       400,
			"/api/posts?filter=nix":                    400,
			"/api/posts?filter=hash%20%3D%3D%20%22%22": 400,
			"/api/posts?start=then":                    400,
			"/api/nothing":                             404,
			"/api/_changes":                            404,
			"/api/live":                                400,
			"/api/live?subscribe=nothing":              404,
			"/api/live?subscribe=posts%3Fsort%3Da":     400,
			"/api/live?subscribe=posts%2F":             400,
			"/api/live?subscribe=_log":                 404,
		} {
			l, status := h.ask("", path, "")
			if status != want {
				b, _ := io.ReadAll(l.body)
				h.t.Errorf("%s: %d, want %d: %s", path, status, want, b)
			}
		}
		if _, status := h.ask("stranger", "/api/posts", ""); status != 401 {
			h.t.Errorf("a wrong credential: %d", status)
		}
	})
}

func TestWhoIsNotAnyMoreWhoHeWas(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.callers.Store("ann", data.Caller{SignedIn: true, Role: "staff", ID: id(100)})
		l := h.listen("ann", "/api/own", "")
		l.want("ready")
		h.callers.Delete("ann")
		l.want("resync")
		l.ended()
	})
}

// A client that takes nothing is cut off; the others are told everything meanwhile.
func TestSlowReader(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("teams", `{"name":"t"}`)
		slow := h.listen("", "/api/posts?fields=name,long", "")
		slow.want("ready")
		quick := h.listen("", "/api/posts?fields=name,long", "")
		quick.want("ready")
		body := h.node(`{"name":"x","long":"` + strings.Repeat("x", 9000) + `"}`)
		done := make(chan int, 1)
		go func() {
			n := 0
			for {
				e, err := quick.next()
				if err != nil { // the machine is slow, and it was not quick enough
					quick = h.listen("", "/api/posts?fields=name,long", quick.last)
					continue
				}
				if short(e) == "create end" {
					done <- n
					return
				}
				n++
			}
		}()
		many := 4000
		if !h.atomic { // one by one, which takes longer
			many = 2000
		}
		for from := 0; from < many; from += 100 {
			ops := make([]data.Operation, 100)
			for i := range ops {
				ops[i] = data.Operation{Op: "create", Collection: "posts", Body: body}
			}
			h.batch(ops...)
		}
		h.create("posts", `{"name":"end"}`)
		if n := <-done; n != many {
			h.t.Errorf("the quick one has seen %d, want %d", n, many)
		}
		n := 0
		for {
			e, err := slow.next()
			if err != nil {
				break
			}
			if n++; short(e) == "create end" {
				h.t.Fatal("the slow one was told all: nothing was in its way")
			}
		}
		again := h.listen("", "/api/posts?fields=name,long", slow.last)
		for ; ; n++ {
			e, err := again.next()
			if err != nil || e.kind != "create" {
				h.t.Fatalf("after %d: %v %v", n, e, err)
			}
			if short(e) == "create end" {
				break
			}
		}
		if n != many {
			h.t.Errorf("the slow one has seen %d after it came back, want %d", n, many)
		}
	})
}

func TestLogForOperators(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.callers.Store("staff", data.Caller{SignedIn: true, Role: "staff"})
		for who, want := range map[string]int{"": 401, "staff": 403, "stranger": 401} {
			for _, accept := range []string{"application/json", "text/event-stream"} {
				if status, _ := h.get(who, "/api/changes", accept); status != want {
					h.t.Errorf("%q, %s: %d, want %d", who, accept, status, want)
				}
			}
		}
		l := h.listen("root", "/api/changes", "")
		l.want("ready")
		h.create("posts", with(1, `{"name":"a","notes":"N"}`))
		h.update("posts", id(1), `{"name":"b"}`)
		h.delete("posts", id(1))
		for _, want := range []string{"create", "update", "delete"} {
			e, err := l.next()
			if err != nil || e.kind != "change" {
				h.t.Fatal(e, err)
			}
			n := h.node(e.data)
			op, _ := n.Get("op")
			old, isOld := n.Get("old")
			is, isNew := n.Get("new")
			if op.Text != want || isOld != (want != "create") || isNew != (want != "delete") {
				h.t.Fatal(e.data)
			}
			if want == "update" {
				was, _ := old.Get("name")
				now, _ := is.Get("name")
				notes, _ := is.Get("notes")
				if was.Text != "a" || now.Text != "b" || notes.Text != "N" {
					h.t.Fatal(e.data)
				}
			}
		}
		status, page := h.get("root", "/api/changes", "application/json")
		n := h.node(page)
		changes, _ := n.Get("changes")
		next, _ := n.Get("next")
		if status != 200 || len(changes.Items) != 3 || next.Text != l.last {
			h.t.Fatalf("%d %s, want three changes up to %s", status, page, l.last)
		}
		second, _ := changes.Items[1].Get("position")
		if _, page = h.get("root", "/api/changes?after="+second.Text, "application/json"); strings.Count(page, `"op"`) != 1 {
			h.t.Errorf("behind the second: %s", page)
		}
		for after, want := range map[string]int{"nonsense": 400, "other.1": 400, next.Text + "9": 400} {
			if status, page := h.get("root", "/api/changes?after="+after, "application/json"); status != want {
				h.t.Errorf("after %s: %d %s", after, status, page)
			}
		}
		h.listen("root", "/api/changes", second.Text).want("change")
		h.callers.Delete("root")
		l.want("resync")
		l.ended()
	})
}

func (h *house) get(who, path, accept string) (int, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
