package conform

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// judge is one description, ready to hold answers against.
type judge struct {
	root     map[string]any
	routes   []route
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by pointer
}

// route is a path of the description, in segments, of which some stand for any.
type route struct {
	path     string
	segments []string
	holes    int
}

const hole = "{}"

type unexpected struct {
	status int
	body   string
}

func (e *unexpected) Error() string {
	return fmt.Sprintf("it was answered with %d %s", e.status, e.body)
}

const document = "openapi.json"

func newJudge(text []byte) (*judge, error) {
	n, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	root, ok := closed(n).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the description is no object")
	}
	j := &judge{root: root, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	j.compiler.DefaultDraft(jsonschema.Draft2020) // what OpenAPI 3.1 says a schema is
	j.compiler.AssertFormat()
	if err := j.compiler.AddResource(document, root); err != nil {
		return nil, err
	}
	paths, _ := root["paths"].(map[string]any)
	for path := range paths {
		r := route{path: path, segments: strings.Split(path, "/")}
		for i, s := range r.segments {
			if strings.HasPrefix(s, "{") {
				r.segments[i] = hole
				r.holes++
			}
		}
		j.routes = append(j.routes, r)
	}
	slices.SortFunc(j.routes, func(a, b route) int { return a.holes - b.holes }) // what is said exactly comes first
	return j, nil
}

// closed closes what JSON Schema leaves open in an object that names its members: one that the
// description does not name is a mistake of one of the two. Schemas that say nothing of their members
// (groups, json fields) stay open.
func closed(n any) any {
	switch n := n.(type) {
	case []any:
		for i := range n {
			n[i] = closed(n[i])
		}
	case map[string]any:
		for key, v := range n {
			if key != "enum" && key != "const" && key != "default" {
				n[key] = closed(v)
			}
		}
		_, names := n["properties"].(map[string]any)
		if _, said := n["additionalProperties"]; names && !said && n["type"] == "object" {
			n["additionalProperties"] = false
		}
	}
	return n
}

// find is the path of the description that an address belongs to; "" when there is none.
func (j *judge) find(address string) string {
	segments := strings.Split(address, "/")
	for _, r := range j.routes {
		if slices.EqualFunc(r.segments, segments, func(a, b string) bool { return a == b || a == hole && b != "" }) {
			return r.path
		}
	}
	return ""
}

// beside are the routes that are no part of the app's interface, and so of no description.
func beside(address string) bool {
	return !strings.HasPrefix(address, "/api/") || address == "/api/openapi.json" || address == "/api/docs" || strings.HasPrefix(address, "/api/docs/")
}

// decoded is a body without its content coding.
func decoded(coding string, body []byte) ([]byte, error) {
	if len(body) == 0 {
		return body, nil
	}
	switch coding {
	case "":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return io.ReadAll(z)
	}
	return nil, fmt.Errorf("%s is no coding of ours", coding)
}

// judge says what is wrong with an answer; nothing when it is as described.
func (j *judge) judge(r *http.Request, status int, header http.Header, body []byte) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	body, err := decoded(header.Get("Content-Encoding"), body)
	if err != nil {
		say("the body is not in the coding that it is said to be in: %v", err)
		return wrong
	}
	address := r.URL.EscapedPath()
	path := j.find(address)
	item := object(object(j.root["paths"])[path])
	verb := ""
	if r.Method == strings.ToUpper(r.Method) { // "get" is another method than GET (RFC 9110, 9.1)
		verb = strings.ToLower(r.Method)
	}
	if _, there := item[verb]; !there && verb == "head" {
		verb = "get" // HEAD is answered as GET, without the body
	}
	operation := object(item[verb])
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))

	pointer := "" // of the response
	switch {
	case operation != nil:
		if _, there := object(operation["responses"])[strconv.Itoa(status)]; !there {
			return []string{"the status is not described"}
		}
		pointer = pointerTo("paths", path, verb, "responses", strconv.Itoa(status))
	case status >= 400 && media == "text/html" && beside(address): // a page for people
		return nil
	case status >= 400: // every problem has one form, whether or not there is an operation
		if status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
			say("405 without Allow")
		}
		return append(wrong, j.problem(r, status, media, body)...)
	case beside(address), verb == "options" && status == http.StatusNoContent:
		return nil
	case status == http.StatusOK && empty(body):
		return nil // whoever may read nothing finds nothing
	default:
		return []string{"the operation is not described"}
	}
	response, pointer := j.resolve(pointer)
	for name, given := range object(response["headers"]) {
		if object(given)["required"] == true && header.Get(name) == "" {
			say("the header %s is missing", name)
		}
	}
	content := object(response["content"])
	switch {
	case r.Method == http.MethodHead || status == http.StatusNotModified:
		if len(body) > 0 {
			say("there should be no body")
		}
		return wrong
	case content == nil:
		if len(body) > 0 {
			say("a body is not described")
		}
		return wrong
	case len(body) == 0 && status < 400 && header.Get("Preference-Applied") == "return=minimal":
		return wrong
	}
	kind := media
	if content[kind] == nil {
		kind = "*/*"
	}
	if content[kind] == nil {
		say("the content type %q is not described", header.Get("Content-Type"))
		return wrong
	}
	if kind == "*/*" {
		return wrong // bytes
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		say("the body is no JSON: %v", err)
		return wrong
	}
	if err := j.valid(pointer+pointerTo("content", kind, "schema"), seen(value)); err != nil {
		say("%v", err)
	}
	if status >= 400 {
		wrong = append(wrong, j.problem(r, status, media, body)...)
	}
	return wrong
}

