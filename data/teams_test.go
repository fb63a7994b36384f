package data_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const firm = `
name: firm
auth: {roles: [member, staff], teams: {roles: [member, editor, owner]}}
collections:
  users:
    fields: {name: {type: text, max: 40}}
    access: {read: true}
  notes:
    fields:
      name: {type: text, max: 40}
      team: {type: ref, to: teams, onDelete: cascade}
      more: {type: text, read: 'team in auth.teamsAs("editor")'}
    access:
      read: team in auth.teams
      create: team in auth.teamsAs("editor")
      update: team in auth.teamsAs("editor")
      delete: team in auth.teamsAs("owner")
  drafts:
    fields: {name: {type: text, max: 40}, note: {type: ref, to: notes, onDelete: cascade}}
    access: {read: note.team in auth.teams, create: size(auth.teams) > 1}
  outside:
    fields: {name: {type: text, max: 40}, team: {type: ref, to: teams}}
    access: {read: '!(team in auth.teams) && auth.teams != null', create: true}
`

// user makes a user, as he asks.
func (h *house) user(name string) data.Caller {
	h.t.Helper()
	id := h.create(root, "users", `{"name":"`+name+`","email":"`+name+`@example.com"}`)
	return h.again(data.Caller{ID: id, SignedIn: true, Role: "member", Scope: "user:" + id})
}

