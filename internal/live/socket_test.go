package live_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/live"
)

// talker is a client of a WebSocket.
type talker struct {
	h    *house
	conn *websocket.Conn
	ctx  context.Context
}

func (h *house) dial(who, query string, headers ...string) *talker {
	h.t.Helper()
	c, resp, err := h.tryDial(who, query, headers...)
	if err != nil {
		h.t.Fatalf("%v %v", resp, err)
	}
	return c
}

func (h *house) tryDial(who, query string, headers ...string) (*talker, *http.Response, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	h.t.Cleanup(cancel)
	o := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if who != "" {
		o.HTTPHeader.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i < len(headers); i += 2 {
		o.HTTPHeader.Set(headers[i], headers[i+1])
	}
	conn, resp, err := websocket.Dial(ctx, h.url+"/api/live"+query, o)
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(-1)
	h.t.Cleanup(func() { conn.CloseNow() })
	return &talker{h, conn, ctx}, resp, nil
}

func (c *talker) say(text string) {
	c.h.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.h.t.Fatal(err)
	}
}

func (c *talker) next() (string, error) {
	_, b, err := c.conn.Read(c.ctx)
	return string(b), err
}

// told reads events; of those that are given without the last brace only the beginning is compared, and ids are passed over.
func (c *talker) told(lines ...string) {
	c.h.t.Helper()
	for _, want := range lines {
		got, err := c.next()
		if err != nil {
			c.h.t.Fatalf("%v, want %s", err, want)
		}
		plain := got
		if before, rest, ok := strings.Cut(got, `,"id":"`); ok && strings.HasPrefix(before, `{"event":"`) && !strings.Contains(before, ",") {
			_, rest, _ = strings.Cut(rest, `"`)
			plain = before + rest
		}
		if plain != want && !(strings.HasPrefix(plain, strings.TrimSuffix(want, "…")) && strings.HasSuffix(want, "…")) {
			c.h.t.Fatalf("got  %s\nwant %s", plain, want)
		}
	}
}

func (c *talker) closed(status websocket.StatusCode) {
	c.h.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			if got := websocket.CloseStatus(err); got != status {
				c.h.t.Errorf("closed with %d (%v), want %d", got, err, status)
			}
			return
		}
	}
}

