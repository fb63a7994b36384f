package rest

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// openapi answers GET /api/openapi.json: the app as the caller may see it.
func (d *door) openapi(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(r); err != nil {
		return err
	}
	by, err := d.who(w, r)
	if err != nil {
		return err
	}
	personal(w)
	app := d.store.App()
	b := describe(app, eyes{
		sight:  func(collection string) data.Sight { return d.store.Sight(by, collection) },
		heard:  func(channel string) (listen, send bool) { return d.store.Heard(by, channel) },
		nobody: func(collection string) data.Sight { return d.store.Sight(data.Caller{}, collection) },
		enters: d.enters,
	}, d.version)
	web.JSON(w, r, http.StatusOK, b)
	return nil
}

// eyes are what a caller sees and hears, and what nobody does: who registers is nobody yet.
type eyes struct {
	sight, nobody func(collection string) data.Sight
	heard         func(channel string) (listen, send bool)
	enters        bool // there is /api/auth/
}

// describe is the OpenAPI 3.1 description of an app, of what a caller with such eyes could do. Streams are
// not in it: it knows of answers that end.
func describe(app *spec.App, by eyes, version string) []byte {
	p := &description{app: app, sights: map[string]data.Sight{}, paths: doc.NewObject(), schemas: doc.NewObject(), tags: doc.NewArray()}
	for _, c := range app.Collections {
		if !c.System {
			p.sights[c.Name] = by.sight(c.Name)
		}
	}
	for _, c := range app.Collections {
		s, ok := p.sights[c.Name]
		if ok && (s.Read || s.Create || s.Update || s.Delete) {
			p.collection(c, s)
		}
	}
	for _, c := range app.Channels {
		if listen, send := by.heard(c.Name); listen || send {
			p.channel(c, listen, send)
		}
	}
	security := p.people(by)
	p.shared()
	components := object("schemas", p.schemas, "parameters", parameters(), "responses", responses())
	prune(components, p.paths)
	components.Set("securitySchemes", security)
	title := cmp.Or(app.Name, "app")
	license := object("name", "Proprietary", "identifier", "LicenseRef-Proprietary")
	return object(
		"openapi", "3.1.0",
		"info", object("title", title, "version", "1", "description", "The API of "+title+", served by Plinth"+spaced(version)+".",
			"contact", object("name", title), "license", license),
		"servers", doc.NewArray(object("url", cmp.Or(app.Server.URL, "/"), "description", "This server")),
		"tags", p.tags,
		"security", doc.NewArray(append(each(security), doc.NewObject())...),
		"paths", p.paths,
		"components", components,
	).Append(nil)
}

// prune takes out what neither a path nor another component refers to.
func prune(components, paths *doc.Node) {
	for {
		text, removed := string(components.Append(paths.Append(nil))), false
		for i, kind := range components.Keys {
			kept := doc.NewObject()
			for j, name := range components.Items[i].Keys {
				if strings.Contains(text, `"#/components/`+kind+"/"+name+`"`) {
					kept.Set(name, &components.Items[i].Items[j])
				} else {
					removed = true
				}
			}
			components.Items[i] = *kept
		}
		if !removed {
			return
		}
	}
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// description is an OpenAPI document as it grows.
type description struct {
	app     *spec.App
	sights  map[string]data.Sight
	paths   *doc.Node
	schemas *doc.Node
	tags    *doc.Node
}

// object makes an object of keys and values: strings, numbers, booleans, nodes.
func object(pairs ...any) *doc.Node {
	n := doc.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		n.Set(pairs[i].(string), doc.FromAny(pairs[i+1]))
	}
	return n
}

func ref(kind, name string) *doc.Node { return object("$ref", "#/components/"+kind+"/"+name) }

func jsonOf(schema *doc.Node) *doc.Node {
	return object("application/json", object("schema", schema))
}