// again is a user as he asks now.
func (h *house) again(by data.Caller) data.Caller {
	h.t.Helper()
	teams, err := h.TeamsOf(h.ctx, by.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	by.Teams = teams
	return by
}

// belong makes a user a member of a team.
func (h *house) belong(by data.Caller, team, role string) (membership string) {
	h.t.Helper()
	return h.create(root, "memberships", `{"team":"`+team+`","user":"`+by.ID+`","role":"`+role+`"}`)
}

// Rules that ask for teams answer in lists, on one record and before a write, on each engine.
func TestTeamsInRules(t *testing.T) { onEach(t, firm, testTeamsInRules) }

func testTeamsInRules(h *house) {
	t := h.t
	ann, bob, eve := h.user("ann"), h.user("bob"), h.user("eve")
	red := h.create(ann, "teams", `{"name":"Red"}`)
	blue := h.create(bob, "teams", `{"name":"Blue"}`)
	if ann = h.again(ann); len(ann.Teams) != 1 || ann.Teams[0] != (data.Membership{Team: red, Role: "owner"}) {
		t.Fatalf("who makes a team has it as %+v", ann.Teams)
	}
	h.belong(ann, blue, "member")
	ann, bob = h.again(ann), h.again(bob)
	r := h.create(ann, "notes", `{"name":"r","team":"`+red+`","more":"x"}`)
	b := h.create(bob, "notes", `{"name":"b","team":"`+blue+`","more":"x"}`)
	h.create(root, "notes", `{"name":"loose"}`)
	h.create(root, "drafts", `{"name":"of r","note":"`+r+`"}`)
	h.create(root, "drafts", `{"name":"of b","note":"`+b+`"}`)
	h.create(root, "outside", `{"name":"red","team":"`+red+`"}`)
	h.create(root, "outside", `{"name":"none"}`)
	for _, c := range []struct {
		by               data.Caller
		collection, want string
	}{
		{ann, "notes", "b r"}, {bob, "notes", "b"}, {eve, "notes", ""}, {data.Caller{}, "notes", ""},
		{data.Caller{SignedIn: true, Role: "staff", Scope: "key:x"}, "notes", ""}, {root, "notes", "b loose r"},
		{ann, "drafts", "of b of r"}, {bob, "drafts", "of b"}, {eve, "drafts", ""},
		{ann, "outside", "none"}, {bob, "outside", "none red"}, {eve, "outside", ""},
		{ann, "teams", "Blue Red"}, {bob, "teams", "Blue"}, {eve, "teams", ""},
	} {
		if got := h.names(c.by, data.ListQuery{Collection: c.collection, Sort: "name"}); got != c.want {
			t.Errorf("%s of %+v: %q, want %q", c.collection, c.by.Teams, got, c.want)
		}
	}
	// A field rule, and what a filter may ask: a field whose rule looks at the record is not among it.
	one := func(by data.Caller, id string) string {
		got, _, err := h.Get(h.ctx, by, data.Target{Collection: "notes", ID: id}, data.View{}, nil)
		if err != nil {
			return err.Error()
		}
		return string(got)
	}
	if got := one(ann, r); !strings.Contains(got, `"more":"x"`) {
		t.Error(got)
	}
	if got := one(ann, b); strings.Contains(got, "more") {
		t.Error("a member reads what is for editors:", got)
	}
	if _, _, err := h.Get(h.ctx, eve, data.Target{Collection: "notes", ID: r}, data.View{}, nil); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	for _, filter := range []string{`team in auth.teams`, `team in auth.teamsAs("owner")`, `size(auth.teams) > 0`} {
		if _, err := h.List(h.ctx, ann, &data.ListQuery{Collection: "notes", Filter: filter}, nil); !fault.Is(err, fault.BadRequest) {
			t.Errorf("a filter may ask %s: %v", filter, err)
		}
	}
	if got := h.names(bob, data.ListQuery{Collection: "notes", Filter: `team.name == "Red" || team.name == "Blue"`}); got != "b" {
		t.Error(got)
	}
	// Writes.
	for _, c := range []struct {
		by   data.Caller
		team string
		may  bool
	}{{ann, red, true}, {ann, blue, false}, {bob, red, false}, {eve, red, false}} {
		_, err := h.Create(h.ctx, c.by, "notes", body(t, `{"name":"n","team":"`+c.team+`"}`), data.WriteOptions{})
		if c.may != (err == nil) || !c.may && !fault.Is(err, fault.Denied) {
			t.Errorf("create in %s by %+v: %v", c.team, c.by.Teams, err)
		}
	}
	if _, err := h.Update(h.ctx, ann, "notes", r, body(t, `{"team":"`+blue+`"}`), data.WriteOptions{}); !fault.Is(err, fault.Denied) {
		t.Error("a record is moved to a team whose members it is not to write for:", err)
	}
	if _, err := h.Update(h.ctx, bob, "notes", r, body(t, `{"name":"x"}`), data.WriteOptions{}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if _, err := h.Delete(h.ctx, ann, "notes", b, data.WriteOptions{}); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	if err := h.Allow(bob, "drafts", data.Create); !fault.Is(err, fault.Denied) {
		t.Error("a rule that needs only the caller:", err)
	}
	if err := h.Allow(ann, "drafts", data.Create); err != nil {
		t.Error(err)
	}
	// Memberships are read by who they are about and by the team, and written by nobody.
	if got := h.ids(eve, "memberships"); len(got) != 0 {
		t.Error("a stranger sees who belongs to a team:", got)
	}
	if got := h.ids(bob, "memberships"); len(got) != 2 {
		t.Error(got)
	}
	if _, err := h.Create(h.ctx, bob, "memberships", body(t, `{"team":"`+red+`","user":"`+bob.ID+`","role":"owner"}`), data.WriteOptions{}); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	for _, id := range h.ids(bob, "memberships") {
		if _, err := h.Update(h.ctx, bob, "memberships", id, body(t, `{"role":"owner"}`), data.WriteOptions{}); !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
		if _, err := h.Delete(h.ctx, bob, "memberships", id, data.WriteOptions{}); !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
	}
	if _, err := h.Create(h.ctx, root, "memberships", body(t, `{"team":"`+blue+`","user":"`+bob.ID+`","role":"member"}`), data.WriteOptions{}); !fault.Is(err, fault.Conflict) {
		t.Error("somebody belongs to a team twice:", err)
	}
}

func (h *house) ids(by data.Caller, collection string) (ids []string) {
	h.t.Helper()
	records, _, err := h.Records(h.ctx, by, &data.ListQuery{Collection: collection, Limit: 500})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range records {
		ids = append(ids, r[0].Text())
	}
	return ids
}

// Who makes a team is its owner in the same write: he reads what he has made, and a batch goes on in it.
func TestFounder(t *testing.T) { onEach(t, firm, testFounder) }

func testFounder(h *house) {
	t := h.t
	ann := h.user("ann")
	r, err := h.Create(h.ctx, ann, "teams", body(t, `{"name":"Red"}`), data.WriteOptions{})
	if err != nil || !strings.Contains(string(r.Body), `"name":"Red"`) {
		t.Fatalf("%s %v", r.Body, err)
	}
	const team = "0193f000-0000-7000-8000-0000000000aa"
	if _, _, err := h.Batch(h.ctx, ann, []data.Operation{
		{Op: "create", Collection: "teams", Body: body(t, `{"id":"`+team+`","name":"Blue"}`)},
		{Op: "create", Collection: "notes", Body: body(t, `{"name":"first","team":"`+team+`"}`)},
	}, true, data.WriteOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := h.Put(h.ctx, ann, "teams", "0193f000-0000-7000-8000-0000000000bb", body(t, `{"name":"Green"}`), data.WriteOptions{}); err != nil {
		t.Error(err)
	}
	if ann = h.again(ann); len(ann.Teams) != 3 {
		t.Error(ann.Teams)
	}
	h.create(root, "teams", `{"name":"Theirs"}`)
	if n := len(h.ids(root, "memberships")); n != 3 {
		t.Error(n, "memberships")
	}
	if _, err := h.Create(h.ctx, data.Caller{SignedIn: true, Role: "staff"}, "teams", body(t, `{"name":"x"}`), data.WriteOptions{}); !fault.Is(err, fault.Denied) {
		t.Error("a key makes a team:", err)
	}
}

// A team that stays keeps an owner who can sign in, whoever asks; with a team or a user goes what binds them.
func TestLastOwner(t *testing.T) { onEach(t, firm, testLastOwner) }

func testLastOwner(h *house) {
	t := h.t
	ann, bob := h.user("ann"), h.user("bob")
	red := h.create(ann, "teams", `{"name":"Red"}`)
	b := h.belong(bob, red, "editor")
	own := slices.DeleteFunc(h.ids(root, "memberships"), func(id string) bool { return id == b })[0]
	last := func(err error) {
		t.Helper()
		if !errors.Is(err, data.ErrLastOwner) {
			t.Errorf("the last owner is gone: %v", err)
		}
	}
	remove := func(collection, id string) error {
		_, err := h.Delete(h.ctx, root, collection, id, data.WriteOptions{})
		return err
	}
	change := func(collection, id, patch string) error {
		_, err := h.Update(h.ctx, root, collection, id, body(t, patch), data.WriteOptions{})
		return err
	}
	last(remove("memberships", own))
	last(change("memberships", own, `{"role":"editor"}`))
	last(remove("users", ann.ID))
	if err := change("memberships", own, `{"team":"`+red+`","role":"owner"}`); err != nil {
		t.Error("what changes nothing:", err)
	}
	if err := change("memberships", own, `{"user":"`+bob.ID+`"}`); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if err := change("memberships", b, `{"role":"owner"}`); err != nil {
		t.Fatal(err)
	}
	if err := change("users", bob.ID, `{"disabled":true}`); err != nil {
		t.Fatal(err)
	}
	last(remove("memberships", own)) // the other cannot sign in
	if err := change("users", bob.ID, `{"disabled":false}`); err != nil {
		t.Fatal(err)
	}
	if err := remove("users", ann.ID); err != nil {
		t.Fatal(err)
	}
	if got := h.ids(root, "memberships"); len(got) != 1 || got[0] != b {
		t.Error(got)
	}
	last(remove("users", bob.ID))
	note := h.create(root, "notes", `{"name":"n","team":"`+red+`"}`)
	if _, err := h.Delete(h.ctx, h.again(bob), "teams", red, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := append(h.ids(root, "memberships"), h.ids(root, "notes")...); len(got) != 0 {
		t.Error(got, note, "are left")
	}
	if err := remove("users", bob.ID); err != nil {
		t.Error(err)
	}
}

// Of two owners who leave at the same moment one stays.
func TestBothOwnersLeave(t *testing.T) { onEach(t, firm, testBothOwnersLeave) }

func testBothOwnersLeave(h *house) {
	t := h.t
	ann, bob := h.user("ann"), h.user("bob")
	for range 10 {
		red := h.create(ann, "teams", `{"name":"Red"}`)
		h.belong(bob, red, "owner")
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range h.ids(root, "memberships") {
			wg.Go(func() {
				if i == 0 {
					_, errs[i] = h.Delete(h.ctx, root, "memberships", id, data.WriteOptions{})
				} else {
					_, errs[i] = h.Update(h.ctx, root, "memberships", id, body(t, `{"role":"member"}`), data.WriteOptions{})
				}
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), data.ErrLastOwner) {
			t.Fatal(errs)
		}
		if _, err := h.Delete(h.ctx, root, "teams", red, data.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Which rule decided is said of teams too, and the matrix has words for it.
func TestTeamsExplained(t *testing.T) { onEach(t, firm, testTeamsExplained) }

func testTeamsExplained(h *house) {
	t := h.t
	ann, bob := h.user("ann"), h.user("bob")
	red := h.create(ann, "teams", `{"name":"Red"}`)
	ann = h.again(ann)
	note := h.create(ann, "notes", `{"name":"r","team":"`+red+`"}`)
	for _, c := range []struct {
		by   data.Caller
		op   data.Op
		want string
	}{
		{ann, data.Read, "read notes: allowed\nrule   team in auth.teams\ntrue   team in auth.teams"},
		{bob, data.Delete, "delete notes: denied\nrule   team in auth.teamsAs(\"owner\")\nfalse  team in auth.teamsAs(\"owner\")"},
	} {
		v, err := h.Why(h.ctx, c.by, c.op, "notes", note)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(v.Lines(), "\n"); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
	x, err := h.Explain(h.ctx, ann, &data.ListQuery{Collection: "notes"})
	if err != nil || x.Statement == "" || x.Nothing != "" {
		t.Errorf("%+v %v", x, err)
	}
	if x, err = h.Explain(h.ctx, bob, &data.ListQuery{Collection: "notes"}); err != nil || x.Nothing == "" {
		t.Errorf("who has no team is answered without the database: %+v %v", x, err)
	}
	m := h.Matrix()
	says := map[string]data.Cell{}
	for _, table := range m.Tables {
		if table.Name == "notes" && len(table.Fields) == 0 {
			for i, caller := range m.Callers {
				says[caller+" read"], says[caller+" delete"] = table.Cells[i][0], table.Cells[i][3]
			}
		}
	}
	for name, want := range map[string]data.Cell{
		"nobody read": {Answer: data.Never}, "key of staff read": {Answer: data.Never}, "operator delete": {Answer: data.Always},
		"member read":   {Answer: data.Where, Where: "team is among the caller's teams", Rule: "team in auth.teams"},
		"member delete": {Answer: data.Where, Where: "team is among the caller's teams and team is among the teams in which the caller has the role owner or a later one", Rule: `team in auth.teams && team in auth.teamsAs("owner")`},
	} {
		if says[name] != want {
			t.Errorf("%s: %+v, want %+v", name, says[name], want)
		}
	}
}

// What is written of memberships is told to who remembers them.
func TestRejoined(t *testing.T) { onEach(t, firm, testRejoined) }

func testRejoined(h *house) {
	t := h.t
	var told []string
	h.OnRejoin(func(user string) { told = append(told, user) })
	ann, bob := h.user("ann"), h.user("bob")
	red := h.create(ann, "teams", `{"name":"Red"}`)
	m := h.belong(bob, red, "member")
	if _, err := h.Update(h.ctx, root, "memberships", m, body(t, `{"role":"editor"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Delete(h.ctx, root, "teams", red, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(told[3:])
	want := []string{ann.ID, bob.ID, bob.ID, ann.ID, bob.ID}
	slices.Sort(want[3:])
	if !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
}

// bare is an engine without transactions.
type bare struct{ *memory.Engine }

func (bare) Caps() driver.Caps { return driver.Caps{Paths: true, Joins: true, Ordered: true} }

// A database without transactions cannot keep what is promised of teams: the app does not start on it.
func TestTeamsNeedTransactions(t *testing.T) {
	t.Parallel()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(firm)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = app.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.Open(t.Context(), app, bare{memory.Open()}, data.Options{Key: secret}); !fault.Is(err, fault.Capability) || !strings.Contains(err.Error(), "auth.teams") {
		t.Error(err)
	}
}
