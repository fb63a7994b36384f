package spec

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func schemaOf(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The reader and the schema know the same keys, and each is explained.
func TestSchemaKeys(t *testing.T) {
	t.Parallel()
	root := schemaOf(t)
	defs := root["$defs"].(map[string]any)
	if len(defs) != len(shapes)-1 {
		t.Errorf("%d definitions, %d shapes", len(defs), len(shapes))
	}
	for _, s := range shapes {
		def := root
		if s != appShape {
			def = defs[defName(s)].(map[string]any)
		}
		properties := def["properties"].(map[string]any)
		if len(properties) != len(s.keys) {
			t.Errorf("%s: %d properties, %d keys", s.name, len(properties), len(s.keys))
		}
		for _, k := range s.keys {
			p, ok := properties[k.name].(map[string]any)
			if !ok || p["description"] == "" || k.doc == "" {
				t.Errorf("%s.%s is not described", s.name, k.name)
			}
			if (k.shape == nil) != (k.form != asObject && k.form != asMap && k.form != asList && k.form != asIndexes && k.form != asShort && k.form != asSwitch) {
				t.Errorf("%s.%s has a shape that does not fit its form", s.name, k.name)
			}
			if k.shape != nil && !slices.Contains(shapes, k.shape) {
				t.Errorf("the shape of %s.%s is missing among shapes", s.name, k.name)
			}
		}
	}
}

// What loads is valid by the schema.
func TestSchemaAccepts(t *testing.T) {
	t.Parallel()
	root := schemaOf(t)
	for _, file := range []string{contract, everything, `collections: {posts: {fields: {n: {type: int, max: 120}}}}`, "server: {spa: '${X}'}",
		tested, "channels: {room: {read: true, write: 'false', presence: true}}"} {
		if err := valid(root, root, plainTree(t, file), "app"); err != nil {
			t.Errorf("%v\n%s", err, file)
		}
	}
}

// A mistake of form does not pass.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	root := schemaOf(t)
	for _, file := range []string{
		"nam: a", "collections: [a]", "spa: maybe", "collections: {Posts: {}}", "collections: {posts: {fields: {a: {}}}}",
		"collections: {posts: {fields: {a: {type: txt}}}}", "collections: {posts: {fields: {a: {type: bool, max: 1}}}}",
		"collections: {posts: {acess: {}}}", "server: {limits: {body: 1XB}}", "auth: {password: {minLength: x}}",
		"collections: {posts: {indexes: [[]]}}", "collections: {posts: {access: {read: [a]}}}",
	} {
		if err := valid(root, root, plainTree(t, file), "app"); err == nil {
			t.Errorf("passes: %s", file)
		}
	}
}

// plainTree is a file as a JSON validator sees it.
func plainTree(t *testing.T, file string) any {
	t.Helper()
	l := newLoader(nil, nil)
	n := l.parse("x", []byte(file))
	if n == nil || len(l.problems) > 0 {
		t.Fatal(l.problems)
	}
	d, ok := l.json(n)
	if !ok {
		t.Fatal(l.problems)
	}
	var v any
	if err := json.Unmarshal(d.AppendCanonical(nil), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// valid is as much of a JSON Schema validator as the schema of the app file needs.
func valid(root, s map[string]any, v any, at string) error {
	for word, arg := range s {
		ok := true
		switch word {
		case "$ref":
			def := root["$defs"].(map[string]any)[strings.TrimPrefix(arg.(string), "#/$defs/")].(map[string]any)
			if err := valid(root, def, v, at); err != nil {
				return err
			}
		case "type":
			ok = isType(arg, v)
		case "const":
			ok = v == arg
		case "enum":
			ok = slices.Contains(arg.([]any), v)
		case "pattern":
			if text, is := v.(string); is {
				ok = regexp.MustCompile(arg.(string)).MatchString(text)
			}
		case "minItems":
			if list, is := v.([]any); is {
				ok = len(list) >= int(arg.(float64))
			}
		case "minProperties":
			if m, is := v.(map[string]any); is {
				ok = len(m) >= int(arg.(float64))
			}
		case "items":
			if list, is := v.([]any); is {
				for _, x := range list {
					if err := valid(root, arg.(map[string]any), x, at+"[]"); err != nil {
						return err
					}
				}
			}
		case "required":
			if m, is := v.(map[string]any); is {
				for _, k := range arg.([]any) {
					_, has := m[k.(string)]
					ok = ok && has
				}
			}
		case "properties", "additionalProperties", "propertyNames":
			if m, is := v.(map[string]any); is {
				if err := validMembers(root, s, m, word, at); err != nil {
					return err
				}
			}
		case "anyOf":
			ok = slices.ContainsFunc(arg.([]any), func(x any) bool { return valid(root, x.(map[string]any), v, at) == nil })
		case "allOf":
			for _, x := range arg.([]any) {
				if err := valid(root, x.(map[string]any), v, at); err != nil {
					return err
				}
			}
		case "if":
			if valid(root, arg.(map[string]any), v, at) == nil {
				if err := valid(root, s["then"].(map[string]any), v, at); err != nil {
					return err
				}
			}
		case "then", "description", "title", "$schema", "$defs":
		default:
			return fmt.Errorf("the test does not know the word %s", word)
		}
		if !ok {
			return fmt.Errorf("%s: %v against %s %v", at, v, word, arg)
		}
	}
	return nil
}

func validMembers(root, s, m map[string]any, word, at string) error {
	properties, _ := s["properties"].(map[string]any)
	for k, x := range m {
		sub, known := properties[k].(map[string]any)
		switch {
		case word == "propertyNames":
			if err := valid(root, s[word].(map[string]any), k, at+" key"); err != nil {
				return err
			}
			continue
		case word == "additionalProperties" && known, word == "properties" && !known:
			continue
		case word == "additionalProperties" && s[word] == false:
			return fmt.Errorf("%s: unknown key %s", at, k)
		case word == "additionalProperties":
			sub = s[word].(map[string]any)
		}
		if err := valid(root, sub, x, at+"."+k); err != nil {
			return err
		}
	}
	return nil
}

func isType(arg, v any) bool {
	if list, ok := arg.([]any); ok {
		return slices.ContainsFunc(list, func(x any) bool { return isType(x, v) })
	}
	switch x := v.(type) {
	case nil:
		return arg == "null"
	case bool:
		return arg == "boolean"
	case string:
		return arg == "string"
	case float64:
		return arg == "number" || arg == "integer" && x == float64(int64(x))
	case []any:
		return arg == "array"
	default:
		return arg == "object"
	}
}
