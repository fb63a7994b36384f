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
	}}, root.On(func(context.Context) (*sqlite.Engine, error) {
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

// An apply that is killed at any of its moments is finished by the next one, and nothing is lost or
// done twice.
func TestApplyKilled(t *testing.T) {
	t.Parallel()
	const rows = 1200
	kept := folder(t, beforeApply)
	s := serving(t, kept)
	for start := 0; start < rows; start += 400 {
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
	for n := 1; ; n++ {
		dir := copied(t, kept, afterApply)
		cmd := exec.Command(os.Args[0])
		cmd.Env = environ(applyHelper + "=" + dir + ":" + strconv.Itoa(n))
		out, err := cmd.CombinedOutput()
		if err == nil {
			if n < 8 {
				t.Fatalf("apply was over after %d moments: the test proves little", n)
			}
			return // all moments were tried
		}
		if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() {
			t.Fatalf("moment %d: %v\n%s", n, err, out)
		}
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			run(t, "apply", "--allow-loss", dir)
			if got := run(t, "plan", dir); !strings.Contains(got, "has the schema") {
				t.Fatalf("after the second apply there is still to do:\n%s", got)
			}
			s := serving(t, dir)
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
