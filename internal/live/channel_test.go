package live_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
)

const hall = `
name: hall
auth: {roles: [member, staff]}
server: {limits: {streams: 40}}
collections:
  posts: {fields: {name: {type: text, max: 40}}, access: {read: true, write: true}}
  rooms:
    fields:
      name: {type: text, max: 40}
    access: {write: true}
  seats:
    fields:
      room: {type: ref, to: rooms, required: true, inverse: seats, onDelete: cascade}
      user: {type: text, max: 40}
    access: {write: true}
channels:
  open: {read: true, write: true, presence: true}
  quiet: {read: true, write: 'auth.has("staff")'}
  own: {read: key == auth.id, write: key == auth.id}
  room: {to: rooms, read: 'key.seats.exists(s, s.user == auth.id)', write: 'key.seats.exists(s, s.user == auth.id)', presence: true}
`

func (h *house) people() {
	h.callers.Store("ann", data.Caller{SignedIn: true, Role: "member", ID: id(100), Scope: "user:ann"})
	h.callers.Store("bob", data.Caller{SignedIn: true, Role: "member", ID: id(101), Scope: "user:bob"})
	h.callers.Store("staff", data.Caller{SignedIn: true, Role: "staff", Scope: "key:staff"})
	h.callers.Store("reader", data.Caller{SignedIn: true, Role: "staff", ReadOnly: true, Scope: "key:reader"})
}

// do sends a request as somebody.
func (h *house) do(who, method, path, body string) (int, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
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

func (h *house) say(who, channel, body string) {
	h.t.Helper()
	if status, b := h.do(who, "POST", "/api/live/"+channel, body); status != 202 {
		h.t.Fatalf("POST %s: %d %s", channel, status, b)
	}
}

// told reads events and compares them as they are.
func (l *listener) told(lines ...string) {
	l.t.Helper()
	for _, want := range lines {
		e, err := l.next()
		if err != nil {
			l.t.Fatalf("%v, want %s", err, want)
		}
		if got := e.kind + " " + e.data; got != want {
			l.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func TestMessages(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		l, other, plain := h.listen("", "/api/live/quiet/a.b", ""), h.listen("", "/api/live/quiet/other", ""), h.listen("", "/api/live/quiet", "")
		both := h.listen("", "/api/live?subscribe=posts&subscribe="+url.QueryEscape("channel:quiet/a.b"), "")
		for _, one := range []*listener{l, other, plain, both} {
			one.want("ready")
		}
		h.say("staff", "quiet/a.b", `{"event":"x","data":{"n":[1,null]}}`)
		h.say("staff", "quiet/a.b", `{"data":"\n\ndata: evil\r\nevent: create\u2028\u0000"}`)
		h.say("staff", "quiet", `{"event":"here"}`)
		h.say("staff", "quiet/other", `{"event":"there"}`)
		l.told(`message {"event":"x","data":{"n":[1,null]}}`)
		e, err := l.next()
		if err != nil || e.kind != "message" || e.id != "" || strings.ContainsAny(e.data, "\r\n\x00") {
			h.t.Fatalf("%q %v", e, err)
		}
		if d, _ := h.node(e.data).Get("data"); d.Text != "\n\ndata: evil\r\nevent: create\u2028\x00" {
			h.t.Errorf("%q", d.Text)
		}
		plain.told(`message {"event":"here"}`)
		other.told(`message {"event":"there"}`)
		both.told(`message {"subscription":1,"message":{"event":"x","data":{"n":[1,null]}}}`)
		both.next()
		h.create("posts", `{"name":"a"}`)
		both.want("create 0 a")
	})
}

func TestFromIsWhoSends(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		l := h.listen("ann", "/api/live/own/"+id(100), "")
		l.want("ready")
		h.say("ann", "own/"+id(100), `{"event":"hi"}`)
		l.told(`message {"event":"hi","from":"` + id(100) + `"}`)
	})
}

