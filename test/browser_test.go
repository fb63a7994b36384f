package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// The browser does on every database server what it does on SQLite: .ci/browser installs what it needs and
// asks for it.
func TestAgencyInBrowser(t *testing.T) {
	if os.Getenv("PLINTH_TEST_BROWSER") != "1" {
		t.Skip("LEFT OUT: .ci/browser runs it")
	}
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			db, dir := e.db(t), t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("../examples/agency")); err != nil {
				t.Fatal(err)
			}
			s := servingOn(t, db, "--dev", dir)
			var made struct{ Key string }
			if err := json.Unmarshal([]byte(runOn(t, db, "key", "add", dir, "--role", "staff", "--json")), &made); err != nil {
				t.Fatal(err)
			}
			inBrowser(t, "agency.mjs", "PLINTH_URL="+s.url, "PLINTH_STAFF_KEY="+made.Key)
			for _, script := range []string{"live.mjs", "resume.mjs"} { // they kill their servers
				inBrowser(t, script, environ("PLINTH="+plinth, "PLINTH_DB="+e.db(t))...)
			}
		})
	}
}

func inBrowser(t *testing.T, script string, env ...string) {
	t.Helper()
	cmd := exec.Command("node", script)
	cmd.Dir = "browser"
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