func TestSocket(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		h.create("posts", with(1, `{"name":"a"}`))
		c := h.dial("ann", "?start=snapshot&subscribe=posts%3Ffields%3Dname&subscribe=channel:open/x")
		c.told(`{"event":"snapshot","subscription":0,"record":{"id":"`+id(1)+`","name":"a"}}`,
			`{"event":"presence","subscription":1,"presence":{"you":"`+id(100)+`","members":[{"id":"`+id(100)+`","state":{}}]}}`,
			`{"event":"ready","position":…`)
		h.update("posts", id(1), `{"name":"b"}`)
		c.told(`{"event":"update","subscription":0,"record":{"id":"` + id(1) + `","name":"b"}}`)
		c.say(`{"subscribe":"posts?filter=name==\"c\"&fields=name","id":7}`)
		c.told(`{"event":"ready","subscription":7,"position":…`)
		h.update("posts", id(1), `{"name":"c"}`)
		first, _ := c.next()
		second, _ := c.next()
		if both := first + second; !strings.Contains(both, `"event":"update"`) || !strings.Contains(both, `"subscription":7,"record":{"id":"`+id(1)) || !strings.Contains(both, `"enter"`) {
			h.t.Fatal(both)
		}
		c.say(`{"subscribe":"channel:open/y","state":{"a":1}}`)
		c.told(`{"event":"presence","subscription":2,"presence":{"you":"`+id(100)+`","members":[{"id":"`+id(100)+`","state":{"a":1}}]}}`,
			`{"event":"ready","subscription":2,"channel":"open/y"}`)
		c.say(`{"send":"open/y","event":"hi","data":"\n"}`)
		c.told(`{"event":"message","subscription":2,"message":{"event":"hi","data":"\n","from":"` + id(100) + `"}}`)
		c.say(`{"state":{"a":2},"id":2}`)
		c.told(`{"event":"state","subscription":2,"member":{"id":"` + id(100) + `","state":{"a":2}}}`)
		for _, sub := range []string{"0", "7", "1", "2"} {
			c.say(`{"unsubscribe":` + sub + `}`)
			c.told(`{"event":"end","subscription":` + sub + `,"reason":"unsubscribed"}`)
		}
		h.delete("posts", id(1))
		h.say("ann", "open/x", `{"event":"x"}`)
		c.say(`{"ping":[1]}`)
		c.told(`{"event":"pong","ping":[1]}`)
		for _, m := range [][2]string{
			{`{`, `{"event":"error","problem":{"type":"/problems/bad-request","title":"The request cannot be understood","status":400,…`},
			{`[]`, `{"event":"error","problem":{"type":"/problems/bad-request",…`},
			{`{"nothing":1}`, `{"event":"error","problem":{"type":"/problems/bad-request",…`},
			{`{"send":"quiet","event":"x"}`, `{"event":"error","problem":{"type":"/problems/forbidden",…`},
			{`{"send":"open","what":"x"}`, `{"event":"error","problem":{"type":"/problems/bad-request",…`},
			{`{"send":"none","event":"x"}`, `{"event":"error","problem":{"type":"/problems/not-found",…`},
			{`{"send":"open","data":"` + strings.Repeat("x", 8300) + `"}`, `{"event":"error","problem":{"type":"/problems/too-large",…`},
			{`{"subscribe":"nothing","id":3}`, `{"event":"error","subscription":3,"problem":{"type":"/problems/not-found",…`},
			{`{"subscribe":"posts?sort=name","id":3}`, `{"event":"error","subscription":3,"problem":{"type":"/problems/bad-request",…`},
			{`{"subscribe":"posts","id":-1}`, `{"event":"error","problem":{"type":"/problems/bad-request",…`},
			{`{"subscribe":"channel:own/` + id(101) + `","id":3}`, `{"event":"error","subscription":3,"problem":{"type":"/problems/forbidden",…`},
			{`{"unsubscribe":3}`, `{"event":"error","subscription":3,"problem":{"type":"/problems/not-found",…`},
			{`{"state":{},"id":3}`, `{"event":"error","subscription":3,"problem":{"type":"/problems/not-found",…`},
			{`{"token":"bob"}`, `{"event":"error","problem":{"type":"/problems/conflict",…`},
			{`{"token":"stranger"}`, `{"event":"error","problem":{"type":"/problems/unauthenticated",…`},
		} {
			c.say(m[0])
			c.told(m[1])
		}
		c.say(`{"token":"ann"}`)
		c.say(`{"ping":1}`)
		c.told(`{"event":"pong","ping":1}`)
		if err := c.conn.Ping(c.conn.CloseRead(c.ctx)); err != nil {
			h.t.Error(err)
		}
		c.conn.Close(websocket.StatusNormalClosure, "")
	})
}

func TestSocketResumes(t *testing.T) {
	onEach(t, hall, func(h *house) {
		c := h.dial("", "?subscribe=posts%3Ffields%3Dname")
		c.told(`{"event":"ready","position":…`)
		h.create("posts", with(1, `{"name":"a"}`))
		e, _ := c.next()
		last, _ := h.node(e).Get("id")
		c.conn.CloseNow()
		h.create("posts", with(2, `{"name":"b"}`))
		c = h.dial("", "?subscribe=posts%3Ffields%3Dname&lastEventId="+last.Text)
		c.told(`{"event":"create","subscription":0,"record":{"id":"` + id(2) + `","name":"b"}}`)
		c.say(`{"subscribe":"posts?fields=name","id":5,"lastEventId":"` + last.Text + `"}`)
		c.told(`{"event":"ready","subscription":5,"position":"`+last.Text+`"}`, `{"event":"create","subscription":5,"record":{"id":"`+id(2)+`","name":"b"}}`)
		c.say(`{"subscribe":"posts?fields=name","id":6,"lastEventId":"other.1"}`)
		c.told(`{"event":"resync","subscription":6,"reason":…`)
		c.say(`{"subscribe":"posts?fields=name","id":6,"start":"snapshot"}`)
		c.told(`{"event":"snapshot","subscription":6,"record":{"id":"`+id(1)+`","name":"a"}}`, `{"event":"snapshot","subscription":6,"record":{"id":"`+id(2)+`","name":"b"}}`,
			`{"event":"ready","subscription":6,"position":…`)
		c = h.dial("", "?subscribe=posts&lastEventId=other.1")
		c.told(`{"event":"resync","reason":…`)
		c.closed(websocket.StatusGoingAway)
	})
}

