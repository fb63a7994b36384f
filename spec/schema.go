package spec

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Schema is the JSON Schema (2020-12) of the app file, for completion in editors. It is made of
// the table by which the file is read.
func Schema() []byte {
	defs := map[string]any{}
	for _, s := range shapes {
		if s != appShape {
			defs[defName(s)] = s.schema()
		}
	}
	out := appShape.schema()
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = "Plinth app file"
	out["$defs"] = defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		panic(err) // maps of texts and lists only
	}
	return b.Bytes()
}

func defName(s *shape) string {
	i := strings.LastIndexByte(s.name, ' ')
	return s.name[i+1:]
}

func (s *shape) schema() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, k := range s.keys {
		p := k.schema()
		p["description"] = k.doc
		if k.idle {
			p["description"] = k.doc + " It has no effect yet."
		}
		properties[k.name] = p
		if k.required {
			required = append(required, k.name)
		}
	}
	out := map[string]any{"type": "object", "description": s.doc, "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if s == fieldShape {
		out["allOf"] = fieldTypes()
	}
	return out
}

// fieldTypes says for each type which keys fit it.
func fieldTypes() []any {
	var out []any
	for i, name := range typeNames {
		var keys []string
		for _, k := range fieldShape.keys {
			if k.types == nil || FieldType(i).in(k.types) {
				keys = append(keys, k.name)
			}
		}
		slices.Sort(keys)
		out = append(out, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": name}}, "required": []string{"type"}},
			"then": map[string]any{"propertyNames": map[string]any{"enum": keys}},
		})
	}
	return out
}

// environmentText is a value that comes from the environment, whatever its key wants.
var environmentText = map[string]any{"type": "string", "pattern": `\$\{`}

func (k *key) schema() map[string]any {
	text := map[string]any{"type": "string"}
	orEnvironment := func(s map[string]any) map[string]any {
		return map[string]any{"anyOf": []any{s, environmentText}}
	}
	names := map[string]any{"pattern": namePattern().String()}
	switch k.form {
	case asWord:
		return orEnvironment(map[string]any{"enum": k.words})
	case asName:
		return map[string]any{"type": "string", "pattern": `^[a-z_][a-z0-9_]{0,39}$`}
	case asBool:
		return orEnvironment(map[string]any{"type": "boolean"})
	case asInt:
		return orEnvironment(map[string]any{"type": "integer"})
	case asSize:
		return orEnvironment(map[string]any{"type": []string{"string", "integer"}, "pattern": `^[0-9]+ *([KMG]i?B|B)?$`})
	case asDuration:
		return orEnvironment(map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h|d))+$`})
	case asRate:
		return orEnvironment(map[string]any{"type": "string", "pattern": `^[0-9]+/`})
	case asExpr:
		return map[string]any{"type": []string{"string", "boolean", "number"}}
	case asValue:
		return map[string]any{}
	case asTexts, asNames:
		return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text}}}
	case asValues:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "array", "minItems": 1},
			map[string]any{"type": "object", "minProperties": 1},
		}}
	case asObject:
		return ref(k.shape)
	case asShort:
		return map[string]any{"anyOf": []any{map[string]any{"type": []string{"string", "integer"}}, ref(k.shape)}}
	case asSwitch:
		return map[string]any{"anyOf": []any{map[string]any{"type": "boolean"}, environmentText, ref(k.shape)}}
	case asMap:
		return map[string]any{"type": []string{"object", "null"}, "propertyNames": names, "additionalProperties": ref(k.shape)}
	case asPairs:
		return map[string]any{"type": "object", "propertyNames": names, "additionalProperties": map[string]any{"enum": k.words}}
	case asList:
		return map[string]any{"type": "array", "items": ref(k.shape)}
	case asIndexes:
		return map[string]any{"type": "array", "items": map[string]any{"anyOf": []any{
			map[string]any{"type": "array", "items": text, "minItems": 1}, ref(k.shape),
		}}}
	}
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

func ref(s *shape) map[string]any { return map[string]any{"$ref": "#/$defs/" + defName(s)} }
