package live_test

import (
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

const club = `
name: club
auth: {roles: [member, staff]}
collections:
  users:
    fields:
      team: {type: text, max: 40, write: 'auth.has("staff")'}
    access: {read: true, create: true, update: true}
  secrets:
    fields:
      name: {type: text, max: 40}
      team: {type: text, max: 40}
      more: {type: text, max: 40, read: 'auth.team == "red"'}
    access: {read: team == auth.team, write: true}
  open:
    fields:
      name: {type: text, max: 40}
      more: {type: text, max: 40, read: 'auth.team == "red"'}
    access: {read: true, write: true}
`

// member is a user of a team, as his session knows him.
func (h *house) member(n int, team string) {
	h.t.Helper()
	records, _, err := h.Records(h.t.Context(), system, &data.ListQuery{Collection: "users", Filter: `id == "` + id(n) + `"`})
	if err != nil || len(records) > 1 {
		h.t.Fatal(records, err)
	}
	if len(records) == 0 {
		h.create("users", with(n, `{"email":"a@example.com","team":"`+team+`"}`))
	} else {
		h.update("users", id(n), `{"team":"`+team+`"}`)
	}
	records, _, err = h.Records(h.t.Context(), system, &data.ListQuery{Collection: "users", Filter: `id == "` + id(n) + `"`})
	if err != nil || len(records) != 1 {
		h.t.Fatal(records, err)
	}
	h.callers.Store("ann", data.Caller{SignedIn: true, ID: records[0][spec.OrdID].Text(), User: records[0]})
}

// What is committed together with the loss of a right, or soon behind it, is not told by that right.
func TestNothingIsToldByARightThatIsLost(t *testing.T) {
	onEach(t, club, func(h *house) {
		h.member(1, "red")
		l := h.listen("ann", "/api/secrets", "")
		l.want("ready")
		h.create("secrets", `{"name":"x","team":"red"}`)
		l.want("create x")
		h.batch(data.Operation{Op: "update", Collection: "users", ID: id(1), Body: h.node(`{"team":"blue"}`)},
			data.Operation{Op: "create", Collection: "secrets", Body: h.node(`{"name":"y","team":"red"}`)})
		l.want("resync")
		l.ended()
	})
}

// Whoever comes back with other rights does not go on as if nothing had happened: other records are in his lists.
func TestRightsThatChangeWhileAClientIsAway(t *testing.T) {
	onEach(t, club, func(h *house) {
		h.member(1, "red")
		l := h.listen("ann", "/api/secrets", "")
		l.want("ready")
		h.create("secrets", `{"name":"x","team":"red"}`)
		l.want("create x")
		l.cancel()
		h.update("users", id(1), `{"email":"b@example.com"}`) // no matter
		h.create("secrets", `{"name":"y","team":"red"}`)
		l = h.listen("ann", "/api/secrets", l.last)
		l.want("create y")
		l.cancel()
		h.member(1, "blue")
		h.create("secrets", `{"name":"z","team":"blue"}`)
		l = h.listen("ann", "/api/secrets", l.last)
		l.want("resync")
		l.ended()
	})
}

// A stream that began with rights that its caller had no more ends.
func TestRightsThatChangedBeforeTheStreamBegan(t *testing.T) {
	onEach(t, club, func(h *house) {
		h.member(1, "red")
		stale, _ := h.callers.Load("ann")
		h.member(1, "blue")
		now, _ := h.callers.Load("ann")
		h.callers.Store("ann", stale)
		l := h.listen("ann", "/api/secrets", "")
		l.want("ready")
		h.callers.Store("ann", now)
		l.want("resync")
		l.ended()
	})
}

// Two who see the same may see something else after a change of what only one of them rests on.
func TestNewRightsOfOneOfTwoWhoSeeTheSame(t *testing.T) {
	onEach(t, club, func(h *house) {
		h.member(1, "blue")
		first := h.listen("", "/api/open?fields=created,updated,rev,name", "")
		first.want("ready")
		l := h.listen("ann", "/api/open", "")
		l.want("ready")
		h.update("users", id(1), `{"team":"red"}`)
		l.want("resync")
		h.create("open", `{"name":"x"}`)
		first.want("create x")
	})
}

const diary = `
name: diary
collections:
  pages:
    fields:
      name: {type: text, max: 40}
      public: {type: bool}
      told: {type: bool}
      more: {type: text, max: 40, read: told == true}
    access: {read: public == true, write: true}
`

// What was open once and is not any more is not told to whoever comes late: not the record, nor a field of it.
func TestWhatIsClosedByNowIsNotTold(t *testing.T) {
	onEach(t, diary, func(h *house) {
		l := h.listen("", "/api/pages", "")
		l.want("ready")
		h.create("pages", with(1, `{"name":"a","public":true,"told":true,"more":"one"}`))
		h.create("pages", with(2, `{"name":"b","public":true,"told":true,"more":"one"}`))
		h.create("pages", with(3, `{"name":"c","public":true}`))
		l.want("create a", "create b", "create c")
		last := l.last
		l.cancel()
		h.update("pages", id(1), `{"name":"secret of before"}`)
		h.update("pages", id(1), `{"name":"secret","public":false}`)
		h.update("pages", id(2), `{"more":"secret of before"}`)
		h.update("pages", id(2), `{"name":"bb","told":false}`)
		h.update("pages", id(3), `{"name":"secret of before"}`)
		h.delete("pages", id(3))
		h.create("pages", with(4, `{"name":"end","public":true}`))
		l = h.listen("", "/api/pages", last)
		for _, want := range []string{"leave 01", "update b", "update bb", "delete 03", "create end"} {
			e, err := l.next()
			if err != nil || short(e) != want || strings.Contains(e.data, "secret") {
				h.t.Fatalf("%s (%s) %v, want %s", short(e), e.data, err, want)
			}
		}
	})
}
