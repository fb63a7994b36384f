package spec

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestPages(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]Pages{
		"auth: {}":                {},
		"auth: {pages: true}":     {},
		"auth: {pages: false}":    {Off: true},
		"auth: {pages: '${OFF}'}": {Off: true},
		`auth: {pages: {title: " Our desk ", logo: /img/logo.svg, accent: "#1D4ED8", css: /css/auth.css}}`: {Title: "Our desk", Logo: "/img/logo.svg", Accent: "#1d4ed8", CSS: "/css/auth.css"},
	} {
		app, err := LoadFS(fstest.MapFS{FileName: {Data: []byte(file)}}, environment("OFF", "false"))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if d := cmp.Diff(want, app.Auth.Pages); d != "" {
			t.Errorf("%s\n%s", file, d)
		}
		if err := valid(schemaOf(t), schemaOf(t), plainTree(t, file), "app"); err != nil {
			t.Errorf("the schema refuses %s: %v", file, err)
		}
	}
	for file, want := range map[string]string{
		"auth: {pages: maybe}":                   `plinth.yaml:1:15: pages is true or false, not "maybe"`,
		"auth: {pages: off}":                     `plinth.yaml:1:15: pages is true or false, not "off" (did you mean "false"?)`,
		"auth:\n  pages:\n    accent: #0f766e\n": `plinth.yaml:3:12: accent is empty: to YAML what follows the # is a comment, so quote it`,
		"auth: {pages: [title]}":                 `plinth.yaml:1:15: pages is true, false or a map with keys like title, not a list`,
		"auth:\n  pages: {titel: A, logo: img/logo.svg, accent: blue, css: //evil.example/a.css}": `plinth.yaml:2:11: unknown key "titel" in pages (did you mean "title"?)
plinth.yaml:2:27: logo is the path of a file in public/, like /img/logo.svg, not "img/logo.svg"
plinth.yaml:2:49: accent is a colour like "#1d4ed8", not "blue"
plinth.yaml:2:60: css is the path of a file in public/, like /css/sign-in.css, not "//evil.example/a.css"`,
		`auth: {pages: {logo: "https://cdn.example/l.svg", css: /../x.css}}`: `plinth.yaml:1:22: logo is the path of a file in public/, like /img/logo.svg, not "https://cdn.example/l.svg"
plinth.yaml:1:56: css is the path of a file in public/, like /css/sign-in.css, not "/../x.css"`,
		`auth: {pages: {title: ` + strings.Repeat("a", 81) + `}}`: `plinth.yaml:1:23: title has at most 80 characters`,
	} {
		_, err := load(file)
		if err == nil {
			t.Errorf("%s: loads", file)
			continue
		}
		if d := cmp.Diff(want, err.Error()); d != "" {
			t.Errorf("%s\n%s", file, d)
		}
	}
}
