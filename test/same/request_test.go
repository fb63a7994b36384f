package same_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"pgregory.net/rapid"
)

// fill makes records, each of which may refer to those before it.
func (m *model) fill(t *rapid.T) (all []request) {
	for range 2 {
		for _, c := range m.collections {
			for range rapid.IntRange(0, 4).Draw(t, "rows") {
				body := record(t, c)
				c.rows = min(c.rows+1, most)
				all = append(all, request{by: "operator", method: "POST", path: "/api/" + c.name, body: `{"id":"` + idOf(c, c.rows) + `"` + comma(body) + "}"})
			}
		}
	}
	return all
}

func comma(text string) string {
	if text == "" {
		return ""
	}
	return "," + text
}

// request draws a request of any kind by anybody.
func (m *model) request(t *rapid.T) request {
	c := pick(t, m.collections...)
	r := request{by: pick(t, "operator", "operator", "operator", "staff", "staff", "ann", "ann", ""), method: "GET", path: "/api/" + c.name}
	switch n := upTo(t, 100); {
	case n < 36:
		m.list(t, c, &r)
	case n < 46:
		m.groups(t, c, &r)
	case n < 52:
		m.one(t, c, &r)
	case n < 64:
		r.method, r.body = "POST", `{"id":"`+anyID(t, c)+`"`+comma(record(t, c))+"}"
		written(t, &r)
	case n < 78:
		r.method, r.path, r.body = "PATCH", r.path+"/"+anyID(t, c), m.patch(t, c)
		written(t, &r)
	case n < 83:
		r.method, r.path, r.body = "PUT", r.path+"/"+anyID(t, c), "{"+record(t, c)+"}"
		if often(t, 20) {
			r.header += "If-None-Match: *\n"
		}
		written(t, &r)
	case n < 88:
		m.increment(t, c, &r)
	case n < 94:
		r.method, r.path = "DELETE", r.path+"/"+anyID(t, c)
		written(t, &r)
	default:
		m.batch(t, &r)
	}
	return r
}

// written draws the header of a write.
func written(t *rapid.T, r *request) {
	if often(t, 15) {
		r.header += fmt.Sprintf("If-Match: \"%d\"\n", rapid.IntRange(1, 3).Draw(t, "rev"))
	}
	if often(t, 5) {
		r.header += "Prefer: return=minimal\n"
	}
	if often(t, 6) {
		r.header += fmt.Sprintf("Idempotency-Key: \"k%d\"\n", rapid.IntRange(0, 3).Draw(t, "key"))
	}
}

func (m *model) list(t *rapid.T, c *collection, r *request) {
	q := url.Values{}
	g := &asking{model: m}
	if often(t, 80) {
		q.Set("filter", g.condition(t, c, "", 0, 0))
	}
	if sort := sorting(t, c); sort != "" {
		q.Set("sort", sort)
	}
	if often(t, 35) {
		q.Set("expand", expansion(t, c, 2))
	}
	if often(t, 15) {
		q.Set("fields", fields(t, c))
	}
	if often(t, 50) {
		q.Set("count", "exact")
	}
	q.Set("limit", fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "limit")))
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	if often(t, 12) { // the same in a body
		body, param := map[string]any{}, map[string]string{}
		for name := range q {
			body[name] = q.Get(name)
		}
		for _, p := range g.params {
			name, v, _ := strings.Cut(strings.TrimPrefix(p, "param."), "=")
			param[name] = v
		}
		body["param"] = param
		delete(body, "limit")
		b, _ := json.Marshal(body)
		r.method, r.path, r.body = "POST", r.path+"/query", string(b)
		return
	}
	for _, p := range g.params {
		name, v, _ := strings.Cut(p, "=")
		q.Set(name, v)
	}
	r.path += "?" + q.Encode()
}

func sorting(t *rapid.T, c *collection) string {
	var keys []string
	for _, f := range c.fields {
		if isSortable(f) && len(keys) < 3 && often(t, 35) {
			keys = append(keys, pick(t, "", "-")+f.name)
		}
	}
	if often(t, 20) {
		keys = append(keys, pick(t, "name", "-name", "created", "-updated", "rev", "-id"))
	}
	if len(keys) < 2 {
		return strings.Join(keys, ",")
	}
	return strings.Join(rapid.Permutation(keys).Draw(t, "keys"), ",")
}

