package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	root "github.com/bluell/plinth"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/postgres"
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
	}}, root.On(func(ctx context.Context) (driver.Engine, error) {
		switch db := os.Getenv("PLINTH_DB"); {
		case strings.HasPrefix(db, "postgres:"):
			return postgres.Open(ctx, db, postgres.Options{})
		case strings.HasPrefix(db, "mysql:"):
			return mysql.Open(ctx, db, mysql.Options{})
		}
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

const rowsApplied = 1200

// An apply that is killed at any of its moments is finished by the next one, and nothing is lost or
// done twice.
func TestApplyKilled(t *testing.T) {
	t.Parallel()
	kept := folder(t, beforeApply)
	fillNotes(t, "", kept)
	for n := 1; applyKilledAt(t, "", copied(t, kept, afterApply), n); n++ {
	}
}

// The same on database servers, at every third of the moments unless PLINTH_TEST_KILLS asks for more.
func TestApplyKilledOnServers(t *testing.T) {
	every := 3
	if os.Getenv("PLINTH_TEST_KILLS") != "" {
		every = 1
	}
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n += every {
				db, dir := e.db(t), folder(t, beforeApply)
				fillNotes(t, db, dir)
				if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(afterApply), 0o644); err != nil {
					t.Fatal(err)
				}
				if !applyKilledAt(t, db, dir, n) {
					return
				}
			}
		})
	}
}

// fillNotes sets up an app as it is before the apply.
func fillNotes(t *testing.T, db, dir string) {
	t.Helper()
	runOn(t, db, "apply", dir)
	s := servingOn(t, db, dir)
	for start := 0; start < rowsApplied; start += 400 {
		var ops []string
		for i := start; i < start+400; i++ {
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

// applyKilledAt kills an apply at its n-th moment, applies again and looks at what is there. It is false when the
// apply was over before.
func applyKilledAt(t *testing.T, db, dir string, n int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = environ(applyHelper+"="+dir+":"+strconv.Itoa(n), "PLINTH_DB="+db)
	out, err := cmd.CombinedOutput()
	if err == nil {
		if n < 8 {
			t.Fatalf("apply was over after %d moments: the test proves little", n)
		}
		return false // all moments were tried
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() {
		t.Fatalf("moment %d: %v\n%s", n, err, out)
	}
	t.Run(strconv.Itoa(n), func(t *testing.T) {
		t.Parallel()
		runOn(t, db, "apply", "--allow-loss", dir)
		if got := runOn(t, db, "plan", dir); !strings.Contains(got, "has the schema") {
			t.Fatalf("after the second apply there is still to do:\n%s", got)
		}
		s := servingOn(t, db, dir)
		_, b, err := ask(described(t), "GET", s.url+`/api/memos?group=state&aggregate=count,sum(amount),min(amount),max(amount)`, "", "")
		want := fmt.Sprintf(`{"groups":[{"state":"open","count":%d,"sum(amount)":%d,"min(amount)":0,"max(amount)":%d}]}`, rowsApplied, rowsApplied*(rowsApplied-1)/2, rowsApplied-1)
		if err != nil || string(b) != want {
			t.Errorf("got %s %v, want %s", b, err, want)
		}
		_, b, _ = ask(described(t), "GET", s.url+`/api/memos?filter=heading%20==%20%22t7%22&fields=heading,amount`, "", "")
		if !strings.Contains(string(b), `"heading":"T7","amount":7`) {
			t.Errorf("the ci field does not find by its fold: %s", b)
		}
	})
	return true
}

// copied copies an app's folder and gives it another app file.
func copied(t *testing.T, from, app string) string {
	t.Helper()
	dir := folder(t, app)
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(from, "data"))); err != nil {
		t.Fatal(err)
	}
	return dir
}
