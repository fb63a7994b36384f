package main

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth/fault"
)

// starter is the app that a new folder begins with. NAME stands for its name.
//
//go:embed all:starter
var starter embed.FS

func (c *cli) new() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new DIR",
		Short: "Make the folder of a new app",
		Long: `Make a folder with a small app that works: a guest book, its page, a few first records, and comments
that say what is what. The folder must be empty or not there.`,
		Example: "  plinth new myapp\n  plinth serve --dev myapp",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := unfold(args[0])
			if err != nil {
				return err
			}
			if c.json {
				c.print(map[string]any{"dir": args[0], "files": files})
				return nil
			}
			c.say("made %s: now plinth serve --dev %s", args[0], args[0])
			return nil
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

// unfold writes the starter into an empty folder.
func unfold(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case len(entries) > 0:
		return nil, fault.New(fault.Conflict, "%s is not empty: nothing was written", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "%s is not a folder", dir)
	}
	err = fs.WalkDir(starter, "starter", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(path, "starter"), "/"))
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		b, err := starter.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, filepath.ToSlash(rel))
		return os.WriteFile(filepath.Join(dir, rel), bytes.ReplaceAll(b, []byte("NAME"), []byte(appName(dir))), 0o644)
	})
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "the folder cannot be written", Err: err}
	}
	return files, nil
}

// appName is a name for an app by its folder: letters, digits and hyphens.
func appName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, filepath.Base(abs))
	if name = strings.Trim(name, "-"); name == "" {
		return "app"
	}
	return name
}
