package test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var codeBlock = regexp.MustCompile("(?s)\n```(\\w+)\n(.*?)\n```")

// blocks are the pieces of code of one language on a page of the user's guide.
func blocks(t *testing.T, page, language string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range codeBlock.FindAllSubmatch(b, -1) {
		if string(m[1]) == language {
			all = append(all, string(m[2]))
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no %s", page, language)
	}
	return all
}

// The user's guide of live updates is followed, command by command: each answers what is printed there.
func TestLiveGuide(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is not there")
			return
		}
	}
	dir := folder(t, blocks(t, "live.md", "yaml")[0])
	s := serving(t, dir)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(run(t, "key", "add", dir, "--role", "staff", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "A="+s.url+"/api", "J=Content-Type: application/json", "AUTH=Authorization: Bearer "+made.Key)
	for _, block := range blocks(t, "live.md", "console") {
		var streams []*console
		for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want, _ := strings.Cut(part, "\n")
			c := &console{t: t, command: command, want: want, cmd: exec.Command("bash", "-c", "exec "+command)}
			c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = env, c, c
			if err := c.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(command, "curl -sN ") {
				t.Cleanup(func() { c.cmd.Process.Kill(); c.cmd.Wait() })
				streams = append(streams, c)
				c.until(func() bool { return strings.Contains(c.text(), "event: ready") })
				continue
			}
			if err := c.cmd.Wait(); err != nil {
				t.Fatalf("%s: %v %s", command, err, c.text())
			}
			c.compare()
		}
		for _, c := range streams {
			c.until(func() bool { return len(plainLines(c.text())) >= len(plainLines(c.want)) })
			c.compare()
		}
	}
}

// console is a command of the guide and what it prints.
type console struct {
	t             *testing.T
	command, want string
	cmd           *exec.Cmd

	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(b)
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

func (c *console) until(done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s\nprints\n%s\nwant\n%s", c.command, c.text(), c.want)
		}
	}
}

// plainLines are the lines that matter: no comments, and not how long a browser waits.
func plainLines(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line != ":" && !strings.HasPrefix(line, "retry: ") {
			all = append(all, line)
		}
	}
	return all
}

func (c *console) compare() {
	c.t.Helper()
	got, want := plainLines(c.text()), plainLines(c.want)
	for i, line := range want {
		fits := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "$")
		if i >= len(got) || !fits.MatchString(got[i]) {
			c.t.Fatalf("%s\nprints\n%s\nwant line %d\n%s", c.command, strings.Join(got, "\n"), i+1, line)
		}
	}
	if len(got) > len(want) {
		c.t.Fatalf("%s\nprints more than the guide:\n%s", c.command, strings.Join(got[len(want):], "\n"))
	}
}

// The guide's scripts run in a browser, which tells what they show by way of a collection.
func TestLiveGuideInBrowser(t *testing.T) {
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	if os.Getenv("PLINTH_TEST_BROWSER") != "1" {
		t.Skip("LEFT OUT: .ci/browser runs it")
	}
	app := blocks(t, "live.md", "yaml")[0]
	app = strings.Replace(app, "channels:", `  shown:
    fields: {kind: {type: text}, what: {type: text}}
    access: {read: true, create: true}
channels:`, 1)
	dir := folder(t, app)
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := `function show(kind, what) {
  fetch("/api/shown", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({kind, what: String(what)})});
}
onerror = (e) => show("error", e);
` + strings.Join(blocks(t, "live.md", "js"), "\n")
	for name, text := range map[string]string{"index.html": `<!doctype html><meta charset="utf-8"><title>live</title><script src="guide.js"></script>`, "guide.js": script} {
		if err := os.WriteFile(filepath.Join(dir, "public", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := serving(t, dir)
	if status, b, err := ask(client, "POST", s.url+"/api/tickets", "", `{"title":"No coffee"}`); status != 201 {
		t.Fatalf("%d %s %v", status, b, err)
	}
	browser := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", s.url+"/")
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { browser.Process.Kill(); browser.Wait() }()
	wanted := []string{"snapshot No coffee", "ready 1", "presence Ada", "message hello", "create No tea"}
	made := false
	var seen []string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_, b, err := ask(client, "GET", s.url+"/api/shown?fields=kind,what", "", "")
		var list struct{ Items []struct{ Kind, What string } }
		if err != nil || json.Unmarshal(b, &list) != nil {
			t.Fatalf("%s %v", b, err)
		}
		seen = nil
		missing := len(wanted)
		for _, i := range list.Items {
			seen = append(seen, i.Kind+" "+i.What)
		}
		for _, w := range wanted {
			for _, s := range seen {
				if s == w {
					missing--
					break
				}
			}
		}
		if missing == 0 {
			return
		}
		if missing == 1 && !made {
			made = true
			if status, b, err := ask(client, "POST", s.url+"/api/tickets", "", `{"title":"No tea"}`); status != 201 {
				t.Fatalf("%d %s %v", status, b, err)
			}
		}
	}
	t.Fatalf("the browser has shown %q, want %q", seen, wanted)
}
