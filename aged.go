package plinth

import (
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// What killed runs leave, each as large as a database, by the names that os.CreateTemp gives.
var (
	growing    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\.plinth-backup-[0-9]+$`) })               // beside a backup: what was to become one
	engineCopy = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\.backup-[0-9]+(-journal|-wal|-shm)?$`) }) // beside a database: SQLite's copy of it
)

// aged is how long nobody has written to what nobody writes any more.
const aged = 24 * time.Hour

// removeAged removes from a folder the files of that name that nobody writes any more, as far as it can.
func removeAged(folder string, name *regexp.Regexp) {
	list, _ := os.ReadDir(folder)
	for _, e := range list {
		if !e.Type().IsRegular() || !name.MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > aged {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}
