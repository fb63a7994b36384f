package live_test

import (
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
		ops := []data.Operation{
			{Op: "update", Collection: "users", ID: id(1), Body: h.node(`{"team":"blue"}`)},
			{Op: "create", Collection: "secrets", Body: h.node(`{"name":"y","team":"red"}`)},
		}
		if _, _, err := h.Batch(t.Context(), system, ops, true, data.WriteOptions{}); err != nil {
			h.t.Fatal(err)
		}
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
