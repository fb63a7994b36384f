package rest

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// record is the schema of a collection's records as they are answered.
func (p *description) record(c *spec.Collection, s data.Sight) *doc.Node {
	n := p.bare(c, s)
	if expand := p.expansions(c, s); len(expand.Keys) > 0 {
		properties, _ := n.Get("properties")
		properties.Set("expand", object("type", "object", "readOnly", true, "description", "What was asked for with expand", "properties", expand))
	}
	return n
}

// bare is the schema of records of which nothing is expanded.
func (p *description) bare(c *spec.Collection, s data.Sight) *doc.Node {
	properties := systemFields()
	required := []any{"id", "created", "updated", "rev"}
	for _, f := range c.Fields[spec.OrdFirst:] {
		if f.Companion != spec.Own || !s.Read || !s.Readable[f.Ord] {
			continue
		}
		schema := p.field(f, !f.Required)
		if !s.Writable[f.Ord] {
			schema.Set("readOnly", doc.NewBool(true))
		}
		properties.Set(f.Name, schema)
		if f.Read == nil || !f.Read.Record {
			required = append(required, f.Name)
		}
	}
	return object("type", "object", "required", doc.FromAny(required), "properties", properties)
}

// part is the schema of a record of which not all is told.
func (p *description) part(c *spec.Collection, s data.Sight) *doc.Node {
	n := p.record(c, s)
	n.Set("required", doc.FromAny([]any{"id"}))
	n.Set("description", doc.NewString("One of "+c.Name+", in part: with the fields that were asked for and may be read"))
	return n
}

func systemFields() *doc.Node {
	moment := func(text string) *doc.Node {
		return object("type", "string", "format", "date-time", "readOnly", true, "description", text)
	}
	return object(
		"id", object("type", "string", "format", "uuid", "description", "UUIDv7, in lower case"),
		"created", moment("When it was created"),
		"updated", moment("When it was last changed"),
		"rev", object("type", "integer", "minimum", 1, "readOnly", true, "description", "Its revision"))
}

// expansions are the schemas of what can be expanded. A collection that the caller may not read has no
// records for him: it is not named here, and what he expands of it is an empty list or not there.
func (p *description) expansions(c *spec.Collection, s data.Sight) *doc.Node {
	expand := doc.NewObject()
	if !s.Read {
		return expand
	}
	for _, f := range c.Fields {
		to, ok := p.app.Collection(f.To)
		if !ok || !s.Readable[f.Ord] || !p.sights[f.To].Read {
			continue
		}
		if f.Type == spec.List {
			expand.Set(f.Name, object("type", "array", "items", p.either(to)))
		} else {
			expand.Set(f.Name, p.either(to))
		}
	}
	for _, i := range c.Inverses {
		if of := p.sights[i.Of.Name]; of.Read && of.Readable[i.Field.Ord] {
			expand.Set(i.Name, object("type", "array", "items", p.either(i.Of)))
		}
	}
	return expand
}

// input is the schema of a body: of a create, or of a merge patch.
func (p *description) input(c *spec.Collection, s data.Sight, create bool) *doc.Node {
	properties := doc.NewObject()
	required := []any{}
	if create {
		properties.Set("id", object("type", "string", "format", "uuid", "description", "UUIDv7, in lower case; made when absent"))
	}
	for _, f := range c.Fields[spec.OrdFirst:] {
		if f.Companion != spec.Own || !s.Writable[f.Ord] || create && f.Type == spec.File || !create && f.Fixed {
			continue
		}
		schema := p.field(f, !f.Required)
		if f.Type == spec.File {
			schema.Set("description", doc.NewString("What stays of the files that are there; new ones are parts of multipart/form-data"))
		}
		if create && f.Default != nil {
			// As words: client generators read the keyword default as "always there", in requests too.
			text := "Default: " + string(data.AppendJSON(nil, *f.Default))
			if old, ok := schema.Get("description"); ok {
				text = old.Text + ". " + text
			}
			schema.Set("description", doc.NewString(text))
		}
		properties.Set(f.Name, schema)
		if create && f.Required && f.Default == nil && f.Init == nil {
			required = append(required, f.Name)
		}
	}
	schema := object("type", "object", "additionalProperties", false, "properties", properties)
	if len(required) > 0 {
		schema.Set("required", doc.FromAny(required))
	}
	return schema
}

