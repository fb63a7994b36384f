package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engine is the private database server of a run, made from the installed programs and gone with it.
// Its settings are the installation's own but for its size; a commit is on disk before it is answered.
type engine struct {
	name   string // and that of a database which is there from the start, on both
	dir    string // has its socket, its data and its log
	cmd    *exec.Cmd
	ended  chan error
	finish os.Signal // ends it in order
	tools  map[string]string
}

// openEngine starts the server that -db asks for; nil for SQLite, which has none.
func openEngine(ctx context.Context, o options) (*engine, error) {
	if o.db == "sqlite" {
		return nil, nil
	}
	dir, err := os.MkdirTemp(o.work, o.db+"-") // not below another: a path to a socket is short
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	e := &engine{name: o.db, dir: dir, tools: map[string]string{}}
	progress("starting %s", e.name)
	install := e.makePostgres
	if e.name == "mysql" {
		install = e.makeMySQL
	}
	if err = own(dir); err == nil {
		err = install(ctx)
	}
	if err != nil {
		e.stop(false)
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	return e, nil
}

func (e *engine) makePostgres(ctx context.Context) error {
	e.finish = os.Interrupt
	if err := e.find([]string{"/usr/lib/postgresql/*/bin"}, "initdb", "postgres", "psql"); err != nil {
		return err
	}
	data := filepath.Join(e.dir, "data")
	if err := e.run(ctx, "", "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"); err != nil {
		return err
	}
	return e.start(ctx, func() error { return e.execute(ctx, e.name, "SELECT 1") }, "postgres", "-D", data,
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+e.dir,
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on", "-c", "shared_buffers=256MB")
}

func (e *engine) makeMySQL(ctx context.Context) error {
	e.finish = syscall.SIGTERM
	if err := e.find([]string{"/usr/sbin", "/usr/bin", "/usr/local/bin"}, "mariadb-install-db", "mariadbd", "mariadb"); err != nil {
		return err
	}
	data, temporary := "--datadir="+filepath.Join(e.dir, "data"), "--tmpdir="+e.dir // in another's folder a server removes what is not its own
	err := e.run(ctx, "", "mariadb-install-db", "--no-defaults", data, temporary, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve")
	if err != nil {
		return err
	}
	return e.start(ctx, func() error { return e.execute(ctx, e.name, "SELECT 1") }, "mariadbd", "--no-defaults", data, temporary,
		"--socket="+filepath.Join(e.dir, "socket"), "--pid-file="+filepath.Join(e.dir, "pid"), "--skip-networking", "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M")
}

// database makes an empty database and gives its address, for Plinth and for the hand-written server.
func (e *engine) database(ctx context.Context, name string) (plinth, hand string, err error) {
	if err := e.execute(ctx, e.name, "CREATE DATABASE "+name); err != nil {
		return "", "", err
	}
	if e.name == "mysql" {
		socket := filepath.Join(e.dir, "socket")
		return "mysql://root@/" + name + "?" + url.Values{"socket": {socket}}.Encode(), "mysql://root@unix(" + socket + ")/" + name, nil
	}
	both := "postgres:///" + name + "?" + url.Values{"host": {e.dir}, "user": {"postgres"}}.Encode()
	return both, both, nil
}

// settle tells the server what the tables hold, which it would find out by itself at some moment of the run.
func (e *engine) settle(ctx context.Context, name string) error {
	if e.name == "mysql" {
		return e.execute(ctx, name, "ANALYZE TABLE authors, posts")
	}
	return e.execute(ctx, name, "VACUUM ANALYZE authors, posts; CHECKPOINT")
}

func (e *engine) execute(ctx context.Context, database, statement string) error {
	_, err := e.query(ctx, database, statement)
	return err
}

// query gives the rows of an answer of one column, a line each.
func (e *engine) query(ctx context.Context, database, statement string) ([]byte, error) {
	if e.name == "mysql" {
		return e.output(ctx, statement, "mariadb", "--no-defaults", "--user=root", "--socket="+filepath.Join(e.dir, "socket"),
			"--batch", "--raw", "--skip-column-names", database)
	}
	return e.output(ctx, statement, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--host="+e.dir, "--username=postgres",
		"--dbname="+database, "--set=ON_ERROR_STOP=1")
}

// find looks for programs where they are installed.
func (e *engine) find(folders []string, names ...string) error {
	for _, name := range names {
		for _, folder := range folders {
			if found, _ := filepath.Glob(filepath.Join(folder, name)); len(found) > 0 {
				e.tools[name] = found[len(found)-1]
			}
		}
		if e.tools[name] == "" {
			path, err := exec.LookPath(name)
			if err != nil {
				return fmt.Errorf("%s is not installed", name)
			}
			e.tools[name] = path
		}
	}
	return nil
}

func (e *engine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.tools[name], args...)
	cmd.Dir, cmd.SysProcAttr = e.dir, &syscall.SysProcAttr{Setpgid: true}
	if id, ok := nobody(); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	return cmd
}

func (e *engine) run(ctx context.Context, input, name string, args ...string) error {
	_, err := e.output(ctx, input, name, args...)
	return err
}

func (e *engine) output(ctx context.Context, input, name string, args ...string) ([]byte, error) {
	cmd := e.command(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(append(out.Bytes(), errs.Bytes()...)))
	}
	return out.Bytes(), nil
}

// start starts the server and returns when it is ready.
func (e *engine) start(ctx context.Context, ready func() error, name string, args ...string) error {
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = e.command(context.WithoutCancel(ctx), name, args...) // it is stopped when the others are
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		e.cmd = nil
		return err
	}
	e.ended = make(chan error, 1)
	go func() { e.ended <- e.cmd.Wait() }()
	for began := time.Now(); ; {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case gone := <-e.ended:
			e.ended <- gone
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %w\n%s", name, gone, bytes.TrimSpace(text))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(began) > time.Minute {
			return errors.Join(errors.New(name+" does not answer"), err)
		}
	}
}

// stop ends the server, and removes what it stored unless that is to be kept.
func (e *engine) stop(keep bool) {
	if e == nil {
		return
	}
	if e.cmd != nil {
		e.cmd.Process.Signal(e.finish)
		select {
		case <-e.ended:
		case <-time.After(20 * time.Second):
			e.cmd.Process.Kill()
			<-e.ended
		}
		e.cmd = nil
	}
	if !keep {
		os.RemoveAll(e.dir)
	}
}

// own gives a folder to whom the server runs as.
func own(dir string) error {
	if id, ok := nobody(); ok {
		return os.Chown(dir, id, id)
	}
	return nil
}

// nobody is whom a database server runs as for root, as whom it refuses to.
func nobody() (int, bool) {
	if os.Getuid() != 0 {
		return 0, false
	}
	if u, err := user.Lookup("nobody"); err == nil {
		if id, err := strconv.Atoi(u.Uid); err == nil {
			return id, true
		}
	}
	return 65534, true
}
