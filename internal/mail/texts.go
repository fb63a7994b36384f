package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	htmltemplate "github.com/DataDog/datadog-agent/pkg/template/html"
	texttemplate "github.com/DataDog/datadog-agent/pkg/template/text"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

//go:embed templates layout.html
var builtin embed.FS

// Folder is where the templates of an app are, within its folder.
const Folder = "emails"

const (
	fallback    = "en" // the language in which there is a text of every template
	maxTemplate = 256 << 10
)

// texts are the templates, by name and language in lower case.
type texts map[Template]map[string]*text

// text is one template in one language. Where html is nil the page is made of the text.
type text struct {
	lang string // as the file's name has it
	text *texttemplate.Template
	html *htmltemplate.Template
}

// layout is the page that is made of a text.
var layout = sync.OnceValue(func() *htmltemplate.Template { return htmltemplate.Must(htmltemplate.ParseFS(builtin, "layout.html")) })

// ownTexts are the templates that are built in. They are read for the first mail: a start has no time for them.
var ownTexts = sync.OnceValue(func() texts {
	all := texts{}
	folder, err := fs.Sub(builtin, "templates")
	if err != nil {
		panic(err)
	}
	if bad := all.read(folder); bad != nil {
		panic(&spec.Problems{List: bad})
	}
	return all
})

// readTexts reads the templates of the app in a folder, over those that are built in; "": it has none. An app's
// NAME.LANG.txt takes the place of the one that is built in, and of its page; NAME.LANG.html that of the page alone.
func readTexts(dir string) (func() texts, error) {
	if dir == "" {
		return ownTexts, nil
	}
	root, err := os.OpenRoot(filepath.Join(dir, Folder))
	if errors.Is(err, fs.ErrNotExist) {
		return ownTexts, nil
	}
	if err != nil {
		return nil, &fault.Error{Kind: fault.Internal, Msg: "the folder " + Folder + " cannot be read", Err: err}
	}
	defer root.Close()
	all := texts{}
	for t, of := range ownTexts() {
		all[t] = maps.Clone(of)
	}
	if bad := all.read(root.FS()); bad != nil {
		return nil, &spec.Problems{List: bad}
	}
	return func() texts { return all }, nil
}

// Check reads the templates of an app. All that is wrong with them is *spec.Problems.
func Check(app *spec.App) error {
	_, err := readTexts(app.Dir)
	return err
}

// file is the file of a template.
type file struct {
	name string
	of   Template
	lang string
	page bool // .html
	src  string
}

// read adds the templates of a folder. It goes on after a problem, so that all are told at once.
func (all texts) read(folder fs.FS) (bad []spec.Problem) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return []spec.Problem{{File: Folder, Line: 1, Column: 1, Code: "missing", Message: "the folder cannot be read"}}
	}
	var files []file
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		f, p := readFile(folder, e.Name())
		if p != nil {
			bad = append(bad, *p)
			continue
		}
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b file) int { return order(a) - order(b) })
	for _, f := range files {
		c := &checker{file: f}
		c.check()
		if len(c.bad) == 0 {
			all.add(c)
		}
		bad = append(bad, c.bad...)
	}
	return bad
}

// order has the texts stand before the pages.
func order(f file) int {
	if f.page {
		return 1
	}
	return 0
}

// readFile reads the file of a template, and its name.
func readFile(folder fs.FS, name string) (file, *spec.Problem) {
	wrong := func(code, meant, format string, args ...any) (file, *spec.Problem) {
		return file{}, &spec.Problem{File: Folder + "/" + name, Line: 1, Column: 1, Code: code, Message: fmt.Sprintf(format, args...), Suggestion: meant}
	}
	of, rest, _ := strings.Cut(name, ".")
	lang, end, _ := strings.Cut(rest, ".")
	if end != "txt" && end != "html" || !languageTag(lang) {
		return wrong("name", "", "a template is called NAME.LANGUAGE.txt or NAME.LANGUAGE.html, like verify.de.txt")
	}
	if _, ok := forms[Template(of)]; !ok {
		names := templateNames()
		return wrong("unknown", spec.Nearest(of, names), "there is no mail %q: it is one of %s", of, strings.Join(names, ", "))
	}
	r, err := folder.Open(name)
	if err != nil {
		return wrong("missing", "", "cannot be read")
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxTemplate+1))
	switch {
	case err != nil:
		return wrong("missing", "", "cannot be read")
	case len(b) > maxTemplate:
		return wrong("limit", "", "a template has at most %d KB", maxTemplate>>10)
	}
	src := strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r\n", "\n")
	return file{name: name, of: Template(of), lang: lang, page: end == "html", src: src}, nil
}

