package matrix_test

import "fmt"

// role is who asks.
type role struct {
	name   string
	id     string // of a user; keys have none
	rank   int    // member 1, staff 2, admin 3
	signed bool
	op     bool
	ro     bool
}

const (
	annID = "01900000-0000-7000-8000-00000000000a"
	bobID = "01900000-0000-7000-8000-00000000000b"
)

var roles = []role{
	{name: "nobody"},
	{name: "ann", id: annID, rank: 1, signed: true},
	{name: "bob", id: bobID, rank: 1, signed: true},
	{name: "staff", rank: 2, signed: true},
	{name: "admin", rank: 3, signed: true},
	{name: "operator", signed: true, op: true},
	{name: "read-only", rank: 3, signed: true, ro: true},
}

// refused is 401 or 403.
func (r role) refused() int {
	if r.signed {
		return 403
	}
	return 401
}

func (r role) owns(x *record) bool { return r.id != "" && x.owner == r.id }

// rule is an access rule: as the app file says it, and as Go does. early ones need only the caller.
type rule struct {
	src          string
	early, input bool
	ok           func(r role, old, changed *record) bool
}

func (l *rule) holds(r role, old, changed *record) bool {
	return r.op || l != nil && l.ok(r, old, changed)
}

// before is the answer that needs no look at a record: 0 when there is none.
func (l *rule) before(r role) int {
	if r.op || l != nil && (!l.early || l.ok(r, nil, nil)) {
		return 0
	}
	return r.refused()
}

var (
	anybody   = &rule{src: "true", ok: func(role, *record, *record) bool { return true }}
	forSigned = &rule{src: "auth.signedIn", early: true, ok: func(r role, _, _ *record) bool { return r.signed }}
	forStaff  = &rule{src: `auth.has("staff")`, early: true, ok: func(r role, _, _ *record) bool { return r.rank >= 2 }}
	forAdmin  = &rule{src: `auth.has("admin")`, early: true, ok: func(r role, _, _ *record) bool { return r.rank >= 3 }}
	forReader = &rule{src: `status == "published" || owner == auth.id || auth.has("staff")`,
		ok: func(r role, x, _ *record) bool { return x.status == "published" || r.owns(x) || r.rank >= 2 }}
	forOwner = &rule{src: "owner == auth.id", ok: func(r role, x, _ *record) bool { return r.owns(x) }}
	forBoth  = &rule{src: `owner == auth.id || auth.has("admin")`, ok: func(r role, x, _ *record) bool { return r.owns(x) || r.rank >= 3 }}
	forDraft = &rule{src: `status == "draft" || auth.has("admin")`, ok: func(r role, x, _ *record) bool { return x.status == "draft" || r.rank >= 3 }}
	keeping  = &rule{src: `input.status == status || auth.has("staff")`, input: true,
		ok: func(r role, old, changed *record) bool { return old.status == changed.status || r.rank >= 2 }}
)

// shape is a collection. All have the same fields; their access differs.
type shape struct {
	name                       string
	read, create, update, drop *rule
}

var shapes = []shape{
	{"open", anybody, anybody, anybody, anybody},
	{"shut", nil, nil, nil, nil},
	{"desk", forStaff, forSigned, forStaff, forAdmin},
	{"notes", forReader, forSigned, forOwner, forBoth},
	{"moves", anybody, forBoth, keeping, forOwner},
	{"box", nil, anybody, anybody, forOwner},
	{"lasting", forReader, anybody, forDraft, forDraft},
	{"archive", forOwner, forAdmin, forOwner, forOwner},
	{"mixed", forReader, forOwner, forBoth, forReader},
}

const fields = `
    fields:
      title:  {type: text, required: true, max: 40}
      owner:  {type: text, max: 40, init: auth.id, fixed: true}
      status: {type: enum, values: [draft, published], default: draft}
      n:      {type: int, default: 0, max: 100}
      memo:   {type: text, read: 'auth.has("staff")', write: 'auth.has("staff")'}
      note:   {type: text, read: owner == auth.id}
      lock:   {type: text, write: owner == auth.id}
      pin:    {type: text, hidden: true, default: %q}
      drop:   {type: text, hidden: true, write: 'auth.has("admin")'}
      made:   {type: text, set: slug(title)}
      code:   {type: text, max: 20, unique: true}
      up:     {type: ref, to: hub, inverse: %s}
      doc:    {type: file, maxSize: 1KB}
`

