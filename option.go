package plinth

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/internal/jobs"
)

// Option is a choice of whoever opens an app.
type Option func(*options)

type options struct {
	open  func(context.Context) (driver.Engine, error)
	clock func() time.Time
	dev   bool
	key   []byte
	log   *slog.Logger
	env   func(string) (string, bool)
	tell  func(string)

	slow time.Duration

	hooks    []data.Hook
	kinds    []jobs.Kind
	workers  int
	patience time.Duration

	consumers []data.Consumer

	file     string // OnFile
	openFile func(file string) (driver.Engine, error)
}

func choose(opts []Option) options {
	o := options{clock: time.Now, env: os.LookupEnv}
	for _, opt := range opts {
		opt(&o)
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if o.tell == nil {
		o.tell = func(text string) { o.log.Info(text) }
	}
	return o
}

// OnFile says which file the app's database is in: data/plinth.db in the app's folder when it is "". Its
// uploads stand beside it: in data/files for data/plinth.db, in FILE-files for any other FILE. Serve removes those
// that no record has named for a day. Whoever has it open keeps Restore from replacing it. It is opened when the app file and
// the key were found good, and closed with the app.
func OnFile[E driver.Engine](file string, open func(file string) (E, error)) Option {
	return func(o *options) {
		o.file, o.openFile = file, func(file string) (driver.Engine, error) {
			return engineOf(open(file))
		}
	}
}

// On says which database the app is on, when it is in no file of its own. open is given what bounds the opening
// alone. Uploads are in data/files of the app's
// folder; what no record names stays there, because another database may name it.
func On[E driver.Engine](open func(context.Context) (E, error)) Option {
	return func(o *options) {
		o.openFile, o.open = nil, func(ctx context.Context) (driver.Engine, error) { return engineOf(open(ctx)) }
	}
}

// engineOf is no engine where there is an error: a nil E would be one.
func engineOf[E driver.Engine](eng E, err error) (driver.Engine, error) {
	if err != nil {
		return nil, err
	}
	return eng, nil
}

// WithClock replaces time.Now.
func WithClock(clock func() time.Time) Option { return func(o *options) { o.clock = clock } }

// WithKey gives the app's secret, instead of PLINTH_KEY: at least 32 bytes.
func WithKey(key []byte) Option { return func(o *options) { o.key = key } }

// WithLog replaces slog.Default().
func WithLog(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithEnv replaces os.LookupEnv, for the app file and for PLINTH_KEY.
func WithEnv(env func(string) (string, bool)) Option { return func(o *options) { o.env = env } }

// SlowQuestions has a list, a page of a live list and groups that take longer than d be a line of the log: what was asked, without any
// value, and the index that would help. Of questions of one shape it is one line a minute. 0 is never, as it is without this option.
func SlowQuestions(d time.Duration) Option { return func(o *options) { o.slow = d } }

// Telling replaces the log as the place for what a developer should read: what a reload found, hints.
func Telling(tell func(text string)) Option { return func(o *options) { o.tell = tell } }

// Dev is for the machine of a developer: a key is made when there is none, safe schema steps are
// applied, an empty database gets the records of seed/, and Run follows the app file.
func Dev() Option { return func(o *options) { o.dev = true } }
