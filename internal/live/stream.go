package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// mostSubscriptions is how many lists one stream may carry.
const mostSubscriptions = 100

// question is what a stream asks for.
type question struct {
	form     form
	lists    []*data.WatchQuery
	subs     []subscription // the numbers of the lists
	channels []*listening
	snapshot bool
	from     string // Last-Event-ID; "": none
}

// Stream is the live form of a list or, when id is not empty, of one record.
func (h *Hub) Stream(w http.ResponseWriter, r *http.Request, by data.Caller, collection, id string) {
	q := &data.WatchQuery{Collection: collection, ID: id}
	names := []string{"fields", "start"}
	if id == "" {
		names = append(names, "filter", "param.*")
	}
	var p web.Params
	wrong := p.Query(r, names...)
	listOf(q, &p)
	all := &question{form: sse{}, lists: []*data.WatchQuery{q}, subs: []subscription{alone}, from: r.Header.Get("Last-Event-ID")}
	all.start(&p, &wrong)
	h.answer(w, r, by, all, wrong.Err())
}

// Multiplex is GET /api/live: several lists and channels over one connection.
func (h *Hub) Multiplex(w http.ResponseWriter, r *http.Request, by data.Caller) {
	var p web.Params
	wrong := p.Query(r, "subscribe+", "start")
	all := &question{form: sse{}, from: r.Header.Get("Last-Event-ID")}
	all.start(&p, &wrong)
	if len(p.All("subscribe")) == 0 {
		wrong.Param("subscribe", 0, "required", "names what is listened to, like posts?filter=… in percent-encoding, or channel:NAME/KEY")
	}
	all.several(&p, &wrong)
	h.answer(w, r, by, all, wrong.Err())
}

// several reads all that is subscribed to.
func (q *question) several(p *web.Params, wrong *web.Mistakes) {
	texts := p.All("subscribe")
	if len(texts) > mostSubscriptions {
		wrong.Param("subscribe", 0, "max", fmt.Sprintf("is there %d times: at most %d", len(texts), mostSubscriptions))
		return
	}
	for i, text := range texts {
		q.add(subscription(i), text, wrong)
	}
}

// add reads one subscription.
func (q *question) add(sub subscription, text string, wrong *web.Mistakes) {
	if rest, ok := strings.CutPrefix(text, "channel:"); ok {
		l, bad := listened(sub, rest)
		*wrong = append(*wrong, bad...)
		q.channels = append(q.channels, l)
		return
	}
	list, bad := subscribed(text)
	*wrong = append(*wrong, bad...)
	q.lists, q.subs = append(q.lists, list), append(q.subs, sub)
}

// subscribed reads a subscription to a list: COLLECTION, COLLECTION/ID or COLLECTION?filter=…, as in an address.
func subscribed(text string) (*data.WatchQuery, web.Mistakes) {
	path, query, _ := strings.Cut(text, "?")
	collection, id, single := strings.Cut(path, "/")
	q := &data.WatchQuery{Collection: collection, ID: id}
	names := []string{"fields"}
	if !single {
		names = append(names, "filter", "param.*")
	}
	var p web.Params
	wrong := p.Query(&http.Request{URL: &url.URL{RawQuery: query}}, names...)
	if single && id == "" || collection == "" || strings.Contains(id, "/") {
		wrong.Param("subscribe", 0, "syntax", fmt.Sprintf("%q is no list or record: it is like posts, posts?filter=… or posts/ID", path))
	}
	listOf(q, &p)
	return q, wrong
}

func listOf(q *data.WatchQuery, p *web.Params) {
	q.Filter, _ = p.Get("filter")
	q.Fields, _ = p.Get("fields")
	p.Each("param.", func(name, value string) {
		if q.Params == nil {
			q.Params = map[string]*doc.Node{}
		}
		q.Params[name] = doc.NewString(value)
	})
}