// templateNames are the names of all templates, sorted.
func templateNames() []string {
	var names []string
	for t := range forms {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return names
}

// add puts a template that was found good into its place.
func (all texts) add(c *checker) {
	f := c.file
	if all[f.of] == nil {
		all[f.of] = map[string]*text{}
	}
	key := strings.ToLower(f.lang)
	switch there := all[f.of][key]; {
	case !f.page:
		all[f.of][key] = &text{lang: f.lang, text: c.text}
	case there == nil:
		c.report(0, "missing", "%s.%s.txt is missing: every mail has a text, whose first line is its subject", f.of, f.lang)
	default:
		all[f.of][key] = &text{lang: there.lang, text: there.text, html: c.html}
	}
}

// find is the text of a template in a language, or in the next more general one, or in English.
func (all texts) find(t Template, lang string) *text {
	for tag := strings.ToLower(lang); tag != ""; {
		if v := all[t][tag]; v != nil {
			return v
		}
		cut := strings.LastIndexByte(tag, '-')
		tag = tag[:max(cut, 0)]
	}
	return all[t][fallback]
}

// written is a template that was filled in.
type written struct{ lang, subject, text, html string }

// write fills in a template.
func (all texts) write(t Template, lang string, v map[string]string, valid time.Duration) (*written, error) {
	found := all.find(t, lang)
	if found == nil {
		return nil, fault.New(fault.Internal, "there is no template %q of a mail", t)
	}
	if _, has := v["Valid"]; has {
		v["Valid"] = span(valid, found.lang)
	}
	return found.write(v)
}

func (t *text) write(v map[string]string) (*written, error) {
	var b bytes.Buffer
	if err := t.text.Execute(&b, v); err != nil {
		return nil, err
	}
	subject, body, _ := strings.Cut(b.String(), "\n")
	w := &written{lang: t.lang, subject: subjectLine(strings.TrimPrefix(subject, subjectIs)), text: strings.TrimSpace(body) + "\n"}
	page := t.html
	var data any = v
	if page == nil {
		page, data = layout(), pageOf(w, v)
	}
	b.Reset()
	if err := page.Execute(&b, data); err != nil {
		return nil, err
	}
	w.html = b.String()
	return w, nil
}

// subjectLine makes a line fit to be a subject. What looks like an encoded word (RFC 2047) is not decoded as one.
func subjectLine(s string) string {
	return strings.ReplaceAll(oneLine(s, maxSubject), "=?", "= ?")
}

// subjectIs begins the first line of a text.
const subjectIs = "Subject: "

// paragraph is one of a page that is made of a text.
type paragraph struct {
	Lines []string
	Link  string // it is this link, and nothing else
	Code  string // it is this code, and nothing else
}

// pageOf is what the layout shows. Nothing becomes a link but the mail's own, and the app's address: what others wrote
// into a name leads nowhere.
func pageOf(w *written, v map[string]string) any {
	var all []paragraph
	for block := range strings.SplitSeq(w.text, "\n\n") {
		block = strings.Trim(block, "\n")
		switch {
		case block == "":
		case block == v["Link"], block == v["URL"]:
			all = append(all, paragraph{Link: block})
		case block == v["Code"]:
			all = append(all, paragraph{Code: block})
		default:
			all = append(all, paragraph{Lines: strings.Split(block, "\n")})
		}
	}
	return struct {
		Lang, Subject string
		Paragraphs    []paragraph
	}{w.lang, w.subject, all}
}

// span is a time in words, rounded up to minutes. In languages without built-in texts it is in the signs that all of
// them share (SI brochure, table 8): 24 h, 15 min.
func span(d time.Duration, lang string) string {
	words, _, _ := strings.Cut(strings.ToLower(lang), "-")
	n, unit := int64((d+time.Minute-1)/time.Minute), 0
	if n >= 60 && n%60 == 0 {
		n, unit = n/60, 1
		if n >= 48 && n%24 == 0 {
			n, unit = n/24, 2
		}
	}
	one, many := [3]string{"min", "h", "d"}, [3]string{"min", "h", "d"}
	switch words {
	case "en":
		one, many = [3]string{"minute", "hour", "day"}, [3]string{"minutes", "hours", "days"}
	case "de":
		one, many = [3]string{"Minute", "Stunde", "Tag"}, [3]string{"Minuten", "Stunden", "Tage"}
	}
	if n == 1 {
		return "1 " + one[unit]
	}
	return fmt.Sprintf("%d %s", n, many[unit])
}
