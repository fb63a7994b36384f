package rest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/auth"
)

// people describes /api/auth, as package auth says that it is, and tells by what callers are known.
func (p *description) people(by eyes) (security *doc.Node) {
	bearer := object("type", "http", "scheme", "bearer", "description", "An API key, which `plinth key add` makes.")
	operations := auth.Operations(p.app)
	if !by.enters || len(operations) == 0 {
		return object("bearer", bearer)
	}
	bearer = object("type", "http", "scheme", "bearer", "description", "The token of a session, or an API key, which `plinth key add` makes.")
	security = object("bearer", bearer, "cookie", object("type", "apiKey", "in", "cookie", "name", auth.CookieName(p.app),
		"description", "The session's cookie. It is not sent with requests that other sites begin, but for links; with `--dev` at an address of http it is called `plinth`."))
	for _, tag := range auth.Tags {
		if slices.ContainsFunc(operations, func(o auth.Operation) bool { return o.Tag == tag[0] }) {
			p.tags.Items = append(p.tags.Items, *object("name", tag[0], "description", tag[1]))
		}
	}
	users, _ := p.app.Collection(p.app.Auth.Collection)
	own := p.sights[users.Name]
	own.Read = true
	me := p.bare(users, own)
	me.Set("description", doc.NewString("The user's own record. A role may let him read more of it than is told here."))
	me.Set("additionalProperties", doc.NewBool(true))
	needed, _ := me.Get("required")
	needed.Items = slices.DeleteFunc(needed.Items, func(name doc.Node) bool { // what who asks may read, the user need not
		f, _ := users.Field(name.Text)
		return f.Read != nil
	})
	p.schemas.Set("Me", me)
	named := auth.Schemas(p.app)
	for i, name := range named.Keys {
		p.schemas.Set(name, &named.Items[i])
	}
	p.schemas.Set("ProblemWithTicket", problemOf("mfa", auth.SecondStep(p.app)))
	for _, o := range operations {
		if o.User {
			p.joins(o.Body, p.input(users, by.nobody(users.Name), true))
		}
		item, ok := p.paths.Get(o.Path)
		if !ok {
			item = doc.NewObject()
		}
		item.Set(strings.ToLower(o.Method), p.identity(o, security))
		p.paths.Set(o.Path, item)
	}
	return security
}

// joins adds the fields that a new user may have to the body of who registers: not his id, nor what is not his to say.
func (p *description) joins(body, fields *doc.Node) {
	own := []string{"id", "email", "verified", "role", "disabled", "anonymous"}
	members, _ := body.Get("properties")
	more, _ := fields.Get("properties")
	for i, name := range more.Keys {
		if !slices.Contains(own, name) {
			members.Set(name, &more.Items[i])
		}
	}
	if needed, ok := fields.Get("required"); ok {
		required, ok := body.Get("required")
		if !ok {
			required = doc.NewArray()
		}
		for _, name := range needed.Items {
			if !slices.Contains(own, name.Text) {
				required.Items = append(required.Items, name)
			}
		}
		if len(required.Items) > 0 {
			body.Set("required", required)
		}
	}
}

// identity describes one operation of /api/auth.
func (p *description) identity(o auth.Operation, security *doc.Node) *doc.Node {
	var body *doc.Node
	if o.Body != nil {
		body = object("required", !o.BodyMay, "content", object(o.MediaType, object("schema", o.Body)))
	}
	success := doc.NewObject()
	for _, a := range o.Answers {
		headers := doc.NewObject()
		for _, h := range a.Headers {
			headers.Set(h.Name, header(h.Text, h.Always))
		}
		answer := object("description", a.Text, "headers", headers)
		if a.Schema != nil {
			answer.Set("content", jsonOf(a.Schema))
		}
		success.Set(strconv.Itoa(a.Status), answer)
	}
	op := p.operation(o.Tag, strings.TrimPrefix(o.ID, o.Tag+"."), o.Summary, o.Text, nil, body, success, o.Problems...)
	if o.Ticket != 0 {
		status := strconv.Itoa(o.Ticket)
		responses, _ := op.Get("responses")
		responses.Set(status, ref("responses", "ticket"+status))
	}
	if len(o.Parameters) > 0 {
		list := doc.NewArray()
		for _, q := range o.Parameters {
			list.Items = append(list.Items, *object("name", q.Name, "in", q.In, "required", q.Must, "description", q.Text, "schema", q.Schema))
		}
		op.Set("parameters", list)
	}
	needs := doc.NewArray()
	if o.Signed {
		needs = doc.NewArray(each(security)...)
	}
	op.Set("security", needs)
	return op
}

// each are the requirements of one scheme by itself: any of them will do.
func each(security *doc.Node) (list []*doc.Node) {
	for _, name := range security.Keys {
		list = append(list, object(name, doc.NewArray()))
	}
	return list
}
