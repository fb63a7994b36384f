package test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected answers of scripts")

// TestScript runs the scripts. Beside the usual commands there are:
//
//	serve [flags] DIR            start a server; its address is $url
//	unserve [SIGNAL]             end it
//	http [KEY] METHOD PATH [BODY]   a request to it: the status and the body are stdout
//	await METHOD PATH REGEXP     ask until the answer fits
//	awaitlog REGEXP              wait until the server has written a line that fits to stderr
//	exits CODE plinth ARGS…      run and compare the exit code
//	capture NAME PATH            put a member of the JSON on stdout, like key or 0.id, into $NAME
func TestScript(t *testing.T) {
	scripts(t, testscript.Params{Dir: "testdata/script"}, engines[0])
}

// The scripts that are about the app and its records hold on every engine.
func TestScriptOnEngines(t *testing.T) {
	var files []string
	for _, name := range []string{"changes", "explain", "key", "plan", "reload", "seed", "testdb"} {
		files = append(files, filepath.Join("testdata", "script", name+".txtar"))
	}
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) { scripts(t, testscript.Params{Files: files}, e) })
	}
}

func scripts(t *testing.T, p testscript.Params, on engine) {
	db := t
	testscript.Run(t, testscript.Params{
		Dir:           p.Dir,
		Files:         p.Files,
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			own := on.db(db)
			env.Setenv("PLINTH_DB", own)
			if own == "" {
				own = "sqlite:" + filepath.Join(env.WorkDir, "own.db")
			}
			env.Setenv("OWN_DB", own) // a new database of the engine, by name
			env.Setenv("PATH", filepath.Dir(plinth)+string(os.PathListSeparator)+os.Getenv("PATH"))
			examples, err := filepath.Abs("../examples")
			env.Setenv("EXAMPLES", examples)
			s := &scene{t: t}
			env.Values[sceneKey{}] = s
			env.Defer(s.end)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe, "unserve": cmdUnserve, "http": cmdHTTP, "await": cmdAwait,
			"awaitlog": cmdAwaitLog, "exits": cmdExits, "capture": cmdCapture,
		},
	})
}

type sceneKey struct{}

// scene is what a script has running.
type scene struct {
	t      testing.TB // of all scripts
	server *server
}

func (s *scene) end() {
	if s.server != nil {
		s.server.kill()
		s.server = nil
	}
}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

// scriptEnv is the environment of a script, for what is not started by exec.
func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "PLINTH_KEY", "PLINTH_LISTEN", "PLINTH_DB", "PLINTH_DEV"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	s.end()
	for i, a := range args {
		if i == len(args)-1 {
			args[i] = ts.MkAbs(a)
		}
	}
	srv, err := start(scriptEnv(ts), nil, args...)
	if neg {
		if err == nil {
			srv.kill()
			ts.Fatalf("serve became ready")
		}
		fmt.Fprintln(ts.Stderr(), err)
		return
	}
	ts.Check(err)
	s.server = srv
	ts.Setenv("url", srv.url)
}

func cmdUnserve(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	if s.server == nil {
		ts.Fatalf("no server is running")
	}
	err := s.server.stop()
	fmt.Fprint(ts.Stdout(), s.server.stdout.text())
	fmt.Fprint(ts.Stderr(), s.server.stderr.text())
	s.server = nil
	if (err != nil) != neg {
		ts.Fatalf("the server ended with %v", err)
	}
}

func request(ts *testscript.TestScript, args []string) (int, []byte) {
	s := sceneOf(ts)
	if s.server == nil {
		ts.Fatalf("no server is running")
	}
	key := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "pk_") {
		key, args = args[0], args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: http [KEY] METHOD PATH [BODY]")
	}
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	// The app file may have changed since the last request: the description is fetched anew.
	status, b, err := ask(described(s.t), args[0], s.server.url+strings.ReplaceAll(args[1], " ", "%20"), key, body)
	ts.Check(err)
	return status, b
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	status, b := request(ts, args)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, b)
	if neg != (status >= 400) {
		ts.Fatalf("%s: %d %s", strings.Join(args, " "), status, b)
	}
}

const patience = 15 * time.Second

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[len(args)-1])
	args = args[:len(args)-1]
	until(ts, func() (string, bool) {
		status, b := request(ts, args)
		got := strconv.Itoa(status) + " " + string(b)
		return got, re.MatchString(got)
	})
}

func cmdAwaitLog(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[0])
	s := sceneOf(ts)
	until(ts, func() (string, bool) {
		got := s.server.stderr.text()
		return got, re.MatchString(got)
	})
}

func until(ts *testscript.TestScript, look func() (string, bool)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		got, ok := look()
		if ok {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it did not come; the last was: %s", got)
		}
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE plinth ARGS…")
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout")
	if i := strings.IndexByte(text, '{'); i > 0 {
		text = text[i:] // after the status
	}
	var v any
	ts.Check(json.Unmarshal([]byte(text), &v))
	for key := range strings.SplitSeq(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			v = x[i]
		default:
			ts.Fatalf("there is no %s in %s", args[1], text)
		}
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}
