package plinth

import (
	"runtime/debug"
	"sync"
)

// Version is the version of the module that was built, or the commit it was built from.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Path == module && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	if c := Commit(); c != "" {
		return "devel-" + c
	}
	return "devel"
})

const module = "github.com/bluell/plinth"

// Commit is the commit that was built, in short, with + when files had been changed; "" where the
// build does not say.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+"
			}
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}
