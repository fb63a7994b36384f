package live_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
)

const board = `
name: board
auth: {roles: [member, staff]}
collections:
  projects:
    fields:
      name: {type: text, max: 40}
      open: {type: bool}
    access: {read: true, create: true, update: true, delete: true}
  tasks:
    fields:
      name: {type: text, max: 40}
      note: {type: text, max: 40, read: project.open == true}
      project: {type: ref, to: projects}
    access: {read: 'project.open == true || auth.role == "staff"', create: true, update: true, delete: true}
`

// A transaction is told by what is there before it and what is there behind it. What is in between is seen by nobody in the
// database, and told to nobody here.
func TestTransactionsAreToldAsOne(t *testing.T) {
	onEach(t, board, func(h *house) {
		if !h.atomic {
			return // there each change is a transaction
		}
		update := func(collection string, n int, text string) data.Operation {
			return data.Operation{Op: "update", Collection: collection, ID: id(n), Body: h.node(text)}
		}
		create := func(n int, text string) data.Operation {
			return data.Operation{Op: "create", Collection: "tasks", Body: h.node(with(n, text))}
		}
		remove := func(n int) data.Operation { return data.Operation{Op: "delete", Collection: "tasks", ID: id(n)} }
		h.callers.Store("staff", data.Caller{SignedIn: true, Role: "staff"})
		h.create("projects", with(1, `{"open":false}`))
		h.create("projects", with(2, `{"open":true}`))
		h.create("tasks", with(3, `{"name":"secret","project":"`+id(1)+`"}`))
		anyone, staff := h.listen("", "/api/tasks", ""), h.listen("staff", "/api/tasks", "")
		anyone.want("ready")
		staff.want("ready")
		places := []string{anyone.last}
		var told []string
		batch := func(toStaff, toAnyone string, ops ...data.Operation) {
			h.t.Helper()
			h.batch(ops...)
			for want := range strings.SplitSeq(toStaff, ", ") {
				staff.want(want)
			}
			if toAnyone == "" {
				return
			}
			for want := range strings.SplitSeq(toAnyone, ", ") {
				anyone.want(want)
				told, places = append(told, want), append(places, anyone.last)
			}
		}
		// Opened, and written over behind it.
		batch("update clean", "enter clean", update("projects", 1, `{"open":true}`), update("tasks", 3, `{"name":"clean"}`))
		// Written twice, and its project in between.
		batch("update y", "update y", update("tasks", 3, `{"name":"x"}`), update("projects", 1, `{"name":"p"}`), update("tasks", 3, `{"name":"y"}`))
		// One is made and deleted.
		batch("create d", "create d", create(4, `{"name":"nobody","project":"`+id(2)+`"}`), create(8, `{"name":"d","project":"`+id(2)+`"}`), remove(4))
		// Closed for a moment.
		batch("update z", "update z", update("projects", 1, `{"open":false}`), update("tasks", 3, `{"name":"z"}`), update("projects", 1, `{"open":true}`))
		// Written, and closed behind it.
		batch("update hidden", "leave 03", update("tasks", 3, `{"name":"hidden"}`), update("projects", 1, `{"open":false}`))
		// Open for a moment.
		batch("update worse", "", update("projects", 1, `{"open":true}`), update("tasks", 3, `{"name":"worse"}`), update("projects", 1, `{"open":false}`))
		three := "create a, create b, create c"
		batch(three, three, create(5, `{"name":"a","project":"`+id(2)+`"}`), create(6, `{"name":"b","project":"`+id(2)+`"}`), create(7, `{"name":"c","project":"`+id(2)+`"}`))
		// Deleted and made again.
		batch("update again, delete 06", "update again, delete 06", remove(5), create(5, `{"name":"again","project":"`+id(2)+`"}`), remove(6))
		batch("update gone", "leave 07", remove(7), create(7, `{"name":"gone","project":"`+id(1)+`"}`))

		for i, at := range places { // also between the events of a transaction
			l := h.listen("", "/api/tasks", at)
			h.create("projects", `{"name":"no matter"}`)
			l.want(later(told[i:])...)
			l.cancel()
		}
	})
}

// later is what is told afterwards of tasks 3 and 7, of which nobody may read anything any more, and of those whose state was another.
func later(told []string) (now []string) {
	for _, event := range told {
		switch event {
		case "enter clean", "update y", "update z":
			continue // it is closed
		case "create b":
			continue // it is gone
		case "create c":
			continue // it belongs to another project by now
		}
		now = append(now, event)
	}
	return now
}

// What is too much to be looked at together is not told in parts: the client begins anew.
func TestTransactionsThatAreTooLong(t *testing.T) {
	onEach(t, board, func(h *house) {
		if !h.atomic || strings.Contains(h.t.Name(), "mongo") {
			return // a minute there; what is told does not depend on the engine
		}
		l := h.listen("", "/api/projects", "")
		l.want("ready")
		begun := l.last
		other := h.listen("", "/api/tasks?fields=name&filter="+`name%20%3D%3D%20%22x%22`, "")
		other.want("ready")
		err := h.Transact(h.t.Context(), system, func(tx *data.Tx) error {
			for n := range 11_000 {
				if _, err := tx.Create("projects", h.node(fmt.Sprintf(`{"name":"%d"}`, n))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
		l.want("resync")
		l.ended()
		back := h.listen("", "/api/projects", begun)
		back.want("resync")
		back.ended()
		l = h.listen("", "/api/projects", "")
		l.want("ready")
		h.create("projects", `{"name":"on"}`)
		l.want("create on")
	})
}

// Others wait while a list is judged that looks at other records: not for as long as that may take.
func TestJudgingIsBounded(t *testing.T) {
	onEach(t, board, func(h *house) {
		h.create("projects", with(1, `{"open":false}`))
		h.create("tasks", with(2, `{"name":"x","project":"`+id(1)+`"}`))
		w, err := h.Watch(data.Caller{}, &data.WatchQuery{Collection: "tasks"})
		if err != nil {
			h.t.Fatal(err)
		}
		from, err := h.Head(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		h.update("projects", id(1), `{"open":true}`)
		all, _, err := h.Changes(h.t.Context(), from)
		if err != nil {
			h.t.Fatal(err)
		}
		err = h.WithHistory(h.t.Context(), from, true, func(past *data.History) error {
			past.Until(time.Now().Add(-time.Second))
			if _, err := w.Events(past, all, nil); !errors.Is(err, data.ErrCostly) {
				h.t.Errorf("behind the time: %v", err)
			}
			past.Until(time.Now().Add(time.Hour))
			events, err := w.Events(past, all, nil)
			if err == nil && (len(events) != 1 || events[0].Kind != "enter") {
				h.t.Errorf("in time: %v", events)
			}
			return err
		})
		if err != nil {
			h.t.Error(err)
		}
	})
}