// field is the schema of a field's values.
func (p *description) field(f *spec.Field, nullable bool) *doc.Node {
	n := p.ofType(f, f.Type)
	if f.Type == spec.List {
		n = object("type", "array", "items", p.ofType(f, f.Elem))
		if f.MaxLen > 0 {
			n.Set("maxItems", doc.NewInt(int64(f.MaxLen)))
		}
	}
	if f.Type == spec.File && f.MaxFiles > 1 {
		n = object("type", "array", "items", n, "maxItems", f.MaxFiles)
	}
	if nullable {
		n = orNull(n)
	}
	if f.Label != "" {
		n.Set("title", doc.NewString(f.Label))
	}
	return n
}

// orNull lets null be a value too.
func orNull(n *doc.Node) *doc.Node {
	if kind, ok := n.Get("type"); ok {
		*kind = *doc.NewArray(kind, doc.NewString("null"))
		if values, ok := n.Get("enum"); ok {
			values.Items = append(values.Items, doc.Node{})
		}
		return n
	}
	if _, ok := n.Get("$ref"); ok {
		return object("oneOf", doc.NewArray(n, object("type", "null")))
	}
	return n
}

func (p *description) ofType(f *spec.Field, t spec.FieldType) *doc.Node {
	switch t {
	case spec.Text:
		return lengths(object("type", "string"), f)
	case spec.Email:
		return lengths(object("type", "string", "format", "email"), f)
	case spec.URL:
		return lengths(object("type", "string", "format", "uri"), f)
	case spec.Int:
		return bounds(object("type", "integer"), f, "-9007199254740991", "9007199254740991")
	case spec.Float:
		return bounds(object("type", "number"), f, "", "")
	case spec.Bigint:
		return object("type", "string", "pattern", `^-?[0-9]{1,19}$`, "description", "A whole number"+limits(f))
	case spec.Decimal:
		pattern := `^-?[0-9]+$`
		if f.Scale > 0 {
			pattern = `^-?[0-9]+(\.[0-9]{1,` + strconv.Itoa(f.Scale) + `})?$`
		}
		return object("type", "string", "pattern", pattern, "description",
			"A decimal number, at most "+strconv.Itoa(f.Precision)+" digits, "+strconv.Itoa(f.Scale)+" of them after the point"+limits(f))
	case spec.Bool:
		return object("type", "boolean")
	case spec.Time:
		return object("type", "string", "format", "date-time")
	case spec.Date:
		return object("type", "string", "format", "date")
	case spec.Enum:
		values := doc.NewArray()
		for _, v := range f.Values {
			values.Items = append(values.Items, *doc.NewString(v.Value))
		}
		return object("type", "string", "enum", values)
	case spec.Ref:
		return object("type", "string", "format", "uuid", "description", "The id of one of "+f.To)
	case spec.File:
		return ref("schemas", "File")
	}
	return object("description", "Any JSON")
}

// lengths sets how long a text may be, and its pattern.
func lengths(n *doc.Node, f *spec.Field) *doc.Node {
	least, most := f.MinLen, f.MaxLen
	if f.Type == spec.List { // of which these are the number of items
		least, most = 0, f.ItemMax
	}
	if least > 0 {
		n.Set("minLength", doc.NewInt(int64(least)))
	}
	if most > 0 {
		n.Set("maxLength", doc.NewInt(int64(most)))
	}
	if f.Pattern != nil && portable(f.Pattern.String()) {
		n.Set("pattern", doc.NewString(f.Pattern.String()))
	}
	return n
}