func fields(t *rapid.T, c *collection) string {
	names := []string{"name"}
	for _, f := range c.fields {
		if often(t, 40) {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ",")
}

func expansion(t *rapid.T, c *collection, depth int) string {
	var names []string
	further := func(to *collection) string {
		if depth > 1 && often(t, 40) {
			return expansion(t, to, depth-1)
		}
		return ""
	}
	for _, f := range c.fields {
		if f.to != nil && often(t, 60) {
			name := f.name
			if more := further(f.to); more != "" {
				name += "(expand=" + more + ")"
			}
			names = append(names, name)
		}
	}
	for _, f := range c.inverses {
		if often(t, 60) {
			opts := []string{fmt.Sprintf("limit=%d", rapid.IntRange(1, 3).Draw(t, "limit"))}
			if sort := sorting(t, f.to); sort != "" {
				opts = append(opts, "sort="+sort)
			}
			if more := further(f.to); more != "" {
				opts = append(opts, "expand="+more)
			}
			names = append(names, f.name+"("+strings.Join(opts, ",")+")")
		}
	}
	return strings.Join(names, ",")
}

func (m *model) groups(t *rapid.T, c *collection, r *request) {
	q := url.Values{}
	group, aggregates := []string{}, []string{"count"}
	for _, f := range c.fields {
		if !isSortable(f) {
			continue
		}
		if often(t, 30) {
			group = append(group, f.name)
		}
		if (f.kind == "int" || f.kind == "bigint" || f.kind == "decimal") && often(t, 60) {
			aggregates = append(aggregates, pick(t, "sum(", "avg(")+f.name+")")
		}
		if f.kind != "bool" && often(t, 40) {
			aggregates = append(aggregates, pick(t, "min(", "max(")+f.name+")")
		}
	}
	if len(group) > 0 {
		q.Set("group", strings.Join(group, ","))
	}
	g := &asking{model: m}
	if often(t, 50) {
		q.Set("filter", g.condition(t, c, "", 1, 0))
	}
	for _, p := range g.params {
		name, v, _ := strings.Cut(p, "=")
		q.Set(name, v)
	}
	q.Set("aggregate", strings.Join(aggregates, ","))
	r.path += "?" + q.Encode()
}

// one draws a read of one record, by its id or by a unique value.
func (m *model) one(t *rapid.T, c *collection, r *request) {
	if often(t, 15) {
		r.method = "HEAD"
	}
	if often(t, 15) {
		r.header = fmt.Sprintf("If-None-Match: \"%d\"\n", rapid.IntRange(1, 3).Draw(t, "rev"))
	}
	for _, f := range c.fields {
		if isUnique(f) && often(t, 60) {
			var v string
			if text := pick(t, pools[poolOf(f.kind)]...); json.Unmarshal([]byte(text), &v) != nil {
				v = text
			}
			r.path += "/by/" + f.name + "/" + url.PathEscape(v)
			return
		}
	}
	r.path += "/" + anyID(t, c)
	if often(t, 40) {
		if expand := expansion(t, c, 3); expand != "" {
			r.path += "?expand=" + url.QueryEscape(expand)
		}
	}
}

func (m *model) patch(t *rapid.T, c *collection) string {
	var parts []string
	if often(t, 20) {
		parts = append(parts, `"name":`+pick(t, "null", `"a"`, `"b"`, `"toolongname"`))
	}
	if often(t, 10) {
		parts = append(parts, fmt.Sprintf(`"rev":%d`, rapid.IntRange(1, 3).Draw(t, "rev")))
	}
	chosen := rapid.Permutation(c.fields).Draw(t, "fields")[:rapid.IntRange(1, min(3, len(c.fields))).Draw(t, "changed")]
	for _, f := range chosen {
		if v := value(t, f); v != "" {
			parts = append(parts, `"`+f.name+`":`+v)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (m *model) increment(t *rapid.T, c *collection, r *request) {
	by := "1"
	name := "name"
	for _, f := range c.fields {
		switch f.kind {
		case "int":
			name, by = f.name, pick(t, "1", "-1", "3", "9007199254740991")
		case "bigint":
			name, by = f.name, pick(t, `"1"`, `"-1"`, `"9223372036854775807"`)
		case "decimal":
			name, by = f.name, pick(t, `"0.01"`, `"-1"`, `"9999999999.99"`, `"0.001"`)
		case "float":
			name, by = f.name, pick(t, "0.1", "-1.5", "1e308")
		}
		if name == f.name && often(t, 50) {
			break
		}
	}
	r.method, r.path, r.body = "POST", r.path+"/"+anyID(t, c)+"/increment", `{"`+name+`":`+by+`}`
	written(t, r)
}

func (m *model) batch(t *rapid.T, r *request) {
	var ops []string
	for range rapid.IntRange(1, 4).Draw(t, "operations") {
		c := pick(t, m.collections...)
		id := anyID(t, c)
		switch upTo(t, 4) {
		case 0, 1:
			ops = append(ops, fmt.Sprintf(`{"op":"create","collection":"%s","body":{"id":"%s"%s}}`, c.name, id, comma(record(t, c))))
		case 2:
			match := ""
			if often(t, 20) {
				match = `,"ifMatch":"1"`
			}
			ops = append(ops, fmt.Sprintf(`{"op":"update","collection":"%s","id":"%s","body":%s%s}`, c.name, id, m.patch(t, c), match))
		default:
			ops = append(ops, fmt.Sprintf(`{"op":"delete","collection":"%s","id":"%s"}`, c.name, id))
		}
	}
	r.method, r.path = "POST", "/api/batch"
	r.body = fmt.Sprintf(`{"atomic":%v,"operations":[%s]}`, !often(t, 40), strings.Join(ops, ","))
	if often(t, 10) {
		r.header += fmt.Sprintf("Idempotency-Key: \"b%d\"\n", rapid.IntRange(0, 2).Draw(t, "key"))
	}
}
