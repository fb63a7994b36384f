package test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	root "github.com/bluell/plinth"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqlite"
)

// applyHelper makes the test binary apply the app in a folder and kill itself at a moment: "DIR:N".
const applyHelper = "PLINTH_TEST_APPLY"

// applyAndDie applies an app and kills its own process the N-th time that progress is told: before
// each step, and after each batch of rows.
func applyAndDie() {
	dir, at, _ := strings.Cut(os.Getenv(applyHelper), ":")
	n, err := strconv.Atoi(at)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	told := 0
	_, err = root.Apply(context.Background(), dir, root.ApplyOptions{AllowLoss: true, Progress: func(int, int, string) {
		if told++; told == n {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}, root.On(func(context.Context) (driver.Engine, error) {
		return sqlite.Open(filepath.Join(dir, "data", "plinth.db"), sqlite.Options{})
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const beforeApply = `
collections:
  notes:
    fields:
      title:  {type: text, max: 100}
      amount: {type: text, max: 20}
      gone:   {type: text, max: 20}
    access: {read: true, create: true}
`

const afterApply = `
collections:
  memos:
    was: notes
    fields:
      heading: {type: text, max: 100, was: title, ci: true}
      amount:  {type: int}
      state:   {type: enum, values: [open, done], required: true, default: open}
    indexes: [[heading], [state, amount]]
    access: {read: true, create: true}
  topics:
    fields: {name: {type: text, unique: true, max: 40}}
    access: {read: true}
`

// How many rows there are to be copied: more than one batch of them, or few where each of them is a statement to be
// killed at.
const (
	rowsApplied = 1200
	rowsCut     = 30
)

// An apply that is killed at any of its moments is finished by the next one, and nothing is lost or
// done twice.
func TestApplyKilled(t *testing.T) {
	t.Parallel()
	kept := folder(t, beforeApply)
	fillNotes(t, "", kept, rowsApplied)
	for n := 1; ; n++ {
		dir := copied(t, kept, afterApply)
		cmd := exec.Command(os.Args[0])
		cmd.Env = environ(applyHelper + "=" + dir + ":" + strconv.Itoa(n))
		if !endsKilled(t, n, cmd) {
			if n < 8 {
				t.Fatalf("apply was over after %d moments: the test proves little", n)
			}
			return // all moments were tried
		}
		appliedAgain(t, "", dir, n, rowsApplied)
	}
}

// cuts are the statements before which an apply is killed on a server: a sample, or what PLINTH_TEST_CUTS says, "all"
// or "FROM-TO".
func cuts(t *testing.T) (from, to, every int) {
	text := os.Getenv("PLINTH_TEST_CUTS")
	if text == "" {
		return 1 + rand.IntN(sample), math.MaxInt, sample
	}
	if text == "all" {
		return 1, math.MaxInt, 1
	}
	if n, err := fmt.Sscanf(text, "%d-%d", &from, &to); n != 2 || err != nil || from < 1 {
		t.Fatalf("PLINTH_TEST_CUTS=%q is neither all nor FROM-TO", text)
	}
	return from, to, 1
}

// sample is how many statements are between those that are tried where not all are.
const sample = 60

// The same on database servers: the apply is killed before one of its statements, which does not reach the server.
func TestApplyKilledOnServers(t *testing.T) {
	from, to, every := cuts(t)
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			tried := 0
			for n := from; n <= to; n += every {
				db, dir := e.db(t), folder(t, beforeApply)
				fillNotes(t, db, dir, rowsCut)
				if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(afterApply), 0o644); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(plinth, "apply", "--allow-loss", dir)
				d, through := cut(t, db, int64(n), func() { _ = cmd.Process.Kill() })
				cmd.Env = environ("PLINTH_DB=" + through)
				if !endsKilled(t, n, cmd) {
					if n < 2*sample {
						t.Fatalf("apply was over after %d statements: the test proves little", d.seen.Load())
					}
					t.Logf("apply has %d statements", d.seen.Load())
					break
				}
				tried++
				appliedAgain(t, db, dir, n, rowsCut)
			}
			t.Logf("killed before %d of them", tried)
		})
	}
}

// Where the database goes away under an apply, its error says what happened, and not the password.
func TestApplyCutOff(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			db, dir := e.db(t), folder(t, beforeApply)
			const password = "not-to-be-told"
			_, through := cut(t, db, 40, func() {})
			u, err := url.Parse(through)
			if err != nil {
				t.Fatal(err)
			}
			if e.name == "postgres" { // which asks for none
				u.User = url.UserPassword(u.User.Username(), password)
			}
			cmd := exec.Command(plinth, "apply", dir)
			cmd.Env = environ("PLINTH_DB=" + u.String())
			said, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it was not cut off: %s", said)
			}
			if !regexp.MustCompile(`(?m)^plinth: .*the database .*away.* \(.+\)`).Match(said) || strings.Contains(string(said), password) {
				t.Errorf("%s", said)
			}
		})
	}
}