func TestChannelRules(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		h.create("rooms", with(1, `{"name":"r"}`))
		h.create("seats", with(2, `{"room":"`+id(1)+`","user":"`+id(100)+`"}`))
		own, room := "own/"+id(100), "room/"+id(1)
		for _, c := range []struct {
			who, channel string
			read, write  int
		}{
			{"", "open", 200, 202}, {"", "open/k", 200, 202}, {"reader", "open", 200, 403},
			{"", "quiet", 200, 401}, {"ann", "quiet", 200, 403}, {"staff", "quiet", 200, 202}, {"root", "quiet", 200, 202},
			{"", own, 401, 401}, {"ann", own, 200, 202}, {"bob", own, 403, 403}, {"staff", own, 403, 403}, {"root", own, 200, 202},
			{"", "own", 401, 401}, {"staff", "own", 403, 403}, {"ann", "own", 403, 403},
			{"", room, 401, 401}, {"ann", room, 200, 202}, {"bob", room, 403, 403}, {"reader", room, 403, 403},
			{"ann", "room/" + id(9), 403, 403}, {"ann", "room", 404, 404}, {"ann", "room/1", 404, 404}, {"ann", "room/" + strings.ToUpper(id(1)), 200, 202},
			{"root", "nothing", 404, 404}, {"root", "posts", 404, 404}, {"stranger", "open", 401, 401},
			{"", "open/a%2Fb", 404, 404}, {"", "open/a%0Ab", 404, 404}, {"", "open/%C3%A9", 404, 404}, {"", "open/" + strings.Repeat("a", 101), 404, 404},
			{"", "open/a/b", 404, 404}, {"", "open/", 404, 404}, {"", "open/..", 404, 404}, {"", "open/%2e%2e", 404, 404}, {"", "open/a%20b", 404, 404},
		} {
			l, status := h.ask(c.who, "/api/live/"+c.channel, "")
			l.cancel()
			if status != c.read {
				h.t.Errorf("%q listens to %s: %d, want %d", c.who, c.channel, status, c.read)
			}
			if status, b := h.do(c.who, "POST", "/api/live/"+c.channel, `{"event":"x"}`); status != c.write {
				h.t.Errorf("%q sends to %s: %d %s, want %d", c.who, c.channel, status, b, c.write)
			}
			if strings.ContainsAny(c.channel, "%") {
				continue
			}
			many, status := h.ask(c.who, "/api/live?subscribe=posts&subscribe=channel:"+c.channel, "")
			many.cancel()
			if status != c.read && !(status == 400 && c.read == 404) {
				h.t.Errorf("%q listens to %s beside a list: %d, want %d", c.who, c.channel, status, c.read)
			}
		}
	})
}

// Who may not listen any more is told nothing more, whatever it was that gave him the right.
func TestChannelRightsChange(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		h.create("rooms", with(1, `{"name":"r"}`))
		h.create("seats", with(2, `{"room":"`+id(1)+`","user":"`+id(100)+`"}`))
		h.create("seats", with(3, `{"room":"`+id(1)+`","user":"`+id(101)+`"}`))
		ann := h.listen("ann", "/api/live/room/"+id(1), "")
		ann.want("presence", "ready")
		bob := h.listen("bob", "/api/live/room/"+id(1), "")
		bob.want("presence", "ready")
		ann.want("join")
		h.delete("seats", id(2))
		ann.want("resync")
		ann.ended()
		bob.told(`leave {"id":"` + id(100) + `"}`)
		h.say("bob", "room/"+id(1), `{"event":"alone"}`)
		bob.told(`message {"event":"alone","from":"` + id(101) + `"}`)
		h.callers.Delete("bob")
		bob.want("resync")
		bob.ended()
	})
}

func TestMessageMistakes(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		for body, want := range map[string]int{
			`{}`: 400, `[]`: 400, `"x"`: 400, ``: 415, `{"event":""}`: 400, `{"event":1}`: 400, `{"event":"` + strings.Repeat("é", 101) + `"}`: 400,
			`{"event":"x","from":"someone"}`: 400, `{"event":"x","Event":"y"}`: 400, `{"data":1}{"data":2}`: 400, "{\"data\":\"\xff\"}": 400,
			`{"data":"` + strings.Repeat("x", 8200) + `"}`: 413, `{"data":null}`: 202, `{"data":"` + strings.Repeat("x", 8000) + `"}`: 202,
		} {
			if status, b := h.do("staff", "POST", "/api/live/open", body); status != want {
				h.t.Errorf("%.60s: %d %s, want %d", body, status, b, want)
			}
		}
		for path, want := range map[string]int{
			"/api/live/open?x=1": 400, "/api/live/open?state=1": 400, "/api/live/open?state=" + url.QueryEscape(`{"a":1}`): 200,
			"/api/live/open?state=" + url.QueryEscape(`{"a":"`+strings.Repeat("x", 2050)+`"}`): 400,
			"/api/live/quiet?state={}": 400, "/api/live?subscribe=channel:": 404, "/api/live?subscribe=channel:open/": 400,
			"/api/live?subscribe=" + url.QueryEscape("channel:open?start=now"): 400, "/api/live?start=snapshot&subscribe=channel:open": 200,
		} {
			l, status := h.ask("", path, "")
			if status != want {
				b, _ := io.ReadAll(l.body)
				h.t.Errorf("%s: %d %s, want %d", path, status, b, want)
			}
			l.cancel()
		}
		if status, _ := h.do("", "DELETE", "/api/live/open", ""); status != 405 {
			h.t.Errorf("DELETE: %d", status)
		}
	})
}