// collection describes the routes of one collection.
func (p *description) collection(c *spec.Collection, s data.Sight) {
	name := c.Name
	p.tags.Items = append(p.tags.Items, *object("name", name, "description", "Records of "+name))
	p.schemas.Set(name, p.record(c, s))
	p.schemas.Set(name+".part", p.part(c, s))
	base := "/api/" + name
	many, asked, one := doc.NewObject(), doc.NewObject(), doc.NewObject()
	one.Set("parameters", doc.NewArray(ref("parameters", "id")))
	if s.Read {
		page, groups := p.page(c), ref("schemas", "Groups")
		list := object("description", "A page of records, or groups", "content", jsonOf(object("oneOf", doc.NewArray(page, groups))))
		many.Set("get", p.operation(name, "list", "List "+name, "A page of the records that the caller may read, or, with group or aggregate, what they amount to.",
			[]string{"filter", "param", "sort", "fields", "expand", "limit", "cursor", "count", "group", "aggregate"}, nil,
			object("200", list), 400, 401, 403, 404, 406))
		asked.Set("post", p.operation(name, "query", "List "+name+", asked in a body", "The same as the list, for long questions.", nil,
			object("required", true, "content", jsonOf(ref("schemas", "Question"))), object("200", list), 400, 401, 403, 404, 406, 413, 415))
		one.Set("get", p.operation(name, "read", "Read one of "+name, "One record. Its ETag is its revision and, where the answer is compressed, the coding.", []string{"fields", "expand", "ifNoneMatch"}, nil,
			object("200", p.found(c), "304", object("description", "Not changed")), 400, 401, 403, 404, 406, 412))
	}
	if s.Create || s.Update {
		p.schemas.Set(name+".create", p.input(c, s, true))
	}
	if s.Create {
		many.Set("post", p.operation(name, "create", "Create one of "+name, "Creates a record.", []string{"idempotencyKey", "prefer"}, p.body(c, s, name+".create", false),
			object("201", p.answer(c, s, "The new record", true)), 400, 401, 403, 404, 406, 409, 413, 415, 422, 507))
	}
	if s.Update {
		p.schemas.Set(name+".patch", p.input(c, s, false))
		one.Set("patch", p.operation(name, "update", "Change one of "+name, "Changes the fields that the body names (RFC 7396).",
			[]string{"ifMatch", "idempotencyKey", "prefer"}, p.body(c, s, name+".patch", true),
			object("200", p.answer(c, s, "The record as it is now", false), "204", done()), 400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 507))
		p.increments(c, s)
	}
	if s.Create || s.Update {
		success := doc.NewObject()
		if s.Update {
			success.Set("200", p.answer(c, s, "The record as it is now", false))
			success.Set("204", done())
		}
		if s.Create {
			success.Set("201", p.answer(c, s, "The new record", true))
		}
		one.Set("put", p.operation(name, "put", "Create or replace one of "+name, "Creates the record with this id, or replaces what the caller may write of it.",
			[]string{"ifMatch", "ifNoneMatch", "idempotencyKey", "prefer"}, object("required", true, "content", jsonOf(ref("schemas", name+".create"))),
			success, 400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 507))
	}
	if s.Delete {
		one.Set("delete", p.operation(name, "delete", "Delete one of "+name, "Deletes the record.", []string{"ifMatch", "idempotencyKey"}, nil,
			object("204", object("description", "Deleted")), 400, 401, 403, 404, 406, 409, 412, 422, 507))
	}
	if len(many.Keys) > 0 {
		p.paths.Set(base, many)
	}
	if len(asked.Keys) > 0 {
		p.paths.Set(base+"/query", asked)
	}
	if len(one.Keys) > 1 {
		p.paths.Set(base+"/{id}", one)
	}
	if s.Read {
		p.lookups(c, s)
		p.files(c, s)
	}
}

// operation describes one method of a route.
func (p *description) operation(tag, act, summary, description string, params []string, body, success *doc.Node, problems ...int) *doc.Node {
	op := object("tags", doc.NewArray(doc.NewString(tag)), "operationId", tag+"."+act, "summary", summary, "description", description)
	if len(params) > 0 {
		list := doc.NewArray()
		for _, name := range params {
			list.Items = append(list.Items, *ref("parameters", name))
		}
		op.Set("parameters", list)
	}
	if body != nil {
		op.Set("requestBody", body)
	}
	for _, status := range append(problems, 429, 500, 501, 503) {
		success.Set(strconv.Itoa(status), ref("responses", "problem"+strconv.Itoa(status)))
	}
	op.Set("responses", success)
	return op
}