func TestSocketToken(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		c := h.dial("", "")
		c.say(`{"token":"ann"}`)
		c.told(`{"event":"ready","position":…`)
		c.say(`{"subscribe":"channel:own/` + id(100) + `"}`)
		c.told(`{"event":"ready","subscription":0,"channel":"own/` + id(100) + `"}`)
		ann, _ := h.callers.Load("ann")
		h.callers.Store("ann2", ann)
		c.say(`{"token":"ann2"}`)
		c.say(`{"ping":1}`)
		c.told(`{"event":"pong","ping":1}`)
		h.callers.Delete("ann") // the old one is not valid any more, and does not matter
		h.say("ann2", "own/"+id(100), `{"event":"still"}`)
		c.told(`{"event":"message","subscription":0,"message":{"event":"still","from":"` + id(100) + `"}}`)
		h.callers.Delete("ann2")
		c.told(`{"event":"resync","reason":"the credential is not valid any more"}`)
		c.closed(websocket.StatusGoingAway)
		c = h.dial("", "")
		c.say(`{"token":"stranger"}`)
		c.told(`{"event":"error","problem":{"type":"/problems/unauthenticated",…`)
		c.closed(websocket.StatusPolicyViolation)
		for _, query := range []string{"?token=bob", "?access_token=bob"} {
			if _, resp, err := h.tryDial("", query); err == nil || resp.StatusCode != 400 {
				h.t.Errorf("%s: %v", query, resp)
			}
		}
		if _, resp, err := h.tryDial("stranger", ""); err == nil || resp.StatusCode != 401 {
			h.t.Errorf("a wrong credential: %v", resp)
		}
		if _, resp, err := h.tryDial("", "?subscribe=channel:own"); err == nil || resp.StatusCode != 401 {
			h.t.Errorf("a channel that is not his: %v", resp)
		}
	})
}

func TestSocketOrigin(t *testing.T) {
	t.Parallel()
	for yaml, allowed := range map[string]map[string]bool{
		hall: {"https://evil.example": false, "null": false, "": true, "SELF": true, "file://": false},
		strings.Replace(hall, "server: {", `server: {url: "https://app.example", cors: {origins: ["https://friend.example"]}, `, 1): {
			"https://evil.example": false, "https://friend.example": true, "https://app.example": true, "http://friend.example": false,
			"https://friend.example.evil": false, "null": false, "SELF": true},
		strings.Replace(hall, "server: {", `server: {cors: {origins: ["*"]}, `, 1): {"https://evil.example": true, "null": false},
	} {
		h := serve(t, yaml, engines["memory"](t))
		for origin, want := range allowed {
			var headers []string
			if origin != "" {
				headers = []string{"Origin", strings.Replace(origin, "SELF", h.url, 1)}
			}
			_, resp, err := h.tryDial("", "", headers...)
			if want != (err == nil) || !want && resp.StatusCode != 403 {
				t.Errorf("%q: %v %v, want %v", origin, resp.StatusCode, err, want)
			}
		}
	}
}