// seen is an answer without the empty lists that it expands: of what the caller may not read there is
// nothing, and the description does not even name it.
func seen(n any) any {
	switch n := n.(type) {
	case []any:
		for i := range n {
			n[i] = seen(n[i])
		}
	case map[string]any:
		expand, _ := n["expand"].(map[string]any)
		for name, v := range expand {
			if list, ok := v.([]any); ok && len(list) == 0 {
				delete(expand, name)
			}
		}
		if expand != nil && len(expand) == 0 {
			delete(n, "expand")
		}
		for name := range n {
			n[name] = seen(n[name])
		}
	}
	return n
}

// empty says whether an answer is a list, or a summary, of nothing.
func empty(body []byte) bool {
	var page struct {
		Items  *[]any
		Total  int
		Groups *[]map[string]any
	}
	if json.Unmarshal(body, &page) != nil || page.Total != 0 || (page.Items == nil) == (page.Groups == nil) {
		return false
	}
	if page.Items != nil {
		return len(*page.Items) == 0
	}
	for _, g := range *page.Groups {
		for _, v := range g {
			if v != nil && v != 0.0 {
				return false
			}
		}
	}
	return true
}

// problem says what is wrong with a problem, whatever it is about (RFC 9457).
func (j *judge) problem(r *http.Request, status int, media string, body []byte) []string {
	if media != "application/problem+json" {
		return []string{fmt.Sprintf("a problem is %q", media)}
	}
	if r.Method == http.MethodHead {
		return nil
	}
	var p struct {
		Type, Title, Detail, Instance, Request string
		Status                                 int
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return []string{err.Error()}
	}
	if p.Status != status || p.Instance != r.URL.EscapedPath() || p.Type == "" || p.Title == "" || p.Detail == "" || p.Request == "" {
		return []string{fmt.Sprintf("the problem is about %d of %s, or lacks a member", p.Status, p.Instance)}
	}
	return nil
}

// resolve follows the $ref of what is at a pointer.
func (j *judge) resolve(pointer string) (map[string]any, string) {
	n := object(j.at(pointer))
	if ref, ok := n["$ref"].(string); ok {
		return j.resolve(strings.TrimPrefix(ref, "#"))
	}
	return n, pointer
}

func (j *judge) at(pointer string) (n any) {
	n = j.root
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		n = object(n)[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	return n
}

func (j *judge) valid(pointer string, value any) error {
	s := j.schemas[pointer]
	if s == nil {
		var err error
		if s, err = j.compiler.Compile(document + "#" + (&url.URL{Path: pointer}).EscapedPath()); err != nil {
			return fmt.Errorf("the description is no JSON Schema at %s: %w", pointer, err)
		}
		j.schemas[pointer] = s
	}
	return s.Validate(value)
}

func pointerTo(steps ...string) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	return b.String()
}

func object(n any) map[string]any {
	m, _ := n.(map[string]any)
	return m
}