// answer is the record in the answer to a write: what of it the caller may read.
func (p *description) answer(c *spec.Collection, s data.Sight, text string, created bool) *doc.Node {
	headers := object("ETag", header("The revision, in quotes", true))
	if created {
		headers.Set("Location", header("The record's address", true))
	}
	headers.Set("Preference-Applied", header("`return=minimal`, where that was asked: then there is no body", false))
	schema := ref("schemas", c.Name)
	if s.Read && c.Access.Read != nil && c.Access.Read.Record {
		schema = p.either(c)
	}
	return object("description", text, "headers", headers, "content", jsonOf(schema))
}

// found is a record that was asked for, wholly or in part.
func (p *description) found(c *spec.Collection) *doc.Node {
	headers := object("ETag", header("The revision and, where the answer is compressed, the coding, in quotes: \"3\", \"3-gzip\"; not there where fields or expand was asked", false))
	return object("description", "The record", "headers", headers, "content", jsonOf(p.either(c)))
}

// either is a record that may lack fields: those that were not asked for or, after a write, all that
// the caller may not read.
func (p *description) either(c *spec.Collection) *doc.Node {
	return object("anyOf", doc.NewArray(ref("schemas", c.Name), ref("schemas", c.Name+".part")))
}

func done() *doc.Node {
	return object("description", "Done, and no body was wanted", "headers", object("ETag", header("The revision, in quotes", true)))
}

func header(description string, required bool) *doc.Node {
	return object("description", description, "required", required, "schema", object("type", "string"))
}

func (p *description) page(c *spec.Collection) *doc.Node {
	return object("type", "object", "required", doc.FromAny([]any{"items"}), "properties", object(
		"items", object("type", "array", "items", p.either(c)),
		"next", object("type", "string", "description", "The cursor of the next page; not there on the last"),
		"total", object("type", "integer", "description", "How many there are in all, where count=exact was asked")))
}

// body is what a write sends: JSON or, where the caller may write files, multipart.
func (p *description) body(c *spec.Collection, s data.Sight, schema string, patch bool) *doc.Node {
	content := doc.NewObject()
	if patch {
		content.Set("application/merge-patch+json", object("schema", ref("schemas", schema)))
	}
	content.Set("application/json", object("schema", ref("schemas", schema)))
	parts := object("record", ref("schemas", schema))
	for _, f := range c.Fields {
		if f.Type != spec.File || !s.Writable[f.Ord] {
			continue
		}
		bytes := object("type", "string", "contentMediaType", "application/octet-stream")
		if f.MaxFiles > 1 {
			bytes = object("type", "array", "items", bytes, "maxItems", f.MaxFiles)
		}
		parts.Set(f.Name, bytes)
	}
	if len(parts.Keys) > 1 {
		content.Set("multipart/form-data", object("schema", object("type", "object", "required", doc.FromAny([]any{"record"}), "properties", parts),
			"encoding", object("record", object("contentType", "application/json"))))
	}
	return object("required", true, "content", content)
}

func (p *description) increments(c *spec.Collection, s data.Sight) {
	numbers := doc.NewObject()
	for _, f := range c.Fields {
		if s.Writable[f.Ord] && !f.Encrypted && !f.Fixed {
			switch f.Type {
			case spec.Int:
				numbers.Set(f.Name, object("type", "integer"))
			case spec.Float:
				numbers.Set(f.Name, object("type", "number"))
			case spec.Bigint, spec.Decimal:
				numbers.Set(f.Name, object("type", doc.FromAny([]any{"string", "number"})))
			}
		}
	}
	if len(numbers.Keys) == 0 {
		return
	}
	schema := object("type", "object", "minProperties", 1, "additionalProperties", false, "properties", numbers)
	p.paths.Set("/api/"+c.Name+"/{id}/increment", object("parameters", doc.NewArray(ref("parameters", "id")),
		"post", p.operation(c.Name, "increment", "Add to numbers of one of "+c.Name, "Adds to number fields, atomically.", []string{"ifMatch", "idempotencyKey", "prefer"},
			object("required", true, "content", jsonOf(schema)),
			object("200", p.answer(c, s, "The record as it is now", false), "204", done()), 400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 507)))
}