func TestPresence(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		ann := h.listen("ann", "/api/live/open/x?state="+url.QueryEscape(`{"typing":false}`), "")
		ann.told(`presence {"you":"` + id(100) + `","members":[{"id":"` + id(100) + `","state":{"typing":false}}]}`)
		ann.want("ready")
		bob := h.listen("bob", "/api/live?subscribe=posts&subscribe=channel:open/x", "")
		bob.told(`presence {"subscription":1,"presence":{"you":"` + id(101) + `","members":[{"id":"` + id(100) + `","state":{"typing":false}},{"id":"` + id(101) + `","state":{}}]}}`)
		bob.want("ready")
		ann.told(`join {"id":"` + id(101) + `","state":{}}`)
		if status, b := h.do("bob", "PUT", "/api/live/open/x/presence", `{"typing":true}`); status != 204 {
			h.t.Fatalf("%d %s", status, b)
		}
		ann.told(`state {"id":"` + id(101) + `","state":{"typing":true}}`)
		bob.told(`state {"subscription":1,"member":{"id":"` + id(101) + `","state":{"typing":true}}}`)
		again := h.listen("bob", "/api/live/open/x", "") // he is there already
		again.want("presence", "ready")
		nobody := h.listen("", "/api/live/open/x", "")
		nobody.want("presence", "ready")
		e, err := ann.next()
		who, _ := h.node(e.data).Get("id")
		if err != nil || e.kind != "join" || who == nil || len(who.Text) < 20 {
			h.t.Fatal(e, err)
		}
		unseen := h.listen("reader", "/api/live/open/x", "")
		unseen.want("ready")
		if status, b := h.do("ann", "GET", "/api/live/open/x/presence", ""); status != 200 || strings.Count(b, `"id"`) != 3 {
			h.t.Errorf("%d %s", status, b)
		}
		if status, b := h.do("ann", "GET", "/api/live/open/y/presence", ""); status != 200 || b != `{"members":[]}` {
			h.t.Errorf("%d %s", status, b)
		}
		bob.cancel()
		nobody.cancel()
		ann.told(`leave {"id":"` + who.Text + `"}`)
		again.cancel() // his last
		ann.told(`leave {"id":"` + id(101) + `"}`)
		for _, c := range []struct {
			who, method, path, body string
			want                    int
		}{
			{"bob", "PUT", "/api/live/open/x/presence", `{}`, 409}, {"", "PUT", "/api/live/open/x/presence", `{}`, 403}, {"staff", "PUT", "/api/live/open/x/presence", `{}`, 403},
			{"reader", "PUT", "/api/live/open/x/presence", `{}`, 403}, {"ann", "PUT", "/api/live/open/x/presence", `[]`, 400},
			{"ann", "PUT", "/api/live/open/x/presence", `{"a":"` + strings.Repeat("x", 2100) + `"}`, 413}, {"ann", "PUT", "/api/live/quiet/presence", `{}`, 403},
			{"", "GET", "/api/live/quiet/presence", ``, 404}, {"", "GET", "/api/live/own/" + id(100) + "/presence", ``, 401},
			{"bob", "GET", "/api/live/own/" + id(100) + "/presence", ``, 403}, {"ann", "GET", "/api/live/open/presence?x=1", ``, 400},
		} {
			if status, b := h.do(c.who, c.method, c.path, c.body); status != c.want {
				h.t.Errorf("%q %s %s %.30s: %d %s, want %d", c.who, c.method, c.path, c.body, status, b, c.want)
			}
		}
	})
}

func TestChannelLimits(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		limited := 0
		for range 400 {
			status, _ := h.do("staff", "POST", "/api/live/open", `{"data":1}`)
			if limited = status; status != 202 {
				break
			}
		}
		if limited != 429 {
			h.t.Errorf("a flood is answered with %d", limited)
		}
		if status, b := h.do("ann", "POST", "/api/live/open", `{"data":1}`); status != 202 {
			h.t.Errorf("another caller pays for it: %d %s", status, b)
		}
		var all []*listener
		for n := range 41 {
			l, status := h.ask("staff", "/api/live/quiet", "")
			if want := map[bool]int{true: 200, false: 429}[n < 40]; status != want {
				h.t.Fatalf("connection %d: %d, want %d", n, status, want)
			}
			all = append(all, l)
		}
		if _, status := h.ask("ann", "/api/live/quiet", ""); status != 200 {
			h.t.Errorf("another caller pays for it: %d", status)
		}
		many := "/api/live?subscribe=posts"
		for n := range 100 {
			many += fmt.Sprintf("&subscribe=channel:open/%d", n)
		}
		if _, status := h.ask("ann", many, ""); status != 400 {
			h.t.Errorf("101 subscriptions: %d", status)
		}
		_ = all
	})
}
