// Command bench measures Plinth beside hand-written Go, PocketBase and Fastify: the same
// schema, data and requests, the servers alternating in one run; or the first two, and Directus, on one
// PostgreSQL or MariaDB. README.md says what is measured and how fair it is.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	seconds float64
	rounds  int
	conns   int
	posts   int
	starts  int
	retries int
	only    []string
	lines   []string
	json    string
	work    string
	keep    bool
	growth  bool
	max     int
	db      string

	subscribers int
}

func main() {
	var o options
	var only, lines string
	var short bool
	flag.Float64Var(&o.seconds, "seconds", 3, "how long each server is measured on each line of each round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the table shows their median")
	flag.IntVar(&o.conns, "conns", 32, "connections that ask at the same time")
	flag.IntVar(&o.posts, "posts", 20000, "posts in the database at the start")
	flag.IntVar(&o.starts, "starts", 10, "starts of each server, for time and memory; 0 leaves them out")
	flag.IntVar(&o.subscribers, "subscribers", 2000, "streams of the line live, 2 or more")
	flag.IntVar(&o.retries, "retries", 3, "how often a measurement is repeated while others use the machine")
	flag.StringVar(&only, "only", "", "servers to measure: plinth,handwritten,pocketbase,fastify; and directus, with -db postgres or mysql")
	flag.StringVar(&lines, "lines", "", "work to measure: read,list,expand,patch,create,batch,live,identity,sight,overload,slow,https (growth: read,list,deep,create)")
	flag.BoolVar(&short, "short", false, "a quick look: little data, one short round")
	flag.StringVar(&o.json, "json", "", "also write the results to this file")
	flag.StringVar(&o.work, "work", filepath.Join(os.TempDir(), "plinth-bench"), "folder for what is built and filled; Fastify's packages stay in it")
	flag.BoolVar(&o.keep, "keep", false, "keep the databases and the servers' logs")
	flag.BoolVar(&o.growth, "growth", false, "measure one server on growing tables instead (of -only, else plinth)")
	flag.IntVar(&o.max, "max", 10_000_000, "rows of the largest table of -growth")
	flag.StringVar(&o.db, "db", "sqlite", "what plinth and handwritten store in: sqlite, or a private server of postgres or mysql (MariaDB)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench takes no arguments, only flags")
		os.Exit(2)
	}
	o.only, o.lines = split(only), split(lines)
	if o.db != "sqlite" && o.db != "postgres" && o.db != "mysql" || o.growth && o.db != "sqlite" {
		fmt.Fprintln(os.Stderr, "-db is sqlite, postgres or mysql, and sqlite for -growth")
		os.Exit(2)
	}
	if o.subscribers < 2 {
		fmt.Fprintln(os.Stderr, "-subscribers is 2 or more")
		os.Exit(2)
	}
	if short {
		o.seconds, o.rounds, o.posts, o.starts, o.retries, o.subscribers = 0.5, 1, 2000, 3, 0, 100
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := compare
	if o.growth {
		run = grow
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func (o options) wants(list []string, name string) bool {
	return len(list) == 0 || slices.Contains(list, name)
}

func (o options) slot() time.Duration {
	return time.Duration(o.seconds * float64(time.Second))
}

// progress goes to standard error, so that standard output is the table.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