func (q *question) start(p *web.Params, wrong *web.Mistakes) {
	switch text, there := p.Get("start"); {
	case !there || text == "now":
	case text == "snapshot":
		q.snapshot = true
	default:
		wrong.Param("start", 1, "type", `is "now" or "snapshot"`)
	}
}

// answer gives a stream, or says why there is none.
func (h *Hub) answer(w http.ResponseWriter, r *http.Request, by data.Caller, q *question, wrong error) {
	c, err := h.open(r, by, q, wrong)
	if err != nil {
		web.Problem(w, r, err)
		return
	}
	if r.Method == http.MethodHead {
		stream(w.Header())
		w.WriteHeader(http.StatusOK)
		return
	}
	if err := h.admit(c); err != nil {
		web.Problem(w, r, err)
		return
	}
	if err := h.start(r.Context()); err != nil {
		c.freed()
		web.Problem(w, r, err)
		return
	}
	defer h.opened()
	if err := h.connect(w, c); err != nil {
		c.freed()
		web.Problem(w, r, err)
		return
	}
	if !taken(c) {
		defer c.written() // behind its handler an answer is another's
	}
	ctx := r.Context()
	if taken(c) { // it says no more whether the client is there
		ctx = h.ctx
	}
	if c.gone() || !h.began(ctx, c, q) {
		return
	}
	if !taken(c) {
		select {
		case <-c.ended:
		case <-r.Context().Done():
			c.cut()
		}
		h.mu.Lock()
		h.leave(c)
		h.mu.Unlock()
	}
}

// began is begin; where it fails the client is told why, or cut off.
func (h *Hub) began(ctx context.Context, c *client, q *question) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	c.ends(cancel)
	err := h.hold(c, true)
	if err == nil {
		err = h.begin(ctx, c, q)
		h.release(c)
	}
	var old *data.TooOld
	switch {
	case err == nil:
		return true
	case errors.Is(err, errRights):
		c.resync(rightsChanged)
	case fault.Is(err, fault.TooLarge):
		c.resync(tooMuch)
	case errors.As(err, &old):
		c.resync("the position is too old, or of another log")
	case errors.Is(err, errClosing), errors.Is(err, errGone), ctx.Err() != nil:
		c.cut()
	default:
		h.log.Error("a stream could not begin", "error", err)
		c.cut()
	}
	h.mu.Lock() // it may have come as far as the hub
	h.leave(c)
	h.mu.Unlock()
	return false
}

// open compiles what is asked for.
func (h *Hub) open(r *http.Request, by data.Caller, q *question, wrong error) (*client, error) {
	errs := []error{wrong}
	var watches []*data.Watch
	for _, list := range q.lists {
		watch, err := h.db.Watch(by, list)
		errs = append(errs, err)
		watches = append(watches, watch)
	}
	for _, l := range q.channels {
		errs = append(errs, h.allow(r.Context(), by, l))
	}
	if err := fault.Join(errs...); err != nil {
		return nil, err
	}
	c := newClient(newView(q.form, watches, q.subs), by, nil)
	c.again = h.recognise(r)
	return c, nil
}

// recognise gives what asks again who makes a request; nil where nobody has shown who he is.
func (h *Hub) recognise(r *http.Request) func() (data.Caller, error) {
	shown := http.Header{}
	for _, name := range []string{"Authorization", "Cookie"} {
		if lines := r.Header[name]; len(lines) > 0 {
			shown[name] = lines
		}
	}
	if len(shown) == 0 || h.caller == nil {
		return nil
	}
	same := &http.Request{Header: shown, RemoteAddr: r.RemoteAddr, URL: &url.URL{}}
	return func() (data.Caller, error) {
		ctx, cancel := context.WithTimeout(h.ctx, recheck)
		defer cancel()
		return h.caller(same.WithContext(ctx))
	}
}

func stream(h http.Header) {
	h["Content-Type"] = []string{"text/event-stream; charset=utf-8"}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Accel-Buffering"] = []string{"no"} // nginx
}