// fillNotes sets up an app as it is before the apply, with so many rows.
func fillNotes(t *testing.T, db, dir string, rows int) {
	t.Helper()
	runOn(t, db, "apply", dir)
	s := servingOn(t, db, dir)
	for start := 0; start < rows; start += 400 {
		var ops []string
		for i := start; i < min(start+400, rows); i++ {
			ops = append(ops, fmt.Sprintf(`{"op":"create","collection":"notes","body":{"title":"T%d","amount":"%d","gone":"x"}}`, i, i))
		}
		status, b, err := ask(described(t), "POST", s.url+"/api/batch", "", `{"operations":[`+strings.Join(ops, ",")+`]}`)
		if err != nil || status != 200 {
			t.Fatal(status, string(b), err)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

// endsKilled runs an apply that is to be killed at its n-th moment. It is false when the apply was over before.
func endsKilled(t *testing.T, n int, cmd *exec.Cmd) bool {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() {
		t.Fatalf("moment %d: %v\n%s", n, err, out)
	}
	return true
}

// appliedAgain applies an app whose first apply was killed at its n-th moment, and looks at what is there.
func appliedAgain(t *testing.T, db, dir string, n, rows int) {
	t.Helper()
	t.Run(strconv.Itoa(n), func(t *testing.T) {
		t.Parallel()
		runOn(t, db, "apply", "--allow-loss", dir)
		if got := runOn(t, db, "plan", dir); !strings.Contains(got, "has the schema") {
			t.Fatalf("after the second apply there is still to do:\n%s", got)
		}
		s := servingOn(t, db, dir)
		_, b, err := ask(described(t), "GET", s.url+`/api/memos?group=state&aggregate=count,sum(amount),min(amount),max(amount)`, "", "")
		want := fmt.Sprintf(`{"groups":[{"state":"open","count":%d,"sum(amount)":%d,"min(amount)":0,"max(amount)":%d}]}`, rows, rows*(rows-1)/2, rows-1)
		if err != nil || string(b) != want {
			t.Errorf("got %s %v, want %s", b, err, want)
		}
		_, b, _ = ask(described(t), "GET", s.url+`/api/memos?filter=heading%20==%20%22t7%22&fields=heading,amount`, "", "")
		if !strings.Contains(string(b), `"heading":"T7","amount":7`) {
			t.Errorf("the ci field does not find by its fold: %s", b)
		}
	})
}

// copied copies an app's folder and gives it another app file.
func copied(t *testing.T, from, app string) string {
	t.Helper()
	dir := folder(t, app)
	sockets, _ := filepath.Glob(filepath.Join(from, "data", "serve-*.sock")) // of processes that were killed
	for _, name := range sockets {
		_ = os.Remove(name)
	}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(from, "data"))); err != nil {
		t.Fatal(err)
	}
	return dir
}
