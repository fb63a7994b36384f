package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
)

func (c *cli) serve() *cobra.Command {
	var listen, level, format string
	var roles []string
	var dev, secure bool
	var drain, slow time.Duration
	cmd := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "Serve an app",
		Long: `Serve an app: its API under /api and its frontend, public/, under /.

A new database is set up. When the database differs from the app file, serve refuses to start and
names the command that helps.

With --dev a key is made in data/key when there is none, an empty database gets the records of
seed/, and a saved app file is served at once: steps of its schema that lose nothing are applied,
an app file with errors is told and changes nothing. --tls serves by https, by an authority that is
made in data/ and that your browser may be told to trust.

An app with server.domains or server.tls is served by https, at server.https and server.http, and at
--listen only if that is given; with --dev it is served at --listen alone.

SIGTERM and SIGINT end it: requests under way are answered, live connections are told to come back. SIGHUP reads the app
file again. plinth reload replaces the program, without a refused connection.`,
		Example: "  plinth serve --dev examples/agency\n  PLINTH_KEY=... plinth serve --listen 0.0.0.0:8080 /srv/agency",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return misused("%s is debug, info, warn or error", given(cmd, "log"))
			}
			if drain < 0 || drain > time.Hour {
				return misused("%s is from 0s to 1h", given(cmd, "drain"))
			}
			if format != "" && format != "text" && format != "json" {
				return misused("%s is text or json", given(cmd, "log-format"))
			}
			if slow < 0 {
				return misused("%s is a time like 200ms; 0 is never", given(cmd, "slow"))
			}
			if secure && !dev {
				return misused("%s is for --dev: without it, server.domains or server.tls in the app file make the app served by https", given(cmd, "tls"))
			}
			if !cmd.Flags().Changed("listen") {
				listen = "" // where nothing else is said
			}
			if !address(cmd.Context(), listen) {
				return misused("%s is an address like 127.0.0.1:8080, not %q", given(cmd, "listen"), listen)
			}
			if len(roles) == 0 {
				return misused("%s is empty: it is api, jobs or both", given(cmd, "roles"))
			}
			for _, r := range roles {
				if r != "api" && r != "jobs" {
					return misused("%s are api and jobs, not %q", given(cmd, "roles"), r)
				}
			}
			log := plinth.Logger(c.err, l, format)
			slog.SetDefault(log)
			dir := folder(args, 0)
			opts := []plinth.Option{c.on(), plinth.WithLog(log), plinth.SlowQuestions(slow), plinth.Telling(func(text string) { c.note("%s", text) })}
			if dev {
				opts = append(opts, plinth.Dev())
			}
			return c.run(cmd.Context(), dir, plinth.Listening{Listen: listen, TLS: secure, Roles: roles, Drain: drain}, dev, opts)
		},
	}
	c.dbFlag(cmd)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	cmd.Flags().BoolVar(&dev, "dev", false, "for the machine of a developer")
	cmd.Flags().BoolVar(&secure, "tls", false, "with --dev: serve by https, by an authority made in data/")
	cmd.Flags().StringVar(&level, "log", "info", "what is logged: debug, info, warn or error; debug logs every request")
	cmd.Flags().StringVar(&format, "log-format", "", "how it is logged: text or json (default: text on a terminal, else json)")
	cmd.Flags().DurationVar(&slow, "slow", 200*time.Millisecond, "from when a question to the database is a line of the log, with the index that would help; 0 is never")
	cmd.Flags().StringSliceVar(&roles, "roles", []string{"api", "jobs"}, "what this process does: api, jobs or both; without api it answers /healthz and /readyz alone")
	cmd.Flags().DurationVar(&drain, "drain", 0, "for how long requests are still taken after the process was told to end, with /readyz at 503: until those who balance the load have seen it")
	for _, name := range []string{"listen", "dev", "tls", "log", "log-format", "slow", "roles", "drain"} {
		fromEnvironment(cmd.Flags(), name)
	}
	return cmd
}

// address says whether something can be listened at, or is nothing; whether this machine has it is seen later.
func address(ctx context.Context, s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(ctx, "tcp", port)
	}
	return s == "" || err == nil
}

// garbage is how much the heap may grow between two collections, in percent of what is in use. A
// server of records keeps little and makes much that lives as long as one request: the usual 100
// would collect a few megabytes all the time (a tenth of the processor under load, by its profile).
const garbage = 300

func (c *cli) run(ctx context.Context, dir string, at plinth.Listening, dev bool, opts []plinth.Option) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	trustRoots()
	p, err := plinth.Open(ctx, dir, opts...)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, n := range p.App().Notes {
		c.note("%s", n)
	}
	if dev && p.Fresh() {
		loaded, err := p.Seed(ctx, nil)
		if err != nil {
			return fault.New(fault.Of(err), "%s; correct it, then plinth seed %s", plain(err), dir)
		}
		if loaded.Records > 0 {
			c.note("seed/ gave the new database %s", plinth.Counted(loaded.Records, "record"))
		}
	}
	at.Ready = func(url string) {
		fmt.Fprintf(c.out, "plinth: listening on %s\n", url)
		if dev {
			c.hint(ctx, p, dir)
		}
	}
	if err := p.Serve(ctx, at); err != nil {
		return err
	}
	return p.Close()
}

// hint says how to get a key, as long as there is none.
func (c *cli) hint(ctx context.Context, p *plinth.Plinth, dir string) {
	keys, err := p.Keys(ctx)
	if err != nil || len(keys) > 0 {
		return
	}
	as := "--operator"
	if roles := p.App().Roles; len(roles) > 0 {
		as = "--role " + roles[len(roles)-1]
	}
	at := ""
	switch {
	case c.at.engine != "sqlite":
		at = " --db …" // there is a password in it
	case c.db != "":
		at = " --db " + c.db
	}
	if dir != "." {
		dir = " " + dir
	} else {
		dir = ""
	}
	c.note("nobody has a key yet: plinth key add%s%s %s", dir, at, as)
}
