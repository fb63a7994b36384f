package live

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// A WebSocket (RFC 6455) carries what GET /api/live carries, and takes messages of the client: to subscribe to more, and to
// send to channels. What its address subscribes to is one client of the hub, as a stream is. Each subscription by message is a
// client of its own, which has its own place in the log and sends by way of the first (lane).

// firstMessage is how long a connection that subscribes to nothing may stay silent.
const firstMessage = 30 * time.Second

// socket is a connection.
type socket struct {
	h      *Hub
	root   *client
	wire   *wire
	by     data.Caller
	frames bucket // what it may still say
	again  atomic.Pointer[func() (data.Caller, error)]
	lanes  map[subscription]*client
	addr   string
}

// lane is the way of a subscription by message: that of its connection.
type lane struct{ root *client }

func (l *lane) try(p *piece) (int, error) {
	if l.root.gone() {
		return 0, errGone
	}
	l.root.deliver(p)
	return len(p.b), nil
}

func (l *lane) write(b []byte) error { _, err := l.try(&piece{b: b}); return err }
func (l *lane) close()               {} // the connection goes on

// Socket is GET /api/live as a WebSocket.
func (h *Hub) Socket(w http.ResponseWriter, r *http.Request, by data.Caller) {
	if err := h.socket(w, r, by); err != nil {
		web.Problem(w, r, err)
	}
}

func (h *Hub) socket(w http.ResponseWriter, r *http.Request, by data.Caller) error {
	if err := web.MayConnect(h.server, r, by.SignedIn && len(r.Header["Authorization"]) == 0); err != nil {
		return err
	}
	key, err := handshake(w, r)
	if err != nil {
		return err
	}
	var p web.Params
	wrong := p.Query(r, "subscribe+", "start", "lastEventId")
	q := &question{form: frames{}}
	q.from, _ = p.Get("lastEventId")
	q.start(&p, &wrong)
	q.several(&p, &wrong)
	c, err := h.open(r, by, q, wrong.Err())
	if err != nil {
		return err
	}
	if err := h.admit(c); err != nil {
		return err
	}
	if err := h.start(r.Context()); err != nil {
		c.freed()
		return err
	}
	s := &socket{h: h, root: c, by: by, frames: bucket{frameBurst, time.Now()}, lanes: map[subscription]*client{}, addr: r.RemoteAddr}
	if c.again != nil {
		again := c.again
		s.again.Store(&again)
		c.again = func() (data.Caller, error) { return (*s.again.Load())() }
	}
	in, err := s.take(w, key)
	if err != nil {
		c.freed()
		h.opened()
		return err
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		h.opened()
		c.cut()
		return nil
	}
	h.running.Add(1)
	h.mu.Unlock()
	shown := len(r.Header["Authorization"]) > 0 || len(p.All("subscribe")) > 0
	go func() {
		defer h.running.Done()
		defer h.opened()
		defer func() {
			if failed := recover(); failed != nil { // this connection's, and nobody else's
				h.log.Error("a WebSocket has failed", "error", fmt.Sprint(failed), "stack", string(debug.Stack()))
				s.root.cut()
			}
		}()
		s.talk(in, q, shown)
	}()
	return nil
}

// handshake checks what a client asks (RFC 6455, 4.2.1).
func handshake(w http.ResponseWriter, r *http.Request) (key string, err error) {
	if r.ProtoMajor != 1 || r.Method != http.MethodGet {
		return "", fault.New(fault.BadRequest, "a WebSocket begins with GET, in HTTP/1.1")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		return "", fault.New(fault.BadRequest, "Sec-WebSocket-Version should be 13")
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) == 1 {
		if raw, err := base64.StdEncoding.DecodeString(keys[0]); err == nil && len(raw) == 16 {
			return keys[0], nil
		}
	}
	return "", fault.New(fault.BadRequest, "Sec-WebSocket-Key should be 16 bytes in base64")
}

// take takes the connection over and answers the handshake.
func (s *socket) take(w http.ResponseWriter, key string) (*inbound, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "take a connection", err)
	}
	web.Taken(w, http.StatusSwitchingProtocols)
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	s.wire = newWire(conn)
	s.wire.talks = true
	s.root.out = s.wire
	_ = conn.SetDeadline(time.Time{})
	s.root.send([]byte(head))
	early := make([]byte, buf.Reader.Buffered()) // what came with the handshake
	_, _ = buf.Read(early)
	in := &inbound{r: bufio.NewReaderSize(io.MultiReader(strings.NewReader(string(early)), conn), 512), control: func(answer []byte) { s.root.send(answer) }}
	if len(early) == 0 {
		in.r.Reset(conn)
	}
	in.frame = s.afford
	return in, nil
}