// file is the app file; pin is what the hidden field without a write rule holds.
func file(pin string) string {
	text := "name: matrix\nauth: {roles: [member, staff, admin]}\ncollections:\n  hub:\n    fields: {name: {type: text}}\n    access: {read: true}\n"
	for _, s := range shapes {
		text += "  " + s.name + ":" + fmt.Sprintf(fields, pin, s.name) + "    access:\n"
		none := true
		for name, l := range map[string]*rule{"read": s.read, "create": s.create, "update": s.update, "delete": s.drop} {
			if l != nil {
				none = false
				text += "      " + name + ": '" + l.src + "'\n"
			}
		}
		if none {
			text = text[:len(text)-len("    access:\n")]
		}
	}
	return text
}

// record is one record of the model; "" is null where a text may be.
type record struct {
	id, title, owner, status, memo, note, lock, drop, code string
	n                                                      int
	file                                                   bool
	there                                                  bool
}

const hub = "01900000-0000-7000-8000-0000000000f0"

func text(s string) string {
	if s == "" {
		return "null"
	}
	return `"` + s + `"`
}

// view is a record as a role may read it, by field; in a write's answer rows that may not be read have only
// what every record has.
func (s shape) view(r role, x *record) map[string]string {
	v := map[string]string{"id": text(x.id), "created": "*", "updated": "*", "rev": "*"}
	if !s.read.holds(r, x, nil) {
		return v
	}
	v["title"], v["owner"], v["status"], v["n"] = text(x.title), text(x.owner), text(x.status), fmt.Sprint(x.n)
	v["lock"], v["made"], v["code"], v["up"], v["doc"] = text(x.lock), text(x.title), text(x.code), text(hub), "null"
	if x.file {
		v["doc"] = fmt.Sprintf(`{"name":"a.txt","type":"text/plain","size":5,"url":"/api/files/%s/%s/doc/a.txt"}`, s.name, x.id)
	}
	if r.op || r.rank >= 2 {
		v["memo"] = text(x.memo)
	}
	if r.op || r.owns(x) {
		v["note"] = text(x.note)
	}
	return v
}

// answer is what the model expects. view nil: nothing is said of the body; list: the ids in it.
type answer struct {
	status int
	code   string // of a 422 or 409: pointer and code
	view   map[string]string
	list   []string
	body   string // of a file
}

// reads is the status of reading one record.
func (s shape) reads(r role, x *record) int {
	switch {
	case s.read == nil && !r.op:
		return r.refused()
	case !x.there || !s.read.holds(r, x, nil):
		return 404
	}
	return 200
}

// sees says whether a record is in a list.
func (s shape) sees(r role, x *record) bool { return x.there && s.read.holds(r, x, nil) }

// changes expects a change of a record that one edit makes; problem is what is wrong with it.
func (s shape) changes(r role, x *record, edit func(*record), problem string) answer {
	if r.ro {
		return answer{status: 403}
	}
	if status := s.update.before(r); status != 0 {
		return answer{status: status}
	}
	if !x.there || s.read != nil && !s.read.holds(r, x, nil) {
		return answer{status: 404}
	}
	asksInput := s.update != nil && s.update.input
	if !asksInput && !s.update.holds(r, x, nil) {
		return answer{status: r.refused()}
	}
	changed := *x
	if problem == "" {
		edit(&changed)
	}
	if asksInput && !s.update.holds(r, x, &changed) {
		return answer{status: r.refused()}
	}
	if problem != "" {
		return answer{status: 422, code: problem}
	}
	if !asksInput && !s.update.holds(r, &changed, nil) {
		return answer{status: r.refused()}
	}
	*x = changed
	return answer{status: 200, view: s.view(r, x)}
}

// removes expects a delete.
func (s shape) removes(r role, x *record) answer {
	if r.ro {
		return answer{status: 403}
	}
	if status := s.drop.before(r); status != 0 {
		return answer{status: status}
	}
	if !x.there || s.read != nil && !s.read.holds(r, x, nil) {
		return answer{status: 404}
	}
	if !s.drop.holds(r, x, nil) {
		return answer{status: r.refused()}
	}
	x.there = false
	return answer{status: 204}
}

// creates expects a create.
func (s shape) creates(r role, x *record, problem string) answer {
	if r.ro {
		return answer{status: 403}
	}
	if status := s.create.before(r); status != 0 {
		return answer{status: status}
	}
	if problem != "" {
		return answer{status: 422, code: problem}
	}
	if !s.create.holds(r, x, nil) {
		return answer{status: r.refused()}
	}
	x.there = true
	return answer{status: 201, view: s.view(r, x)}
}
