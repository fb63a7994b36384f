package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// member is somebody who is in a channel: a user, however many connections he has and wherever, or a connection of somebody
// who is no user. He is there as long as one process says so.
type member struct {
	here int // his connections to this process
	own  state
	away map[string]state // by other process, where he is there too
}

// state is what a member says of himself: a JSON object.
type state struct {
	text []byte // nil: nothing
	at   int64  // when, ms: of several the last counts
}

func (m *member) there() bool { return m != nil && (m.here > 0 || len(m.away) > 0) }

// state is what counts.
func (m *member) state() []byte {
	var s state
	if m.here > 0 {
		s = m.own
	}
	for _, other := range m.away {
		if other.at > s.at {
			s = other
		}
	}
	return s.text
}

// appendMember prints a member.
func appendMember(dst []byte, id string, m *member) []byte {
	dst = append(doc.AppendString(append(dst, `{"id":`...), id), `,"state":`...)
	if s := m.state(); s != nil {
		dst = append(dst, s...)
	} else {
		dst = append(dst, "{}"...)
	}
	return append(dst, '}')
}

// print prints all members.
func (ch *channel) print() []byte {
	ids := make([]string, 0, len(ch.members))
	for id := range ch.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	dst := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, id, ch.members[id])
	}
	return append(dst, ']')
}

// change changes a member and tells those who listen what that is to them.
func (cs *channels) change(ch *channel, id string, but *ear, do func(*member)) {
	m := ch.members[id]
	was := m.there()
	var before []byte
	if was {
		before = m.state()
	} else {
		m = &member{}
		ch.members[id] = m
	}
	do(m)
	switch is := m.there(); {
	case !is:
		delete(ch.members, id)
		if was {
			ch.tell("leave", "member", appendID(nil, id), but)
		}
		cs.tidy(ch)
	case !was:
		ch.tell("join", "member", appendMember(nil, id, m), but)
	case !bytes.Equal(before, m.state()):
		ch.tell("state", "member", appendMember(nil, id, m), but)
	}
}

// appear makes who listens a member, and tells him who is there, he himself among them.
func (cs *channels) appear(e *ear, text []byte) {
	if !e.may.Presence {
		return
	}
	if e.member = e.c.by.ID; e.member == "" {
		e.member = rand.Text()
	}
	cs.change(e.of, e.member, e, func(m *member) {
		m.here++
		if text != nil {
			m.own = state{text, cs.stamp(m)}
		}
	})
	cs.tellOthers(e.of, e.member)
	dst := append([]byte(`{"you":`), doc.AppendString(nil, e.member)...)
	dst = append(append(append(dst, `,"members":`...), e.of.print()...), '}')
	e.c.send(event(e.c.form, head{kind: "presence", sub: e.sub, name: "presence"}, dst))
	deliveries.Add(1)
}

// vanish is the reverse of appear.
func (cs *channels) vanish(e *ear) {
	if e.member == "" {
		return
	}
	cs.change(e.of, e.member, e, func(m *member) {
		if m.here--; m.here == 0 {
			m.own = state{}
		}
	})
	cs.tellOthers(e.of, e.member)
}

// stamp is a moment behind all states of a member.
func (cs *channels) stamp(m *member) int64 {
	at := max(time.Now().UnixMilli(), m.own.at+1)
	for _, s := range m.away {
		at = max(at, s.at+1)
	}
	return at
}

// tellOthers tells the other processes what a member is here.
func (cs *channels) tellOthers(ch *channel, id string) {
	i := item{Kind: itemGone, Channel: ch.name, Member: id}
	if m := ch.members[id]; m != nil && m.here > 0 {
		i.Kind, i.Value, i.At = itemHere, m.own.text, m.own.at
	}
	cs.others.mustTell(i)
}

// say sets the state of a member, wherever he is; false: he is not there.
func (cs *channels) say(name, id string, text []byte) bool {
	ch := cs.all[name]
	if ch == nil || !ch.members[id].there() {
		return false
	}
	m := ch.members[id]
	at, away := cs.stamp(m), len(m.away) > 0
	if m.here > 0 {
		cs.set(ch, id, state{text, at})
	} else { // as the others will tell
		cs.change(ch, id, nil, func(m *member) {
			for from := range m.away {
				m.away[from] = state{text, at}
			}
		})
	}
	if away {
		cs.others.mustTell(item{Kind: itemSay, Channel: name, Member: id, Value: text, At: at})
	}
	return true
}

// set is a state of a member who is here.
func (cs *channels) set(ch *channel, id string, s state) {
	cs.change(ch, id, nil, func(m *member) { m.own = s })
	cs.tellOthers(ch, id)
}

// Presence is /api/live/{channel}/{key}/presence: GET says who is there, PUT sets one's own state.
func (h *Hub) Presence(w http.ResponseWriter, r *http.Request, by data.Caller, name, key string) {
	b, err := h.presence(w, r, by, name, key)
	switch {
	case err != nil:
		web.Problem(w, r, err)
	case b == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header()["Cache-Control"] = []string{"no-store"}
		web.JSON(w, r, http.StatusOK, b)
	}
}

func (h *Hub) presence(w http.ResponseWriter, r *http.Request, by data.Caller, name, key string) ([]byte, error) {
	var p web.Params
	wrong := p.Query(r)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	may, err := h.db.Channel(by, name, key)
	if err != nil {
		return nil, err
	}
	put := r.Method == http.MethodPut
	if put {
		err = may.MaySend(r.Context())
	} else {
		err = may.MayListen(r.Context())
	}
	c, _ := h.db.Channel(data.System, name, key)
	switch {
	case err != nil:
		return nil, err
	case !c.Presence:
		return nil, fault.New(fault.NotFound, "%s has no presence", name)
	}
	var text []byte
	if put {
		if by.ID == "" {
			return nil, fault.New(fault.Denied, "only users are known by their id: say the state when you begin to listen (state=…), or by a WebSocket")
		}
		if err := h.limits.spend(by.Scope, time.Now()); err != nil {
			return nil, err
		}
		body, err := web.ReadJSON(w, r, mostState, web.PlainJSON)
		if err != nil {
			return nil, err
		}
		if text, err = stateOf(body.Node); err != nil {
			return nil, err
		}
	}
	if err := h.whole(r.Context()); err != nil {
		return nil, err
	}
	cs := h.channels
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !put {
		ch := cs.all[may.Name()]
		if ch == nil {
			return []byte(`{"members":[]}`), nil
		}
		return append(append([]byte(`{"members":`), ch.print()...), '}'), nil
	}
	if !cs.say(may.Name(), by.ID, text) {
		return nil, fault.New(fault.Conflict, "you are not in %s: listen to it first", may.Name())
	}
	return nil, nil
}

// whole sees to it that this process knows who is at the others.
func (h *Hub) whole(ctx context.Context) error {
	if err := h.start(ctx); err != nil {
		return err
	}
	defer h.opened()
	return h.channels.others.join(ctx, true)
}
