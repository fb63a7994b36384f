package live

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

const (
	mostBody  = 8 << 10 // bytes of a message
	mostEvent = 100     // code points of its name
	mostState = 2 << 10 // bytes of a state
)

// channels are what is not stored: messages, and who is there. What is said here is told to those who listen at this process,
// and given to the other processes (others.go), which tell theirs.
type channels struct {
	hub    *Hub
	others *others
	poke   chan struct{} // some rules are to be asked again
	life   atomic.Int64  // counts how often the hub has begun to follow the log

	mu   sync.Mutex
	all  map[string]*channel // by name with key: those to which somebody listens here, or in which somebody is
	ears map[*client][]*ear
	walk int               // how many of them have a rule that looks at records
	due  map[*ear]struct{} // their rules are to be asked again
}

// channel is one of them.
type channel struct {
	name    string
	ears    map[*ear]struct{}
	members map[string]*member // presence.go
}

// ear is a subscription to a channel.
type ear struct {
	c      *client
	sub    subscription
	of     *channel
	may    *data.Channel
	walks  bool
	member string // who he is to the others; "": they do not see him
}

// listening is a subscription that is asked for.
type listening struct {
	sub       subscription
	name, key string
	state     []byte // of who listens; nil: none
	may       *data.Channel
}

func newChannels(h *Hub) *channels {
	cs := &channels{hub: h, poke: make(chan struct{}, 1), all: map[string]*channel{}, ears: map[*client][]*ear{}, due: map[*ear]struct{}{}}
	cs.others = newOthers(cs)
	return cs
}

// listened reads a subscription: NAME, NAME/KEY, and ?state={…}.
func listened(sub subscription, text string) (*listening, web.Mistakes) {
	path, query, _ := strings.Cut(text, "?")
	name, key, keyed := strings.Cut(path, "/")
	l := &listening{sub: sub, name: name, key: key}
	var p web.Params
	wrong := p.Query(&http.Request{URL: &url.URL{RawQuery: query}}, "state")
	l.readState(&p, &wrong)
	if name == "" || keyed && key == "" {
		wrong.Param("subscribe", 0, "syntax", "a channel is channel:NAME or channel:NAME/KEY")
	}
	return l, wrong
}

func (l *listening) readState(p *web.Params, wrong *web.Mistakes) {
	text, there := p.Get("state")
	if !there {
		return
	}
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err == nil {
		l.state, err = stateOf(n)
	}
	if err != nil {
		wrong.Param("state", 0, "type", badState)
	}
}

const badState = "is a JSON object of at most 2 KB"

// stateOf prints a state.
func stateOf(n *doc.Node) ([]byte, error) {
	if n.Kind != doc.Object {
		return nil, fault.New(fault.BadRequest, "a state %s", badState)
	}
	text := n.Append(nil)
	if len(text) > mostState {
		return nil, fault.New(fault.TooLarge, "a state %s", badState)
	}
	return text, nil
}

// allow asks whether somebody may listen, with the state that he gives.
func (h *Hub) allow(ctx context.Context, by data.Caller, l *listening) (err error) {
	if l.may, err = h.db.Channel(by, l.name, l.key); err != nil {
		return err
	}
	if err := l.may.MayListen(ctx); err != nil || l.state == nil {
		return err
	}
	if !l.may.Presence {
		return fault.New(fault.BadRequest, "a state is of who is there, and %s has no presence for you", l.name)
	}
	return l.may.MaySend(ctx) // it is told to the others
}

