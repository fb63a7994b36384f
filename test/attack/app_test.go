package attack_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
)

// TestHostileAppFiles: hostile input. An app file is refused with a place, whatever it is; one that
// grew as it is meant to would not end.
func TestHostileAppFiles(t *testing.T) {
	t.Parallel()
	const open = "access: {read: true, create: true}"
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+p+",", 10), ",") + "]\n"
	}
	for what, text := range map[string]string{
		"an alias bomb":            bomb,
		"an alias of itself":       "a: &a [*a]\n",
		"brackets":                 strings.Repeat("[", 100000),
		"a long line":              "name: " + strings.Repeat("a", 2<<20),
		"an include above":         "include: [../x.yaml]\n",
		"an absolute include":      "include: [/etc/passwd]\n",
		"an include by a link":     "include: [link.yaml]\n",
		"a name with a quote":      "collections:\n  'a\"; DROP TABLE x; --':\n    fields: {t: {type: text}}\n    " + open + "\n",
		"a field with a quote":     "collections:\n  a:\n    fields: {'t\"': {type: text}}\n    " + open + "\n",
		"a reserved name":          "collections:\n  _keys:\n    fields: {t: {type: text}}\n    " + open + "\n",
		"batch":                    "collections:\n  batch:\n    fields: {t: {type: text}}\n    " + open + "\n",
		"a field id":               "collections:\n  a:\n    fields: {id: {type: text}}\n    " + open + "\n",
		"a missing secret":         "name: ${NOT_THERE}\n",
		"a bad pattern":            "collections:\n  a:\n    fields: {t: {type: text, pattern: '(a'}}\n    " + open + "\n",
		"an index with a quote":    "collections:\n  a:\n    fields: {t: {type: text, max: 9}}\n    indexes: [{fields: [t], name: 'x\"; --'}]\n    " + open + "\n",
		"a cast in a rule":         "collections:\n  a:\n    fields: {t: {type: text}}\n    access: {read: 't == \"x\") OR (1=1'}\n",
		"a misspelt key of a rule": "collections:\n  a:\n    fields: {t: {type: text}}\n    access: {reed: true}\n",
		"a misspelt origin":        "server: {cors: {origins: [example.com]}}\n",
		"a star with credentials":  "server: {cors: {origins: ['*'], credentials: true}}\n",
		"two documents":            "name: a\n---\nname: b\n",
		"control characters":       "name: \"a\x00b\"\n",
		"no UTF-8":                 "name: \"a\xffb\"\n",
	} {
		dir := t.TempDir()
		put(t, dir, "plinth.yaml", text)
		if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link.yaml")); err != nil {
			t.Fatal(err)
		}
		p, err := plinth.Open(context.Background(), dir, plinth.WithKey(make([]byte, 32)), plinth.WithEnv(func(string) (string, bool) { return "", false }))
		if err == nil {
			p.Close()
			t.Errorf("%s is taken", what)
			continue
		}
		if strings.Contains(err.Error(), "no database is chosen") {
			t.Errorf("%s is taken", what)
		}
		if len(err.Error()) > 64<<10 {
			t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
		}
	}
}
