package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// peer is a server that can be built, started on a data folder and asked.
type peer struct {
	name    string
	api     dialect
	prepare func(dir string) error // what must be in the folder before the first start
	command func(dir, addr string) *exec.Cmd
	at      func(plinth, hand string) func(dir, addr string) *exec.Cmd // command for a database with these addresses
	model   func(ctx context.Context, s *site) error                   // makes the collections of a server that has started, where they are not there already
	engine  *engine                                                    // the server of its database, where it has one
	file    string                                                     // the SQLite file in the data folder, where it is laid out as Plinth's
	log     string                                                     // its table of changes, where it keeps one
}

// build compiles the peers that are asked for. One that cannot be built is left out and
// named, unless it was asked for by name.
func build(ctx context.Context, o options) ([]peer, error) {
	if _, err := os.Stat(filepath.Join("app", "plinth.yaml")); err != nil {
		return nil, fmt.Errorf("run it in the bench folder: %w", err)
	}
	bin := filepath.Join(o.work, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	type maker struct {
		name string
		make func(ctx context.Context, bin string) (peer, error)
	}
	makers := []maker{
		{"plinth", makePlinth}, {"handwritten", makeHandwritten},
		{"pocketbase", makePocketbase}, {"fastify", makeFastify},
	}
	if o.db != "sqlite" {
		makers = makers[:2]                      // the others are SQLite's
		if slices.Contains(o.only, "directus") { // heavy: only for who asks for it
			makers = append(makers, maker{"directus", makeDirectus})
		}
	}
	for _, name := range o.only {
		known := false
		for _, m := range makers {
			known = known || m.name == name
		}
		if !known {
			return nil, fmt.Errorf("there is no server %q on %s", name, o.db)
		}
	}
	var peers []peer
	for _, m := range makers {
		if !o.wants(o.only, m.name) {
			continue
		}
		progress("building %s", m.name)
		p, err := m.make(ctx, bin)
		switch {
		case err == nil:
			p.name = m.name
			peers = append(peers, p)
		case len(o.only) > 0 || ctx.Err() != nil:
			return nil, fmt.Errorf("%s: %w", m.name, err)
		default:
			progress("%s is left out: %v", m.name, err)
		}
	}
	return peers, nil
}

// on is the peer on a database of its own on a server.
func (p peer) on(ctx context.Context, e *engine) (peer, error) {
	plinth, hand, err := e.database(ctx, p.name)
	if err != nil {
		return p, err
	}
	there := p
	there.engine, there.file = e, ""
	there.command = p.at(plinth, hand)
	return there, nil
}

func makePlinth(ctx context.Context, bin string) (peer, error) {
	program := filepath.Join(bin, "plinth")
	if _, err := os.Stat(filepath.Join("..", "cmd", "plinth")); err != nil {
		return peer{}, err
	}
	if err := goBuild(ctx, "..", program, "./cmd/plinth"); err != nil {
		return peer{}, err
	}
	var key [32]byte // what serve asks for; its data lives as long as this run
	rand.Read(key[:])
	env := append(os.Environ(), "PLINTH_KEY="+base64.StdEncoding.EncodeToString(key[:]))
	serve := func(dir, addr string, more ...string) *exec.Cmd {
		cmd := exec.Command(program, append([]string{"serve", dir, "--listen", addr}, more...)...)
		cmd.Env = env
		return cmd
	}
	return peer{
		api:  plinthDialect,
		file: filepath.Join("data", "plinth.db"),
		log:  "_changes",
		prepare: func(dir string) error {
			app, err := os.ReadFile(filepath.Join("app", "plinth.yaml"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "plinth.yaml"), app, 0o644)
		},
		command: func(dir, addr string) *exec.Cmd { return serve(dir, addr) },
		at: func(db, _ string) func(dir, addr string) *exec.Cmd {
			return func(dir, addr string) *exec.Cmd { return serve(dir, addr, "--db", db) }
		},
	}, nil
}

func makeHandwritten(ctx context.Context, bin string) (peer, error) {
	program := filepath.Join(bin, "handwritten")
	const file = "handwritten.db"
	return peer{
		api:  handDialect,
		file: file,
		log:  "changes",
		command: func(dir, addr string) *exec.Cmd {
			return exec.Command(program, "-listen", addr, "-db", filepath.Join(dir, file))
		},
		at: func(_, db string) func(dir, addr string) *exec.Cmd {
			return func(_, addr string) *exec.Cmd { return exec.Command(program, "-listen", addr, "-db", db) }
		},
	}, goBuild(ctx, ".", program, "./peers/handwritten")
}

func makePocketbase(ctx context.Context, bin string) (peer, error) {
	program := filepath.Join(bin, "pocketbase")
	return peer{
		api: pocketbaseDialect,
		command: func(dir, addr string) *exec.Cmd {
			return exec.Command(program, "serve", "--http="+addr, "--dir="+dir)
		},
	}, goBuild(ctx, filepath.Join("peers", "pocketbase"), program, ".")
}

// makeFastify installs the packages of the lock file once; building better-sqlite3 where no
// binary can be fetched takes minutes.
func makeFastify(ctx context.Context, bin string) (peer, error) {
	source := filepath.Join("peers", "fastify")
	files, err := filepath.Glob(filepath.Join(source, "*.*"))
	if err != nil {
		return peer{}, err
	}
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		return peer{}, err
	}
	version, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return peer{}, err
	}
	dir := filepath.Join(filepath.Dir(bin), fmt.Sprintf("fastify-%x", sha256.Sum256(append(lock, version...)))[:20])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return peer{}, err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o644)
		}
		if err != nil {
			return peer{}, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		if err := quietly(ctx, dir, "npm", "ci", "--no-audit", "--no-fund"); err != nil {
			return peer{}, err
		}
		if err := os.WriteFile(filepath.Join(dir, "installed"), nil, 0o644); err != nil {
			return peer{}, err
		}
	}
	return peer{
		api: handDialect,
		command: func(data, addr string) *exec.Cmd {
			cmd := exec.Command("node", filepath.Join(dir, "server.mjs"), "--listen", addr, "--db", filepath.Join(data, "fastify.db"))
			cmd.Env = append(os.Environ(), "NODE_ENV=production")
			return cmd
		},
	}, nil
}

// goBuild builds as releases are built: without cgo, symbols and paths.
func goBuild(ctx context.Context, dir, out, pkg string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	return quietly(ctx, dir, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
}

func quietly(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out[max(0, len(out)-2000):]))
	}
	return nil
}