// connect sends the head of the answer. A connection of HTTP/1.1 is taken over from net/http: then it costs neither a
// goroutine nor buffers. What it carries ends with it (RFC 9112, 6.3).
func (h *Hub) connect(w http.ResponseWriter, c *client) error {
	stream(w.Header())
	ctl := http.NewResponseController(w)
	conn, _, err := ctl.Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		w.WriteHeader(http.StatusOK)
		c.out = &answer{w: w, ctl: ctl}
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Internal, "take a connection", err)
	}
	web.Taken(w, http.StatusOK)
	head := []byte("HTTP/1.1 200 OK\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\nConnection: close\r\n")
	var names []string
	for name := range w.Header() {
		names = append(names, name)
	}
	sort.Strings(names)
	clean := strings.NewReplacer("\r", " ", "\n", " ")
	for _, name := range names {
		if name == "Connection" || name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range w.Header()[name] {
			head = append(head, name+": "+clean.Replace(v)+"\r\n"...)
		}
	}
	wire := newWire(conn)
	if c.out = wire; wire.closed() { // it has waited too long for its answer: nothing is looked up for it
		c.cut()
		return nil
	}
	c.send(append(head, "\r\n"...))
	return nil
}

func taken(c *client) bool { _, ok := c.out.(*wire); return ok }

// begin tells a client what there is already and makes it one of the hub's.
func (h *Hub) begin(ctx context.Context, c *client, q *question) error {
	c.send(q.form.greeting())
	var from place
	var err error
	switch {
	case q.from != "" && len(q.lists) > 0:
		if from, err = readPlace(q.from); err != nil {
			return &data.TooOld{}
		}
		if err := h.sure(c); err != nil {
			return err
		}
		if err := h.listen(ctx, c, q); err != nil {
			return err
		}
		if c.root != nil && from.Epoch == h.position().Epoch { // he has asked by a message, and waits for an answer to it
			c.send(ready(q.form, from, c.number()))
		}
		return h.catchUp(ctx, c, from)
	case q.snapshot && len(q.lists) > 0:
		if from.Position, err = h.present(ctx, c, q); err != nil {
			return err
		}
		if from.Position, err = h.renewed(ctx, c, from.Position); err != nil {
			return err
		}
	default:
		if from.Position, err = h.db.Head(ctx); err != nil {
			return err
		}
		if err := h.reached(ctx, from.Position); err != nil {
			return err
		}
		from.Position = h.position()
	}
	if err := h.sure(c); err != nil {
		return err
	}
	if err := h.listen(ctx, c, q); err != nil {
		return err
	}
	c.send(ready(q.form, from, c.number()))
	return h.catchUp(ctx, c, from)
}

// listen makes a client one of those who listen to its channels: what is sent once it is told ready reaches it.
func (h *Hub) listen(ctx context.Context, c *client, q *question) error {
	for _, l := range q.channels {
		if err := h.channels.enter(ctx, c, l); err != nil {
			return err
		}
	}
	return nil
}

// present sends what is in the lists now. at is the position from which on changes are told.
func (h *Hub) present(ctx context.Context, c *client, q *question) (at data.Position, err error) {
	for i, list := range q.lists {
		e := head{kind: "snapshot", sub: q.subs[i], name: "record"}
		for cursor, first := "", true; first || cursor != ""; first = false {
			records, next, is, err := h.db.Present(ctx, c.by, list, cursor)
			if err != nil {
				return at, err
			}
			if i == 0 && first {
				at = is
			}
			var b []byte
			for _, record := range records {
				from := len(b)
				b = q.form.close(append(q.form.open(b, e), record...), from, e)
			}
			if err := c.wait(ctx, b); err != nil {
				return at, err
			}
			cursor = next
		}
	}
	return at, nil
}