// Channel is /api/live/{channel}/{key}: GET listens, POST sends a message.
func (h *Hub) Channel(w http.ResponseWriter, r *http.Request, by data.Caller, name, key string) {
	if r.Method == http.MethodPost {
		if err := h.post(w, r, by, name, key); err != nil {
			web.Problem(w, r, err)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	l := &listening{sub: alone, name: name, key: key}
	var p web.Params
	wrong := p.Query(r, "state")
	l.readState(&p, &wrong)
	h.answer(w, r, by, &question{form: sse{}, channels: []*listening{l}}, wrong.Err())
}

// post is one message by HTTP.
func (h *Hub) post(w http.ResponseWriter, r *http.Request, by data.Caller, name, key string) error {
	var p web.Params
	wrong := p.Query(r)
	if err := wrong.Err(); err != nil {
		return err
	}
	may, err := h.db.Channel(by, name, key)
	if err == nil {
		err = may.MaySend(r.Context())
	}
	if err == nil {
		err = h.limits.spend(by.Scope, time.Now())
	}
	if err != nil {
		return err
	}
	body, err := web.ReadJSON(w, r, mostBody, web.PlainJSON)
	if err != nil {
		return err
	}
	text, err := messageOf(&by, body.Node, "event", "data")
	if err != nil {
		return err
	}
	return h.channels.send(may.Name(), text)
}

// messageOf prints a message of somebody: what he has sent, and who he is, where he is a user.
func messageOf(by *data.Caller, n *doc.Node, names ...string) ([]byte, error) {
	var wrong web.Mistakes
	if n.Kind != doc.Object {
		wrong.Body("", n.At, "type", "must be an object with event, data or both")
		return nil, wrong.Err()
	}
	for i, key := range n.Keys {
		known := false
		for _, name := range names {
			known = known || name == key
		}
		if !known {
			wrong.Body(fault.Pointer(key), n.Items[i].At, "unknown", "is not part of a message: event and data are")
		}
	}
	event, named := n.Get("event")
	if named && (event.Kind != doc.String || event.Text == "" || utf8.RuneCountInString(event.Text) > mostEvent) {
		wrong.Body("/event", event.At, "type", "must be a string of 1 to 100 characters")
	}
	value, there := n.Get("data")
	if !named && !there {
		wrong.Body("", n.At, "required", "has neither event nor data")
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	dst := []byte{'{'}
	if named {
		dst = append(doc.AppendString(append(dst, `"event":`...), event.Text), ',')
	}
	if there {
		dst = append(value.Append(append(dst, `"data":`...)), ',')
	}
	if by.ID != "" {
		dst = append(doc.AppendString(append(dst, `"from":`...), by.ID), ',')
	}
	dst[len(dst)-1] = '}'
	return dst, nil
}

// send tells a message to all who listen, here and at other processes.
func (cs *channels) send(name string, text []byte) error {
	if err := cs.others.tell(item{Kind: itemMessage, Channel: name, Value: text}); err != nil {
		return err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.message(name, text)
	return nil
}

func (cs *channels) message(name string, text []byte) {
	if ch := cs.all[name]; ch != nil {
		ch.tell("message", "message", text, nil)
	}
}

// tell prints an event once for each form and number under which it is heard, and sends it to all but one.
func (ch *channel) tell(kind, name string, value []byte, but *ear) {
	type way struct {
		form form
		sub  subscription
	}
	printed := map[way]*piece{}
	for e := range ch.ears {
		if e == but {
			continue
		}
		w := way{e.c.form, e.sub}
		p, ok := printed[w]
		if !ok {
			p = &piece{b: event(w.form, head{kind: kind, sub: w.sub, name: name}, value)}
			printed[w] = p
		}
		e.c.deliver(p)
		deliveries.Add(1)
	}
}

// event prints one.
func event(f form, e head, value []byte) []byte {
	return f.close(append(f.open(nil, e), value...), 0, e)
}

// enter makes a client one of those who listen.
func (cs *channels) enter(ctx context.Context, c *client, l *listening) error {
	if err := cs.others.join(ctx, l.may.Presence); err != nil {
		return err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.gone() {
		return errGone
	}
	ch := cs.channel(l.may.Name())
	e := &ear{c: c, sub: l.sub, of: ch, may: l.may, walks: l.may.Walks()}
	cs.appear(e, l.state)
	ch.ears[e] = struct{}{}
	cs.ears[c] = append(cs.ears[c], e)
	if e.walks { // what has changed since it was asked was not looked at
		cs.walk++
		cs.due[e] = struct{}{}
		cs.prod()
	}
	return nil
}

// channel finds one, or makes it.
func (cs *channels) channel(name string) *channel {
	ch := cs.all[name]
	if ch == nil {
		ch = &channel{name: name, ears: map[*ear]struct{}{}, members: map[string]*member{}}
		cs.all[name] = ch
	}
	return ch
}

// leave takes all subscriptions of a client out.
func (cs *channels) leave(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, e := range cs.ears[c] {
		cs.drop(e)
	}
	delete(cs.ears, c)
}

// part takes one of them out.
func (cs *channels) part(c *client, sub subscription) (there bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for i, e := range cs.ears[c] {
		if e.sub == sub {
			cs.drop(e)
			cs.ears[c] = append(cs.ears[c][:i:i], cs.ears[c][i+1:]...)
			return true
		}
	}
	return false
}

func (cs *channels) drop(e *ear) {
	delete(e.of.ears, e)
	delete(cs.due, e)
	if e.walks {
		cs.walk--
	}
	cs.vanish(e)
	cs.tidy(e.of)
}

// tidy forgets a channel in which nobody is.
func (cs *channels) tidy(ch *channel) {
	if len(ch.ears) == 0 && len(ch.members) == 0 && cs.all[ch.name] == ch {
		delete(cs.all, ch.name)
	}
}

// find is a subscription of a client; nil: it has none of that number.
func (cs *channels) find(c *client, sub subscription) *ear {
	for _, e := range cs.ears[c] {
		if e.sub == sub {
			return e
		}
	}
	return nil
}

// count is how many subscriptions a client has.
func (cs *channels) count(c *client) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.ears[c])
}

// changed has the rules asked again that look at what has changed.
func (cs *channels) changed(all []*data.Change, collections map[string]bool) {
	if len(all) == 0 {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.walk == 0 {
		return
	}
	for _, ears := range cs.ears {
		for _, e := range ears {
			for name := range collections {
				if e.walks && e.may.Changes(name) {
					cs.due[e] = struct{}{}
				}
			}
		}
	}
	if len(cs.due) > 0 {
		cs.prod()
	}
}

// prod has what is due asked soon.
func (cs *channels) prod() {
	select {
	case cs.poke <- struct{}{}:
	default:
	}
}

// ended says whether a change takes from a client what a rule of one of its channels rests on.
func (cs *channels) ended(c *client, change *data.Change) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, e := range cs.ears[c] {
		if e.may.Ended(change) {
			return true
		}
	}
	return false
}

// attend looks after those who listen: whether they still may.
func (cs *channels) attend(ctx context.Context, life int64) {
	defer cs.hub.running.Done()
	defer cs.others.leave(life)
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-cs.poke:
		case <-tick.C:
			cs.passed()
		}
		cs.ask(ctx)
	}
}

// passed finds the rules that time alone may change.
func (cs *channels) passed() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, ears := range cs.ears {
		for _, e := range ears {
			if e.may.Passes() {
				cs.due[e] = struct{}{}
			}
		}
	}
}

// ask asks the rules that are due, and ends the subscriptions of those who may not listen any more: on a WebSocket the one,
// else the stream.
func (cs *channels) ask(ctx context.Context) {
	cs.mu.Lock()
	due := cs.due
	cs.due = map[*ear]struct{}{}
	cs.mu.Unlock()
	for e := range due {
		err := e.may.MayListen(ctx)
		if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Unauthenticated) {
			continue
		}
		if _, single := e.c.form.(frames); single {
			if cs.part(e.c, e.sub) {
				e.c.send(resync(e.c.form, e.sub, "your rights have changed"))
			}
			continue
		}
		e.c.resync("your rights have changed")
		cs.hub.mu.Lock()
		cs.hub.leave(e.c)
		cs.hub.mu.Unlock()
	}
}
