package pages

import (
	"encoding/json"
	"io/fs"
	"strings"
	"sync"

	"github.com/bluell/plinth/fault"
)

// words are the texts of pages in one language: those that stand in them, and those of their scripts.
type words struct{ Page, Script text }

// text is words by their names.
type text map[string]string

// say gives a text. One that is not there is a mistake of a template's.
func (t text) say(name string) (string, error) {
	s, ok := t[name]
	if !ok {
		return "", fault.New(fault.Internal, "a page says %q, and there are no such words", name)
	}
	return s, nil
}

// fallback is the language that has every text.
const fallback = "en"

// languages are all words, by language: those of site/words.LANGUAGE.json.
var languages = sync.OnceValue(func() map[string]*words {
	all := map[string]*words{}
	files, err := fs.Glob(site, "site/words.*.json")
	if err == nil {
		for _, name := range files {
			var text []byte
			if text, err = site.ReadFile(name); err != nil {
				break
			}
			lang, _, _ := strings.Cut(strings.TrimPrefix(name, "site/words."), ".")
			all[lang] = &words{}
			if err = json.Unmarshal(text, all[lang]); err != nil {
				break
			}
		}
	}
	if err != nil {
		panic(fault.Wrap(fault.Internal, "read the words of pages", err)) // they are built in
	}
	return all
})

// wordsFor are the words of a language, or of the next more general one, or English: as mails choose theirs.
func wordsFor(lang string) (string, *words) {
	for tag := strings.ToLower(lang); tag != ""; {
		if w := languages()[tag]; w != nil {
			return tag, w
		}
		tag = tag[:max(strings.LastIndexByte(tag, '-'), 0)]
	}
	return fallback, languages()[fallback]
}