// portable says whether a pattern means the same to RE2 and to ECMAScript (with its flag u), in which
// JSON Schema writes patterns. What is only ever read by one of them is left out of the description.
func portable(pattern string) bool {
	class := false // within [ ]
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i+1:]
		switch c := pattern[i]; {
		case c == '\\':
			if rest == "" || !strings.Contains(`dDwWntrfv.^$*+?()[]{}|/\`, rest[:1]) && !(class && rest[0] == '-') {
				return false // \s, \A, \z, \pL, \Q, \x{}, and punctuation that only RE2 escapes
			}
			i++
		case class:
			if c == '[' {
				return false // [[:alpha:]]
			}
			class = c != ']'
		case c == '[':
			if strings.HasPrefix(rest, "]") || strings.HasPrefix(rest, "^]") {
				return false
			}
			class = true
		case c == ']', c == '}':
			return false
		case c == '{':
			end := strings.IndexByte(rest, '}')
			if end < 1 || strings.Trim(rest[:end], "0123456789,") != "" || rest[0] == ',' || strings.Count(rest[:end], ",") > 1 {
				return false
			}
			i += end + 1
		case c == '(' && strings.HasPrefix(rest, "?") && !strings.HasPrefix(rest, "?:"):
			return false
		}
	}
	return true
}

// bounds sets minimum and maximum: the field's own, or those of its type.
func bounds(n *doc.Node, f *spec.Field, least, most string) *doc.Node {
	if f.Type != spec.List {
		least, most = cmp.Or(bound(f.Min), least), cmp.Or(bound(f.Max), most)
	}
	if least != "" {
		n.Set("minimum", doc.NewNumber(least))
	}
	if most != "" {
		n.Set("maximum", doc.NewNumber(most))
	}
	return n
}

func bound(v *expr.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(data.AppendJSON(nil, *v)), `"`)
}

// limits tells the bounds of a number that is written as a string.
func limits(f *spec.Field) string {
	text := ""
	if f.Min != nil {
		text += ", at least " + bound(f.Min)
	}
	if f.Max != nil {
		text += ", at most " + bound(f.Max)
	}
	return text
}

// shared are the schemas and routes that belong to no collection.
func (p *description) shared() {
	text, whole := object("type", "string"), object("type", "integer")
	p.schemas.Set("Problem", problemOf())
	p.schemas.Set("File", object("type", "object", "required", doc.FromAny([]any{"name", "type", "size", "url"}),
		"properties", object("name", text, "type", text, "size", whole, "url", object("type", "string", "format", "uri-reference"))))
	p.schemas.Set("Groups", object("type", "object", "required", doc.FromAny([]any{"groups"}),
		"properties", object("groups", object("type", "array", "maxItems", 500, "items", object("type", "object", "additionalProperties", true)),
			"more", object("type", "boolean", "const", true, "description", "There are groups behind the last"))))
	p.schemas.Set("Question", object("type", "object", "additionalProperties", false, "properties", object(
		"filter", text, "param", object("type", "object", "additionalProperties", true), "sort", text, "fields", text, "expand", text,
		"limit", object("type", "integer", "minimum", 1, "maximum", 500), "cursor", text, "count", object("type", "string", "const", "exact"),
		"group", text, "aggregate", text)))
	write := false
	for _, s := range p.sights {
		write = write || s.Create || s.Update || s.Delete
	}
	if write {
		p.batch(text, whole)
	}
}

// problemOf is the schema of problems, with more members.
func problemOf(more ...any) *doc.Node {
	text, whole := object("type", "string"), object("type", "integer")
	return object("type", "object", "description", "Problem details (RFC 9457)",
		"required", doc.FromAny([]any{"type", "title", "status", "detail", "instance", "request"}),
		"properties", object(append([]any{
			"type", object("type", "string", "format", "uri-reference"), "title", text, "status", whole, "detail", text,
			"instance", object("type", "string", "format", "uri-reference"), "request", text,
			"operation", object("type", "integer", "description", "The operation of a batch that failed"),
			"capability", object("type", "string", "description", "What the server lacks, with 501"),
			"violated-policies", object("type", "array", "items", text, "description", "The policies of RateLimit-Policy by which the caller asks too often, with 429"),
			"errors", object("type", "array", "items", object("type", "object", "required", doc.FromAny([]any{"code", "message"}),
				"properties", object("pointer", text, "parameter", text, "at", whole, "code", text, "message", text)))}, more...)...))
}

func (p *description) batch(text, whole *doc.Node) {
	p.tags.Items = append(p.tags.Items, *object("name", "batch", "description", "Several writes in one request"))
	operation := object("type", "object", "additionalProperties", false, "required", doc.FromAny([]any{"op", "collection"}),
		"properties", object("op", object("type", "string", "enum", doc.FromAny([]any{"create", "update", "delete"})), "collection", text,
			"id", text, "body", object("type", "object", "additionalProperties", true), "ifMatch", text))
	body := object("type", "object", "additionalProperties", false, "required", doc.FromAny([]any{"operations"}),
		"properties", object("atomic", object("type", "boolean", "description", "All or none. Default: true"),
			"operations", object("type", "array", "maxItems", data.MaxBatch, "items", operation)))
	result := object("type", "object", "required", doc.FromAny([]any{"status"}),
		"properties", object("status", whole, "body", object("type", "object", "additionalProperties", true, "description", "The record or, of an operation that failed, its problem")))
	answer := object("description", "What became of each operation, in order", "content", jsonOf(object("type", "object",
		"required", doc.FromAny([]any{"results"}), "properties", object("results", object("type", "array", "items", result)))))
	p.paths.Set("/api/batch", object("post", p.operation("batch", "write", "Write several records", "All or none, unless atomic is false.",
		[]string{"idempotencyKey", "prefer"}, object("required", true, "content", jsonOf(body)), object("200", answer),
		400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 507)))
}

func parameters() *doc.Node {
	n := doc.NewObject()
	text := object("type", "string")
	add := func(key, name, in, description string, schema *doc.Node) {
		n.Set(key, object("name", name, "in", in, "required", in == "path", "description", description, "schema", schema))
	}
	add("id", "id", "path", "The record's id", object("type", "string", "format", "uuid"))
	add("filter", "filter", "query", "An expression over the record, such as `status == \"open\" && price > 10`. `param.NAME` stands for the value of a parameter `param.NAME`.", text)
	add("param", "param", "query", "Values for the `param.NAME` of the filter, each a parameter of its own: `param.NAME=value`.",
		object("type", "object", "additionalProperties", text, "propertyNames", object("pattern", `^param\.`)))
	of, _ := n.Get("param")
	of.Set("style", doc.NewString("form"))
	of.Set("explode", doc.NewBool(true))
	add("sort", "sort", "query", "Fields to sort by, separated by commas; a minus before one sorts it downwards.", text)
	add("fields", "fields", "query", "The fields to answer with, separated by commas; id is always there, the others are not, whatever the schema requires.", text)
	add("expand", "expand", "query", "References to follow, such as `author,comments(limit=3)`.", text)
	add("limit", "limit", "query", "The most records of a page.", object("type", "integer", "minimum", 1, "maximum", 500, "default", 30))
	add("cursor", "cursor", "query", "`next` of the page before.", text)
	add("count", "count", "query", "Asks for the total.", object("type", "string", "const", "exact"))
	add("group", "group", "query", "Fields to group by, separated by commas.", text)
	add("aggregate", "aggregate", "query", "What to tell of each group: `count`, `sum(field)`, `avg(field)`, `min(field)`, `max(field)`.", text)
	add("ifMatch", "If-Match", "header", "Only if the record is at this revision.", text)
	add("ifNoneMatch", "If-None-Match", "header", "Only if it is not at this revision; `*`: only if it does not exist.", text)
	add("idempotencyKey", "Idempotency-Key", "header", "The same key gets the same answer within 24 hours, and nothing is done twice.", object("type", "string", "minLength", 1, "maxLength", 255))
	add("prefer", "Prefer", "header", "`return=minimal`: no body is wanted.", text)
	return n
}

var problemTexts = []struct {
	status int
	text   string
}{
	{400, "The request cannot be understood"}, {401, "Nobody is signed in, or the credential is invalid"}, {403, "The caller may not do this"},
	{404, "There is no such thing, or the caller may not read it"}, {405, "The method is not allowed here"}, {406, "There is no acceptable form of the answer"},
	{409, "A value is taken, or the record is still referred to"}, {412, "A precondition does not hold"}, {413, "The body is too large"},
	{415, "The content type is not understood"}, {416, "The range lies outside the file"}, {422, "The record is not valid"}, {429, "Too many requests"},
	{500, "The server failed"}, {501, "The server lacks a capability, which is named"}, {503, "Not available at the moment"},
	{507, "The storage is full"},
}

func responses() *doc.Node {
	n := doc.NewObject()
	for _, p := range problemTexts {
		problem := problemResponse(p.status, p.text, "Problem")
		n.Set("problem"+strconv.Itoa(p.status), problem)
	}
	n.Set("ticket401", problemResponse(401, "Nobody is signed in or, with `mfa`, a second factor is needed", "ProblemWithTicket"))
	n.Set("ticket403", problemResponse(403, "The caller may not do this or, with `mfa`, not before a second factor is shown", "ProblemWithTicket"))
	return n
}

func problemResponse(status int, text, schema string) *doc.Node {
	problem := object("description", text)
	switch status {
	case 401:
		problem.Set("headers", object("WWW-Authenticate", header("How to sign in", true)))
	case 405:
		problem.Set("headers", object("Allow", header("The methods that are", true)))
	case 429, 503, 507:
		problem.Set("headers", object("Retry-After", header("Seconds to wait", true)))
	}
	problem.Set("content", object("application/problem+json", object("schema", ref("schemas", schema))))
	return problem
}
