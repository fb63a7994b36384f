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

// What is remembered of a caller may be older than where his stream begins. Nothing in the log behind that tells of the difference, so
// he is looked up anew, however he begins.
func TestRememberedRights(t *testing.T) {
	onEach(t, club, func(h *house) {
		h.member(1, "red")
		stale, _ := h.callers.Load("ann")
		h.member(1, "blue")
		l := h.listen("ann", "/api/secrets", "")
		l.want("ready")
		h.create("secrets", `{"name":"z","team":"blue"}`)
		l.want("create z")
		l.cancel()
		for _, how := range []struct {
			path, last string
			told       []string
		}{{"/api/secrets", "", []string{"ready"}}, {"/api/secrets?start=snapshot", "", []string{"snapshot z", "ready"}}, {"/api/secrets", l.last, nil}} {
			h.stale.Store("ann", stale)
			again := h.listen("ann", how.path, how.last)
			again.want("resync")
			again.ended()
			now := h.listen("ann", how.path, how.last) // he is remembered as he is
			now.want(how.told...)
			now.cancel()
		}
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

const firm = `
name: firm
auth: {teams: {roles: [member, owner]}}
collections:
  notes:
    fields:
      name: {type: text, max: 40}
      team: {type: ref, to: teams}
    access: {read: team in auth.teams, write: true}
  papers:
    fields:
      name: {type: text, max: 40}
      team: {type: ref, to: teams}
    access: {read: 'team in auth.teamsAs("owner")', write: true}
  open:
    fields: {name: {type: text, max: 40}}
    access: {read: true, write: true}
channels:
  room: {to: teams, read: key in auth.teams, write: key in auth.teams}
`

// belongs has the caller of a word be a user with the teams that he has now, as a session that is looked up would.
func (h *house) belongs(word, user string) {
	h.t.Helper()
	teams, err := h.TeamsOf(h.t.Context(), user)
	if err != nil {
		h.t.Fatal(err)
	}
	h.callers.Store(word, data.Caller{SignedIn: true, ID: user, Teams: teams})
}

// Who belongs to a team no more hears nothing of it, nor does who never did; what asks for no teams goes on, and what only owners
// see goes on for who stays one.
func TestWhoLeavesATeam(t *testing.T) {
	t.Parallel()
	for name, open := range engines {
		if name == slow {
			continue // without transactions there are no teams
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, firm, open(t))
			h.create("users", with(1, `{"email":"ann@example.com"}`))
			h.create("users", with(2, `{"email":"bob@example.com"}`))
			h.create("users", with(9, `{"email":"eve@example.com"}`))
			h.create("teams", with(3, `{"name":"Red"}`))
			h.create("teams", with(4, `{"name":"Blue"}`))
			h.create("memberships", with(5, `{"team":"`+id(3)+`","user":"`+id(1)+`","role":"owner"}`))
			h.create("memberships", with(6, `{"team":"`+id(3)+`","user":"`+id(2)+`","role":"owner"}`))
			h.belongs("ann", id(1))
			h.belongs("bob", id(2))
			h.callers.Store("eve", data.Caller{SignedIn: true, ID: id(9)})

			ann, bob, eve := h.listen("ann", "/api/notes", ""), h.listen("bob", "/api/notes", ""), h.listen("eve", "/api/notes", "")
			papers, all := h.listen("bob", "/api/papers", ""), h.listen("bob", "/api/open", "")
			room := h.listen("bob", "/api/live/room/"+id(3), "")
			for _, l := range []*listener{ann, bob, eve, papers, all, room} {
				l.want("ready")
			}
			if _, status := h.ask("eve", "/api/live/room/"+id(3), ""); status != 403 {
				t.Errorf("who is of another team listens: %d", status)
			}
			h.create("notes", `{"name":"a","team":"`+id(3)+`"}`)
			h.create("notes", `{"name":"other","team":"`+id(4)+`"}`)
			h.create("papers", `{"name":"p","team":"`+id(3)+`"}`)
			ann.want("create a")
			bob.want("create a")
			papers.want("create p")

			// An owner who is one no more is still a member: only what owners see ends.
			h.update("memberships", id(6), `{"role":"member"}`)
			papers.want("resync")
			papers.ended()
			h.belongs("bob", id(2))
			h.create("notes", `{"name":"b","team":"`+id(3)+`"}`)
			ann.want("create b")
			bob.want("create b")
			before := bob.last

			// What is committed with the loss of a right, or behind it, is not told by that right.
			h.again.Clear()
			h.batch(data.Operation{Op: "delete", Collection: "memberships", ID: id(6)},
				data.Operation{Op: "create", Collection: "notes", Body: h.node(`{"name":"secret","team":"` + id(3) + `"}`)},
				data.Operation{Op: "create", Collection: "open", Body: h.node(`{"name":"o"}`)})
			bob.want("resync")
			bob.ended()
			room.want("resync")
			room.ended()
			if _, told := h.again.Load(id(2)); !told {
				t.Error("who comes back comes with the rights that he had")
			}
			if _, told := h.again.Load(id(1)); told {
				t.Error("somebody is looked up anew whose rights are the same")
			}
			ann.want("create secret")
			all.want("create o")

			// Who comes back with an older position does not go on as if nothing had happened; nor who is a member by now.
			h.belongs("bob", id(2))
			bob = h.listen("bob", "/api/notes", before)
			bob.want("resync")
			bob.ended()
			h.create("memberships", with(7, `{"team":"`+id(4)+`","user":"`+id(9)+`","role":"owner"}`))
			eve.want("resync")
			eve.ended()
			teams, err := h.TeamsOf(t.Context(), id(9))
			if err != nil || len(teams) != 1 {
				t.Fatal(teams, err)
			}
			// A process that was told nothing sees it when the session is looked up again.
			h.callers.Store("ann", data.Caller{SignedIn: true, ID: id(1)})
			ann.want("resync")
			ann.ended()
			h.create("notes", `{"name":"last","team":"`+id(3)+`"}`)
		})
	}
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

// What was closed when it was written, and written over before it was opened, is nobody's who comes back later either.
func TestFieldsThatWereClosedThen(t *testing.T) {
	onEach(t, shop, func(h *house) {
		h.create("teams", with(1, `{"name":"t","open":false}`))
		l := h.listen("", "/api/posts", "")
		l.want("ready")
		begun := l.last
		h.create("posts", with(2, `{"name":"a","hint":"SECRET","team":"`+id(1)+`"}`))
		l.want("create a")
		h.update("posts", id(2), `{"name":"b","hint":"clean"}`)
		l.want("update b")
		h.update("teams", id(1), `{"open":true}`)
		l.want("update b")
		back := h.listen("", "/api/posts", begun)
		for _, want := range []string{"create a ", "update b ", "update b clean"} {
			e, err := back.next()
			if err != nil {
				h.t.Fatal(err)
			}
			hint := ""
			if v, ok := h.node(e.data).Get("hint"); ok {
				hint = v.Text
			}
			if got := short(e) + " " + hint; got != want {
				h.t.Errorf("%s, want %s", got, want)
			}
		}
	})
}
