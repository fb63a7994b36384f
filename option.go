package plinth

import (
	"log/slog"
	"os"
	"time"

	"github.com/bluell/plinth/data/driver"
)

// Option is a choice of whoever opens an app.
type Option func(*options)

type options struct {
	open  func() (driver.Engine, error)
	clock func() time.Time
	dev   bool
	key   []byte
	log   *slog.Logger
	env   func(string) (string, bool)
	tell  func(string)

	orphans bool
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

// On says which database the app is on. It is opened when the app file and the key were found good,
// and closed with the app.
func On[E driver.Engine](open func() (E, error)) Option {
	return func(o *options) {
		o.open = func() (driver.Engine, error) {
			eng, err := open()
			if err != nil {
				return nil, err
			}
			return eng, nil
		}
	}
}

// WithClock replaces time.Now.
func WithClock(clock func() time.Time) Option { return func(o *options) { o.clock = clock } }

// WithKey gives the app's secret, instead of PLINTH_KEY: at least 32 bytes.
func WithKey(key []byte) Option { return func(o *options) { o.key = key } }

// WithLog replaces slog.Default().
func WithLog(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithEnv replaces os.LookupEnv, for the app file and for PLINTH_KEY.
func WithEnv(env func(string) (string, bool)) Option { return func(o *options) { o.env = env } }

// Telling replaces the log as the place for what a developer should read: what a reload found, hints.
func Telling(tell func(text string)) Option { return func(o *options) { o.tell = tell } }

// RemovingOrphans lets Run remove uploads that no record has named for a day. It is for the one database
// that the uploads of the folder belong to: another knows nothing of their records.
func RemovingOrphans() Option { return func(o *options) { o.orphans = true } }

// Dev is for the machine of a developer: a key is made when there is none, safe schema steps are
// applied, an empty database gets the records of seed/, and Run follows the app file.
func Dev() Option { return func(o *options) { o.dev = true } }