// A cookie goes along whoever's page it is, as long as it is of the same site: it counts where credentials are allowed.
func TestSocketCookie(t *testing.T) {
	t.Parallel()
	for cors, want := range map[string]bool{`origins: ["*"]`: false, `origins: ["https://friend.example"]`: false, `origins: ["https://friend.example"], credentials: true`: true} {
		h := serve(t, strings.Replace(hall, "server: {", "server: {cors: {"+cors+"}, ", 1), engines["memory"](t))
		for _, c := range []struct {
			who  string
			want bool
			with []string
		}{
			{"", want, []string{"Cookie", "who=root", "Origin", "https://friend.example"}},
			{"", true, []string{"Cookie", "who=root", "Origin", h.url}},
			{"", true, []string{"Cookie", "other=root", "Origin", "https://friend.example"}},
			{"root", true, []string{"Cookie", "who=root", "Origin", "https://friend.example"}},
		} {
			_, resp, err := h.tryDial(c.who, "", c.with...)
			if c.want != (err == nil) || !c.want && resp.StatusCode != 403 {
				t.Errorf("%s, %v: %d %v, want %v", cors, c.with, resp.StatusCode, err, c.want)
			}
		}
	}
}

func TestSocketLimits(t *testing.T) {
	onEach(t, hall, func(h *house) {
		h.people()
		c := h.dial("ann", "")
		c.told(`{"event":"ready","position":…`)
		for n := range 100 {
			c.say(fmt.Sprintf(`{"subscribe":"posts","id":%d}`, n))
			c.told(fmt.Sprintf(`{"event":"ready","subscription":%d,"position":…`, n))
		}
		c.say(`{"subscribe":"channel:open"}`)
		c.told(`{"event":"error","subscription":100,"problem":{"type":"/problems/too-many-requests",…`)
		for range 600 {
			if c.conn.Write(c.ctx, websocket.MessageText, []byte(`{"send":"open","data":1}`)) != nil {
				break
			}
		}
		c.closed(websocket.StatusPolicyViolation)
		c = h.dial("bob", "")
		c.say(`{"ping":"` + strings.Repeat("x", 33<<10) + `"}`)
		c.closed(websocket.StatusMessageTooBig)
		for range 40 {
			h.dial("staff", "")
		}
		if _, resp, err := h.tryDial("staff", ""); err == nil || resp.StatusCode != 429 {
			h.t.Errorf("41 connections: %v", resp)
		}
	})
}

// raw opens a WebSocket and gives the connection itself.
func (h *house) raw() (net.Conn, *bufio.Reader) {
	h.t.Helper()
	u, _ := url.Parse(h.url)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /api/live HTTP/1.1\r\nHost: %s\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		u.Host, base64.StdEncoding.EncodeToString(make([]byte, 16)))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" {
		h.t.Fatalf("%v %v", resp, err)
	}
	return conn, in
}

