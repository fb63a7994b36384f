package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
			copyExample(t, dir, "agency")
			s := servingOn(t, db, "--dev", dir)
			inBrowser(t, "agency.mjs", "PLINTH_URL="+s.url)
			for _, script := range []string{"live.mjs", "resume.mjs"} { // they kill their servers
				inBrowser(t, script, environ("PLINTH="+plinth, "PLINTH_DB="+e.db(t))...)
			}
		})
	}
}

// Passkeys are made and shown in Chromium, at localhost, where it takes them without https.
func TestPasskeysInBrowser(t *testing.T) {
	if os.Getenv("PLINTH_TEST_BROWSER") != "1" {
		t.Skip("LEFT OUT: .ci/browser runs it")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(at)
	url := "http://localhost:" + port
	dir := folder(t, "name: Agency\nauth: {register: open, verify: optional}\nserver: {url: '"+url+"'}\n")
	if err := os.MkdirAll(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "public", "index.html"), []byte("<!doctype html><html lang=en><title>Agency</title><p>Sign in."), 0o644); err != nil {
		t.Fatal(err)
	}
	serving(t, "--dev", "--listen", at, dir)
	inBrowser(t, "passkeys.mjs", "PLINTH_URL="+url)
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