// renewed tells a client what has become of lists while he was shown them: their pages are not of one moment, and the first may have been
// later than its position. What he knows is then of the position that it returns.
func (h *Hub) renewed(ctx context.Context, c *client, from data.Position) (at data.Position, err error) {
	b, at, err := h.meanwhile(ctx, c, from)
	var old *data.TooOld
	switch {
	case errors.As(err, &old), fault.Is(err, fault.TooLarge): // he is told it in order, as far as the log goes
		return from, nil
	case err != nil:
		return at, err
	}
	return at, c.wait(ctx, b)
}

// meanwhile prints what has become of lists behind a position, up to the newest.
func (h *Hub) meanwhile(ctx context.Context, c *client, from data.Position) (b []byte, at data.Position, err error) {
	if at, err = h.db.Head(ctx); err != nil || at == from {
		return nil, at, err
	}
	select { // whoever looks back holds much in memory
	case h.back <- struct{}{}:
		defer func() { <-h.back }()
	case <-ctx.Done():
		return nil, at, ctx.Err()
	}
	err = h.db.WithHistory(ctx, from, true, func(past *data.History) error {
		all, newest := past.Changes()
		at.Number = newest
		b, err = c.view.renew(nil, past, from.Number, newest, all)
		return err
	})
	return b, at, err
}

// catchUp tells a client what has changed behind a place until it is where the hub is.
func (h *Hub) catchUp(ctx context.Context, c *client, from place) error {
	for {
		joined, at, err := h.join(c, from)
		if joined || err != nil {
			return err
		}
		if from.Epoch == at.Epoch && from.Number > at.Number { // this process has not read so far yet
			if head, err := h.db.Head(ctx); err != nil {
				return err
			} else if head.Epoch != from.Epoch || head.Number < from.Number {
				return &data.TooOld{Position: from.Number}
			}
			if err := h.reached(ctx, from.Position); err != nil {
				return err
			}
			if from.events == 0 {
				continue
			}
		}
		b, next, err := h.missed(ctx, c, from)
		if err != nil {
			return err
		}
		if err := c.wait(ctx, b); err != nil {
			return err
		}
		if next.Number == from.Number && from.events > 0 { // the change whose events were told in part is not there yet
			return &data.TooOld{Position: from.Number}
		}
		from = place{Position: next}
	}
}

// mostMissed is about how many bytes are printed at once for a client that has missed something.
const mostMissed = 1 << 20

// errRights: the log says that the caller sees by other rights now than what he was told before.
var errRights = errors.New("the caller's rights have changed")

// missed prints what a client has missed behind a place, or the first part of it: up to next.
func (h *Hub) missed(ctx context.Context, c *client, from place) (b []byte, next data.Position, err error) {
	v := c.view
	changes := h.changes
	if v.looks() { // at what was there before them: that is read below, where they are read too
		changes = h.db.Changes
	}
	all, next, err := changes(ctx, from.Position)
	if err != nil || len(all) == 0 {
		return nil, next, err
	}
	if all[0].First <= from.Number { // nobody was told a place within a transaction
		return nil, next, &data.TooOld{Position: from.Number}
	}
	if slices.ContainsFunc(all, func(change *data.Change) bool { return v.ended(&c.by, change) }) {
		return nil, next, errRights
	}
	if v.looks() {
		select { // whoever looks back far holds much in memory
		case h.back <- struct{}{}:
			defer func() { <-h.back }()
		case <-ctx.Done():
			return nil, next, ctx.Err()
		}
	}
	err = h.db.WithHistory(ctx, from.Position, v.looks(), func(past *data.History) error {
		if v.looks() { // it has them all
			all, next.Number = past.Changes()
			if slices.ContainsFunc(all, func(change *data.Change) bool { return v.ended(&c.by, change) }) {
				return errRights
			}
		}
		for t := range data.Transactions(all) {
			if b, err = v.tell(b, past, from, next, t); err != nil {
				return err
			}
			if len(b) > mostMissed {
				next.Number = t[0].Last
				return nil
			}
		}
		return nil
	})
	return b, next, err
}
