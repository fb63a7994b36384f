package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// FileName is the app file's name within its folder.
const FileName = "plinth.yaml"

// ErrNoFolder is the error of Load where there is nothing, or a file.
var ErrNoFolder = errors.New("there is no such folder")

// Load reads the app in a folder. env looks up environment variables. All that is wrong with
// the file comes back at once, as *Problems; any other error means the folder could not be read.
func Load(dir string, env func(string) (string, bool)) (*App, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		if info, e := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || e == nil && !info.IsDir() {
			err = fmt.Errorf("%s: %w", dir, ErrNoFolder)
		}
		return nil, err
	}
	defer root.Close()
	app, err := LoadFS(root.FS(), env)
	if app != nil {
		app.Dir = dir
	}
	return app, err
}

// LoadFS reads the app in a file system, as Load does. The app's Dir is "".
func LoadFS(files fs.FS, env func(string) (string, bool)) (*App, error) {
	l := newLoader(files, env)
	parts := l.files()
	if len(parts) == 0 || l.flooded {
		return nil, l.failure()
	}
	l.sections(parts)
	for _, p := range parts {
		l.declare(p.section.values["collections"])
	}
	l.users()
	l.teams()
	l.finish()
	l.schedules(l.planned)
	for _, p := range parts {
		l.tests(p.section.values["tests"])
	}
	if err := l.failure(); err != nil {
		return nil, err
	}
	l.app.Notes = sorted(l.app.Notes, l.sources)
	return l.app, nil
}

// Extend adds collections that Plinth keeps for itself, written as in the app file: a map of
// collections, each name with a leading _. They take no access rules, because only Plinth reaches
// them. It is called before the app is opened.
func (a *App) Extend(owner string, yaml []byte) error {
	l := newLoader(nil, func(string) (string, bool) { return "", false })
	l.app, l.system = a, true
	n := l.parse(owner, yaml)
	before := len(a.Collections)
	if n != nil {
		if inner := n.get("collections"); inner != nil {
			n = inner
		}
		l.declare(n)
		l.finish()
	}
	err := l.failure()
	if err != nil {
		for _, c := range a.Collections[before:] {
			delete(a.byName, c.Name)
		}
		a.Collections = a.Collections[:before]
	}
	return err
}

// loader is one reading of an app. It goes on after a problem, so that all are told at once.
type loader struct {
	fsys     fs.FS
	env      func(string) (string, bool)
	app      *App
	problems []Problem
	sources  map[string]int // the order in which files were read
	nodes    int
	flooded  bool // there were more values than maxNodes
	system   bool

	drafts    []*draft
	auth      section
	planned   *node           // the schedules section
	channeled *node           // the channels section
	broken    map[member]bool // what could not be made, lest what uses it is blamed
	authUses  []authUse
}

// member is a field or an inverse of a collection.
type member struct{ collection, name string }

func newLoader(files fs.FS, env func(string) (string, bool)) *loader {
	return &loader{
		fsys: files, env: env, sources: map[string]int{}, broken: map[member]bool{},
		app: &App{byName: map[string]*Collection{}},
	}
}

func (l *loader) failure() error {
	if len(l.problems) == 0 {
		return nil
	}
	return &Problems{sorted(l.problems, l.sources)}
}

// part is one file of the app.
type part struct{ section section }

// files reads the app file and what it includes.
func (l *loader) files() []part {
	b, err := l.read(FileName)
	if err != nil {
		msg := "there is no " + FileName + " in this folder"
		if !errors.Is(err, fs.ErrNotExist) {
			msg = "cannot be read"
		}
		l.reportAt(Pos{FileName, 1, 1}, "missing", "", msg)
		return nil
	}
	n := l.parse(FileName, b)
	if n == nil {
		return nil
	}
	parts := []part{{l.section(n, appShape)}}
	for _, pattern := range parts[0].section.values["include"].list() {
		for _, name := range l.matches(pattern) {
			if p, ok := l.included(pattern, name); ok {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

func (l *loader) read(name string) ([]byte, error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+16))
}

// matches finds the files of an include that have not been read, in the order of their names.
func (l *loader) matches(n *node) []string {
	pattern := path.Clean(strings.TrimPrefix(n.text, "./"))
	if !fs.ValidPath(pattern) || strings.Contains(pattern, `\`) {
		l.report(n, "value", "%s does not stay inside the folder: an include is relative to it", n.show())
		return nil
	}
	names, err := fs.Glob(l.fsys, pattern)
	if err != nil {
		l.report(n, "value", "%s is not a pattern for files", n.show())
		return nil
	}
	if len(names) == 0 {
		l.report(n, "missing", "%s finds no file", n.show())
		return nil
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		_, read := l.sources[name]
		return read
	})
}

// included reads one included file: sections of the app file, or a map of collections.
func (l *loader) included(at *node, name string) (part, bool) {
	if len(l.sources) >= maxFiles {
		l.report(at, "limit", "more than %d files are too many", maxFiles)
		return part{}, false
	}
	b, err := l.read(name)
	if err != nil {
		l.report(at, "missing", "%s cannot be read", quoted(name))
		return part{}, false
	}
	n := l.parse(name, b)
	if n == nil {
		return part{}, false
	}
	if n.kind == object && len(n.keys) > 0 && !slices.ContainsFunc(n.keys, func(k *node) bool { return appShape.key(k.text) != nil }) {
		return part{section{node: n, shape: appShape, values: map[string]*node{"collections": n}}}, true
	}
	p := part{l.section(n, appShape)}
	if inner := p.section.values["include"]; inner != nil {
		l.report(inner, "conflict", "include stands in %s only", FileName)
		delete(p.section.values, "include")
	}
	return p, true
}