// afford counts what a connection says: each frame of it.
func (s *socket) afford() error {
	if !s.frames.spend(time.Now(), frameRate, frameBurst) {
		return &broken{statusPolicy, "too many messages"}
	}
	return nil
}

// talk is the life of a connection.
func (s *socket) talk(in *inbound, q *question, shown bool) {
	defer s.end()
	ctx := s.h.ctx
	defer context.AfterFunc(ctx, s.root.cut)()
	if !shown { // the first message may say who it is
		_ = s.wire.conn.SetReadDeadline(time.Now().Add(firstMessage))
		text, err := in.next()
		if err != nil {
			s.part(err)
			return
		}
		_ = s.wire.conn.SetReadDeadline(time.Time{})
		if done := s.identify(text); !done {
			if !s.h.began(ctx, s.root, q) {
				return
			}
			s.hear(ctx, text)
		} else if s.root.gone() || !s.h.began(ctx, s.root, q) {
			return
		}
	} else if !s.h.began(ctx, s.root, q) {
		return
	}
	for !s.root.gone() {
		text, err := in.next()
		if err != nil {
			s.part(err)
			return
		}
		s.hear(ctx, text)
	}
}

// part says goodbye.
func (s *socket) part(err error) {
	var b *broken
	switch {
	case errors.As(err, &b):
		s.linger(closeFrame(b.status, b.reason))
	case errors.Is(err, errClosed):
		s.root.finish(nil) // it has had its answer
	default:
		s.root.cut()
	}
}

// mostLinger is what is still read of a client that is told goodbye while it speaks, in bytes.
const mostLinger = 256 << 10

// linger says goodbye to a client that may be speaking: what it has sent is read for a while, for else its system would
// throw away what it was told (RFC 6455, 7.1.1).
func (s *socket) linger(goodbye []byte) {
	c := s.root
	c.send(goodbye)
	c.mu.Lock()
	c.last = true
	busy := c.busy
	c.mu.Unlock()
	if busy {
		return // it ends when that is taken
	}
	if half, ok := s.wire.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = s.wire.conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, s.wire.conn, mostLinger)
	}
	c.cut()
}