// What is no frame of a client ends the connection with the status that RFC 6455 says.
func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	h := serve(t, hall, engines["memory"](t))
	frame := func(first byte, masked bool, size int, payload string) []byte {
		b := []byte{first, byte(size)}
		if size == 126 {
			b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		}
		if masked {
			b[1] |= 0x80
			b = append(b, 0, 0, 0, 0)
		}
		return append(b, payload...)
	}
	for name, c := range map[string]struct {
		sent   []byte
		status int
	}{
		"not masked":            {frame(0x81, false, 2, "{}"), 1002},
		"reserved bit":          {frame(0xC1, true, 2, "{}"), 1002},
		"no such frame":         {frame(0x83, true, 2, "{}"), 1002},
		"binary":                {frame(0x82, true, 2, "{}"), 1003},
		"goes on with nothing":  {frame(0x80, true, 2, "{}"), 1002},
		"begins twice":          {append(frame(0x01, true, 1, "{"), frame(0x81, true, 1, "}")...), 1002},
		"long ping":             {frame(0x89, true, 126, strings.Repeat("x", 126)), 1002},
		"ping in parts":         {frame(0x09, true, 1, "x"), 1002},
		"not UTF-8":             {frame(0x81, true, 2, "\xff\xfe"), 1007},
		"too long":              {[]byte{0x81, 0xFF, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 1009},
		"longest":               {[]byte{0x81, 0xFF, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 1009},
		"close of one byte":     {frame(0x88, true, 1, "x"), 1002},
		"close without reason":  {frame(0x88, true, 2, "\x03\xed"), 1002},
		"close":                 {frame(0x88, true, 2, "\x03\xe8"), 1000},
		"close with a text":     {frame(0x88, true, 5, "\x0b\xb8bye"), 3000},
		"126 bytes and goodbye": {append(frame(0x81, true, 126, `{"ping":1`+strings.Repeat(" ", 3*128+126-10)+`}`), frame(0x88, true, 2, "\x03\xe8")...), 1000},
		"parts that grow large": {append(append(frame(0x01, true, 126, strings.Repeat("x", 30000)), frame(0x00, true, 126, strings.Repeat("x", 2700))...), frame(0x80, true, 126, strings.Repeat("x", 200))...), 1009},
	} {
		conn, in := h.raw()
		conn.Write(c.sent)
		for {
			var head [2]byte
			if _, err := in.Read(head[:1]); err != nil {
				t.Errorf("%s: ends without a close frame: %v", name, err)
				break
			}
			head[1], _ = in.ReadByte()
			payload := make([]byte, head[1])
			if head[1] > 125 {
				t.Fatalf("%s: a long frame", name)
			}
			for i := range payload {
				payload[i], _ = in.ReadByte()
			}
			if head[0] != 0x88 {
				continue
			}
			if status := int(binary.BigEndian.Uint16(payload)); status != c.status {
				t.Errorf("%s: closed with %d, want %d", name, status, c.status)
			}
			break
		}
	}
	conn, in := h.raw()
	conn.Write(append(append(append(frame(0x01, true, 4, `{"pi`), frame(0x89, true, 2, "hi")...), frame(0x00, true, 4, `ng":`)...), frame(0x80, true, 2, "1}")...))
	want := "\x8a\x02hi"
	got := make([]byte, len(want))
	for i := range got {
		got[i], _ = in.ReadByte()
	}
	if string(got) != want {
		t.Errorf("a ping within a message: %q", got)
	}
}

// A WebSocket that takes nothing is cut off.
func TestSlowSocket(t *testing.T) {
	t.Parallel()
	h := serve(t, shop, engines["memory"](t))
	conn, _ := h.raw()
	_, err := conn.Write(append([]byte{0x81, 0x80 | 21, 0, 0, 0, 0}, `{"subscribe":"posts"}`...))
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 { // until it is there
		if h.hub.Count() == 2 {
			break
		}
		h.Head(t.Context())
	}
	body := h.node(`{"name":"x","long":"` + strings.Repeat("x", 9000) + `"}`)
	for round := 0; h.hub.Count() > 0; round++ {
		ops := make([]data.Operation, 100)
		for i := range ops {
			ops[i] = data.Operation{Op: "create", Collection: "posts", Body: body}
		}
		if _, _, err := h.Batch(t.Context(), system, ops, true, data.WriteOptions{Minimal: true}); err != nil {
			t.Fatal(err)
		}
		if round > 200 {
			t.Fatal("180 MB are written and it still listens")
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 0x82, 0, 0, 0, 0, '{', '}'})
	f.Add([]byte{0x01, 0xfe, 0, 3, 1, 2, 3, 4, 'a', 'b', 'c', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0})
	f.Add([]byte("\x01\xfe0\xff0000")) // 126 and 127, modulo 128, are no lengths of a control frame
	f.Fuzz(func(t *testing.T, b []byte) {
		for range 1000 {
			if n, ok := live.ReadFrame(&b); !ok {
				return
			} else if n > 32<<10 {
				t.Fatalf("a message of %d bytes", n)
			}
		}
	})
}
