package serve

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const look = 250 * time.Millisecond

// Watch calls changed after a file that the app may be made of was saved: plinth.yaml, other YAML in the
// folder and the folders in it, and the templates in emails/. It returns when ctx ends. Looking costs a stat for each
// such file, and finds what is saved over a network or from outside a container too. A save is
// reported when two looks agree, so that a half written file is seldom read.
func Watch(ctx context.Context, dir string, changed func()) {
	told := stamp(dir)
	last := told
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := stamp(dir)
		if now != told && now == last {
			told = now
			changed()
		}
		last = now
	}
}

// elsewhere are the folders of an app that hold no part of its app file.
var elsewhere = map[string]bool{"data": true, "public": true, "seed": true, "functions": true, "node_modules": true}

const depth = 3

// stamp is different after any of the files was saved, made or removed.
func stamp(dir string) string {
	var b strings.Builder
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it goes while we look: the next look sees that
		}
		name := e.Name()
		if e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			if path != dir && (elsewhere[name] || strings.HasPrefix(name, ".") || strings.Count(rel, string(filepath.Separator)) >= depth) {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".yaml", ".yml":
		case ".txt", ".html":
			if filepath.Dir(path) != filepath.Join(dir, "emails") {
				return nil
			}
		default:
			return nil
		}
		info, err := os.Stat(path) // through links
		if err != nil {
			return nil
		}
		b.WriteString(path + "\x00" + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "\x00" + strconv.FormatInt(info.Size(), 36) + "\x00")
		return nil
	})
	return b.String()
}