// lookups are the routes by unique fields. The one by id is the record's own.
func (p *description) lookups(c *spec.Collection, s data.Sight) {
	for _, f := range c.Fields {
		if f.Name == "id" || !f.Unique || !s.Readable[f.Ord] || f.Companion != spec.Own {
			continue
		}
		value := object("name", "value", "in", "path", "required", true, "description", "The value of "+f.Name, "schema", object("type", "string"))
		p.paths.Set("/api/"+c.Name+"/by/"+f.Name+"/{value}", object("parameters", doc.NewArray(value),
			"get", p.operation(c.Name, "by."+f.Name, "Read one of "+c.Name+" by "+f.Name, "The record whose "+f.Name+" has this value.",
				[]string{"fields", "expand", "ifNoneMatch"}, nil,
				object("200", p.found(c), "304", object("description", "Not changed")), 400, 401, 403, 404, 406, 412)))
	}
}

func (p *description) files(c *spec.Collection, s data.Sight) {
	for _, f := range c.Fields {
		if f.Type != spec.File || !s.Readable[f.Ord] {
			continue
		}
		name := object("name", "name", "in", "path", "required", true, "description", "The file's name", "schema", object("type", "string"))
		bytes := object("*/*", object("schema", object("type", "string", "contentMediaType", "application/octet-stream")))
		p.paths.Set("/api/files/"+c.Name+"/{id}/"+f.Name+"/{name}", object("parameters", doc.NewArray(ref("parameters", "id"), name),
			"get", p.operation(c.Name, "file."+f.Name, "Download a file of "+f.Name, "The bytes of a file, whole or in ranges.", nil, nil,
				object("200", object("description", "The file", "content", bytes), "206", object("description", "A part of it", "content", bytes),
					"304", object("description", "Not changed")), 400, 401, 403, 404, 412, 416)))
	}
}

// channel describes the routes of a channel, with a key and, where it may have none, without.
func (p *description) channel(c *spec.Channel, listen, send bool) {
	tag := "channel." + c.Name
	p.tags.Items = append(p.tags.Items, *object("name", tag, "description", "The channel "+c.Name))
	keyed := object("type", "string", "pattern", `^[A-Za-z0-9._~-]{1,100}$`)
	if c.To != "" {
		keyed = object("type", "string", "format", "uuid")
	}
	key := object("name", "key", "in", "path", "required", true, "description", "The channel's key", "schema", keyed)
	state := object("type", "object", "description", "What a member says of himself, at most 2 KB")
	member := object("type", "object", "required", doc.FromAny([]any{"id", "state"}), "additionalProperties", false, "properties", object("id", object("type", "string"), "state", state))
	members := object("type", "object", "required", doc.FromAny([]any{"members"}), "additionalProperties", false, "properties", object("members", object("type", "array", "items", member)))
	message := object("type", "object", "minProperties", 1, "additionalProperties", false, "description", "At most 8 KB", "properties",
		object("event", object("type", "string", "minLength", 1, "maxLength", 100), "data", doc.NewObject()))
	for _, at := range []struct {
		path, act, text string
		keyed           bool
	}{{"/api/live/" + c.Name, "", "the channel " + c.Name, false}, {"/api/live/" + c.Name + "/{key}", ".key", "a channel of " + c.Name, true}} {
		if !at.keyed && c.To != "" {
			continue
		}
		said, present := doc.NewObject(), doc.NewObject()
		if at.keyed {
			said.Set("parameters", doc.NewArray(key))
			present.Set("parameters", doc.NewArray(key))
		}
		if send {
			said.Set("post", p.operation(tag, "send"+at.act, "Send to "+at.text, "Sends a message to all who listen. It is not stored.", nil,
				object("required", true, "content", jsonOf(message)), object("202", object("description", "It is on its way")), 400, 401, 403, 404, 406, 413, 415))
			p.paths.Set(at.path, said)
		}
		if !c.Presence {
			continue
		}
		if listen {
			present.Set("get", p.operation(tag, "present"+at.act, "Who is in "+at.text, "Who listens to it.", nil, nil,
				object("200", object("description", "The members", "content", jsonOf(members))), 400, 401, 403, 404, 406))
		}
		if send {
			present.Set("put", p.operation(tag, "say"+at.act, "Say one's state in "+at.text, "Sets what the others see of a user who listens.", nil,
				object("required", true, "content", jsonOf(state)), object("204", object("description", "Said")), 400, 401, 403, 404, 406, 409, 413, 415))
		}
		p.paths.Set(at.path+"/presence", present)
	}
}