// end takes all that was subscribed to out of the hub.
func (s *socket) end() {
	s.root.mu.Lock()
	ended := s.root.ended
	over := s.root.over
	s.root.mu.Unlock()
	if !over { // what is sent last is still being taken
		select {
		case <-ended:
		case <-time.After(patience):
			s.root.cut()
		}
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	for _, c := range s.lanes {
		s.h.leave(c)
		c.cut()
	}
	s.h.leave(s.root)
}

// identify takes a first message that is a token: {"token": …}. done: it was one.
func (s *socket) identify(text []byte) (done bool) {
	n, err := doc.Parse(text, doc.Limits{})
	if err != nil || n.Kind != doc.Object {
		return false
	}
	token, ok := n.Get("token")
	if !ok {
		return false
	}
	by, again, err := s.known(n, token)
	if err != nil {
		s.fail(alone, err)
		s.linger(closeFrame(statusPolicy, "the credential is not valid"))
		return true
	}
	s.by, s.root.by = by, by // nobody else knows this client yet
	s.again.Store(&again)
	s.root.again = func() (data.Caller, error) { return (*s.again.Load())() }
	s.root.freed()
	s.root.freed = nil
	if err := s.h.admit(s.root); err != nil {
		s.fail(alone, err)
		s.linger(closeFrame(statusPolicy, "too many connections"))
	}
	return true
}

// known is who shows a token, and what asks for him again.
func (s *socket) known(n, token *doc.Node) (data.Caller, func() (data.Caller, error), error) {
	if token.Kind != doc.String || len(n.Keys) != 1 || strings.ContainsAny(token.Text, "\r\n") {
		return data.Caller{}, nil, fault.New(fault.BadRequest, `a token stands alone: {"token": "…"}`)
	}
	again := s.h.recognise(&http.Request{Header: http.Header{"Authorization": {"Bearer " + token.Text}}, RemoteAddr: s.addr, URL: &url.URL{}})
	if again == nil {
		return data.Caller{}, nil, &fault.Error{Kind: fault.Lacking, Op: "sign-in", Msg: "nobody can sign in here"}
	}
	by, err := again()
	return by, again, err
}

// fail tells the client what is wrong with a message.
func (s *socket) fail(sub subscription, err error) {
	s.root.send(event(frames{}, head{kind: "error", sub: sub, name: "problem"}, web.AppendCause(nil, err)))
	if fault.Of(err) == fault.Internal {
		s.h.log.Error("a message of a WebSocket could not be answered", "error", err)
	}
}

// hear does what a message of the client says.
func (s *socket) hear(ctx context.Context, text []byte) {
	sub, err := s.obey(ctx, text)
	if err != nil && !s.root.gone() {
		s.fail(sub, err)
	}
}

// verbs are the messages by the name that only they have, with the others that they may have.
var verbs = []struct {
	name string
	with []string
	do   func(s *socket, ctx context.Context, n, v *doc.Node) (subscription, error)
}{
	{"subscribe", []string{"id", "start", "lastEventId", "state"}, (*socket).subscribe},
	{"unsubscribe", nil, (*socket).unsubscribe},
	{"send", []string{"event", "data"}, (*socket).send},
	{"state", []string{"id"}, (*socket).say},
	{"token", nil, (*socket).renew},
	{"ping", nil, (*socket).pong},
}

func (s *socket) obey(ctx context.Context, text []byte) (subscription, error) {
	n, err := doc.Parse(text, doc.Limits{})
	if err != nil {
		return alone, web.Syntax(err)
	}
	if n.Kind != doc.Object {
		return alone, fault.New(fault.BadRequest, "a message is a JSON object")
	}
	for _, verb := range verbs {
		v, ok := n.Get(verb.name)
		if !ok {
			continue
		}
		var wrong web.Mistakes
		for i, key := range n.Keys {
			known := key == verb.name
			for _, name := range verb.with {
				known = known || key == name
			}
			if !known {
				wrong.Body(fault.Pointer(key), n.Items[i].At, "unknown", "does not go with "+verb.name)
			}
		}
		if err := wrong.Err(); err != nil {
			return alone, err
		}
		return verb.do(s, ctx, n, v)
	}
	return alone, fault.New(fault.BadRequest, "a message is one of subscribe, unsubscribe, send, state, token, ping")
}

// mostNumber is the largest number that a client may give a subscription.
const mostNumber = 1<<31 - 1

// number reads the number of a subscription.
func number(v *doc.Node) (subscription, error) {
	i, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil || v.Kind != doc.Number || i < 0 || i > mostNumber {
		return alone, fault.New(fault.BadRequest, "a subscription is a number from 0 to %d", mostNumber)
	}
	return subscription(i), nil
}

// tidy forgets subscriptions that have ended by themselves.
func (s *socket) tidy() {
	for sub, c := range s.lanes {
		if c.gone() {
			delete(s.lanes, sub)
		}
	}
}

// has says whether a number is taken.
func (s *socket) has(sub subscription) bool {
	for _, other := range s.root.view.subs {
		if other == sub {
			return true
		}
	}
	s.h.channels.mu.Lock()
	defer s.h.channels.mu.Unlock()
	return s.lanes[sub] != nil || s.h.channels.find(s.root, sub) != nil
}

func (s *socket) subscribe(ctx context.Context, n, v *doc.Node) (subscription, error) {
	s.tidy()
	if v.Kind != doc.String {
		return alone, fault.New(fault.BadRequest, "subscribe is a text like posts?filter=… or channel:NAME/KEY")
	}
	sub := subscription(0)
	if id, ok := n.Get("id"); ok {
		var err error
		if sub, err = number(id); err != nil {
			return alone, err
		}
		if s.has(sub) {
			return alone, fault.New(fault.Conflict, "the subscription %d is there already", sub)
		}
	} else {
		for s.has(sub) {
			sub++
		}
	}
	if len(s.root.view.watches)+len(s.lanes)+s.h.channels.count(s.root) >= mostSubscriptions {
		return sub, &fault.Error{Kind: fault.Limited, Msg: fmt.Sprintf("a connection has at most %d subscriptions", mostSubscriptions)}
	}
	q := &question{form: frames{}}
	var wrong web.Mistakes
	q.add(sub, v.Text, &wrong)
	for name, to := range map[string]*string{"start": new(string), "lastEventId": &q.from} {
		m, ok := n.Get(name)
		if !ok {
			continue
		}
		if *to = m.Text; m.Kind != doc.String {
			wrong.Body(fault.Pointer(name), m.At, "type", "must be a string")
		}
		if name == "start" {
			if q.snapshot = m.Text == "snapshot"; !q.snapshot && m.Text != "now" {
				wrong.Body("/start", m.At, "type", `is "now" or "snapshot"`)
			}
		}
	}
	if m, ok := n.Get("state"); ok {
		state, err := stateOf(m)
		if err != nil || len(q.channels) == 0 {
			wrong.Body("/state", m.At, "type", "of a channel, "+badState)
		} else {
			q.channels[0].state = state
		}
	}
	r := (&http.Request{Header: http.Header{}, URL: &url.URL{}}).WithContext(ctx)
	c, err := s.h.open(r, s.by, q, wrong.Err())
	if err != nil {
		return sub, err
	}
	if len(q.channels) > 0 {
		if err := s.h.channels.enter(ctx, s.root, q.channels[0]); err != nil {
			return sub, err
		}
		s.root.send(event(frames{}, head{kind: "ready", sub: sub, name: "channel"}, doc.AppendString(nil, q.channels[0].may.Name())))
		return sub, nil
	}
	c.root, c.out = s.root, &lane{s.root}
	if s.h.began(ctx, c, q) {
		s.lanes[sub] = c
	}
	return sub, nil
}

func (s *socket) unsubscribe(_ context.Context, _, v *doc.Node) (subscription, error) {
	sub, err := number(v)
	if err != nil {
		return alone, err
	}
	s.tidy()
	switch c := s.lanes[sub]; {
	case c != nil:
		s.h.mu.Lock()
		s.h.leave(c)
		s.h.mu.Unlock()
		c.cut()
		delete(s.lanes, sub)
	case s.h.channels.part(s.root, sub), s.h.without(s.root, sub):
	default:
		return sub, fault.New(fault.NotFound, "there is no subscription %d", sub)
	}
	s.root.send(event(frames{}, head{kind: "end", sub: sub, name: "reason"}, []byte(`"unsubscribed"`)))
	return sub, nil
}

// without takes one list out of what a client sees.
func (h *Hub) without(c *client, sub subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[c.view.key]
	if g == nil {
		return false
	}
	if _, there := g.clients[c]; !there {
		return false
	}
	for i, other := range c.view.subs {
		if other != sub {
			continue
		}
		watches := append(c.view.watches[:i:i], c.view.watches[i+1:]...)
		subs := append(c.view.subs[:i:i], c.view.subs[i+1:]...)
		delete(g.clients, c)
		if len(g.clients) == 0 {
			delete(h.groups, g.key)
		}
		h.group(c, newView(c.view.form, watches, subs))
		return true
	}
	return false
}

func (s *socket) send(ctx context.Context, n, v *doc.Node) (subscription, error) {
	name, key, keyed := strings.Cut(v.Text, "/")
	if v.Kind != doc.String || keyed && key == "" {
		return alone, fault.New(fault.BadRequest, "send names a channel: NAME or NAME/KEY")
	}
	may, err := s.h.db.Channel(s.by, name, key)
	if err == nil {
		err = may.MaySend(ctx)
	}
	if err == nil {
		err = s.h.limits.spend(s.by.Scope, time.Now())
	}
	if err != nil {
		return alone, err
	}
	text, err := messageOf(&s.by, n, "send", "event", "data")
	if err != nil {
		return alone, err
	}
	if len(text) > mostBody {
		return alone, fault.New(fault.TooLarge, "a message may have at most %d bytes", mostBody)
	}
	return alone, s.h.channels.send(may.Name(), text)
}

// say sets the state in a channel.
func (s *socket) say(ctx context.Context, n, v *doc.Node) (subscription, error) {
	id, ok := n.Get("id")
	if !ok {
		return alone, fault.New(fault.BadRequest, "id is missing: the subscription to the channel that the state is for")
	}
	sub, err := number(id)
	if err != nil {
		return alone, err
	}
	text, err := stateOf(v)
	if err != nil {
		return sub, err
	}
	cs := s.h.channels
	cs.mu.Lock()
	e := cs.find(s.root, sub)
	cs.mu.Unlock()
	if e == nil || e.member == "" {
		return sub, fault.New(fault.NotFound, "the subscription %d is to no channel in which you are seen", sub)
	}
	if err := e.may.MaySend(ctx); err != nil {
		return sub, err
	}
	if err := s.h.limits.spend(s.by.Scope, time.Now()); err != nil {
		return sub, err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.say(e.of.name, e.member, text)
	return sub, nil
}

// renew takes another token of the same caller.
func (s *socket) renew(_ context.Context, n, v *doc.Node) (subscription, error) {
	by, again, err := s.known(n, v)
	if err != nil {
		return alone, err
	}
	if by.ID != s.by.ID || by.Scope != s.by.Scope && by.ID == "" || by.Role != s.by.Role || by.Operator != s.by.Operator || by.SignedIn != s.by.SignedIn {
		return alone, fault.New(fault.Conflict, "this is another caller: a token is the first message, or it renews that of the same one")
	}
	s.again.Store(&again)
	return alone, nil
}

func (s *socket) pong(_ context.Context, _, v *doc.Node) (subscription, error) {
	s.root.send(event(frames{}, head{kind: "pong", sub: alone, name: "ping"}, v.Append(nil)))
	return alone, nil
}
