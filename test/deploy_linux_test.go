package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is what a Containerfile makes, as far as it is made of one file from outside.
type image struct {
	root    string
	user    string
	command []string // ENTRYPOINT and CMD
	volumes []string
}

// built follows a Containerfile, step by step, into a folder. A step that it does not know fails the test.
func built(t testing.TB, file, binary string) *image {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := &image{root: t.TempDir()}
	var entry, args []string
	for line := range strings.Lines(string(text)) {
		step, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		words := strings.Fields(strings.ReplaceAll(rest, "${BINARY}", binary))
		switch {
		case step == "" || step == "#":
		case step == "FROM" && rest == "scratch", step == "ARG" && rest == "BINARY", step == "EXPOSE" && rest == "8080":
		case step == "COPY" && len(words) == 3 && words[0] == "--chmod=0555":
			b, err := os.ReadFile(words[1])
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(i.root, words[2])
			if err := os.WriteFile(to, b, 0o555); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(to, 0o555); err != nil {
				t.Fatal(err)
			}
		case step == "USER" && len(words) == 1:
			i.user = words[0]
		case step == "VOLUME" && len(words) == 1:
			i.volumes = append(i.volumes, words[0])
		case step == "ENTRYPOINT" && json.Unmarshal([]byte(rest), &entry) == nil, step == "CMD" && json.Unmarshal([]byte(rest), &args) == nil:
		default:
			t.Fatalf("%s: there is no step like %q", file, line)
		}
	}
	i.command = append(entry, args...)
	return i
}

const deployedApp = `
collections:
  notes:
    fields: {text: {type: text, max: 100}, photo: {type: file}}
    access: {read: true, create: true}
`

// run runs a command in an image as a container would: its root cannot be written, its user has no rights, and there is nothing but the app and its volume.
func (i *image) run(t testing.TB, app, volume string, env []string, command ...string) *exec.Cmd {
	t.Helper()
	// The image is put over itself to be read alone, and what is mounted into it beside that.
	script := `set -e
root=$1; mount --bind "$root" "$root"; mount --bind "$2" "$root/app"; mount --bind "$3" "$root/app/data"
mount -o remount,bind,ro "$root"; mount -o remount,bind,ro "$root/app"
user=$4; shift 4
exec chroot --userspec="$user" "$root" "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", i.root, app, volume, i.user}, command...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "PLINTH_KEY=" + testKey}, env...)
	cmd.Dir = "/"
	return cmd
}

// The image of deploy/Containerfile, and the containers of deploy/kubernetes.yaml in it: a root that cannot be written, no rights. The app is set up, served,
// takes an upload, is asked by the probes, and ends when it is told to. (No builder of images is used: the steps are few enough to follow.)
func TestContainer(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("LEFT OUT: it takes root to make a container by hand")
	}
	static := filepath.Join(t.TempDir(), "plinth-linux-amd64")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", static, "github.com/bluell/plinth/cmd/plinth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	i := built(t, "../deploy/Containerfile", static)
	kube, err := os.ReadFile("../deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for _, args := range regexp.MustCompile(`(?m)^ +args: \[(.*)\]$`).FindAllStringSubmatch(string(kube), -1) {
		var words []string
		for word := range strings.SplitSeq(args[1], ", ") {
			words = append(words, strings.Trim(word, `"`))
		}
		commands = append(commands, append([]string{i.command[0]}, words...))
	}
	if len(commands) != 2 || commands[0][1] != "apply" || commands[1][1] != "serve" || !slices.Equal(i.volumes, []string{"/app/data"}) {
		t.Fatalf("%q %q", commands, i.volumes)
	}
	for name, c := range map[string]struct {
		before, serve []string
	}{"Containerfile": {nil, i.command}, "kubernetes.yaml": {commands[0], commands[1]}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, volume := folder(t, deployedApp), t.TempDir()
			image := &image{root: t.TempDir(), user: i.user}
			for _, err := range []error{os.Mkdir(filepath.Join(image.root, "app"), 0o755), os.Mkdir(filepath.Join(app, "data"), 0o755), os.Chmod(app, 0o755),
				os.Link(filepath.Join(i.root, "plinth"), filepath.Join(image.root, "plinth")), os.Chown(volume, 65532, 65532), os.Chmod(image.root, 0o755), os.Chmod(filepath.Join(app, "plinth.yaml"), 0o644)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if c.before != nil {
				if out, err := image.run(t, app, volume, nil, c.before...).CombinedOutput(); err != nil {
					t.Fatalf("%q: %v %s", c.before, err, out)
				}
			}
			serve := slices.Clone(c.serve)
			at := slices.Index(serve, "0.0.0.0:8080")
			if at < 0 {
				t.Fatalf("%q", serve)
			}
			serve[at] = "127.0.0.1:0" // tests run side by side
			s := &server{cmd: image.run(t, app, volume, []string{"GOMEMLIMIT=450MiB"}, serve...), stdout: newLines(), stderr: newLines()}
			s.cmd.Stdout, s.cmd.Stderr, s.cmd.WaitDelay = s.stdout, s.stderr, 10*time.Second
			if err := launch(s.cmd); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.kill)
			line, _ := s.stdout.first(20 * time.Second)
			url, says := strings.CutPrefix(line, "plinth: listening on ")
			if !says {
				t.Fatalf("it does not serve: %q %s", line, s.stderr.text())
			}
			for _, path := range []string{"/readyz", "/healthz", "/api/notes"} { // the first two are those of the probes
				if code, b, err := ask(client, "GET", url+path, "", ""); err != nil || code != http.StatusOK {
					t.Errorf("%s: %d %s %v", path, code, b, err)
				}
			}
			upload := func(bytesOf int) int {
				var form bytes.Buffer
				w := multipart.NewWriter(&form)
				_ = w.WriteField("record", `{"text":"with a photo"}`)
				part, _ := w.CreateFormFile("photo", "a.txt")
				_, _ = part.Write(bytes.Repeat([]byte("photo "), bytesOf/6))
				_ = w.Close()
				res, err := client.Post(url+"/api/notes", w.FormDataContentType(), &form)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				return res.StatusCode
			}
			if code := upload(3 << 20); code != http.StatusCreated {
				t.Errorf("an upload: %d %s", code, s.stderr.text())
			}
			if found, _ := filepath.Glob(filepath.Join(volume, "files", "*", "*")); len(found) == 0 {
				if all, _ := filepath.Glob(filepath.Join(volume, "files", "*")); len(all) == 0 {
					t.Error("the upload is not in the volume")
				}
			}
			if err := s.stop(); err != nil {
				t.Errorf("it ended with %v: %s", err, s.stderr.text())
			}
			info, err := os.Stat(filepath.Join(volume, "plinth.db"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the database: %v %v", info, err)
			}
		})
	}
}

// systemd takes the units, and finds them as confined as docs/operations.md says.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := needs(t, "systemd-analyze")
	dir := t.TempDir()
	for _, name := range []string{"plinth.service", "plinth.socket"} {
		text, err := os.ReadFile("../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), strings.ReplaceAll(string(text), "/usr/local/bin/plinth", plinth)) // it must be there
	}
	out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, "plinth.service"), filepath.Join(dir, "plinth.socket")).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze verify: %v %s", err, out)
	}
	docs, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	says := regexp.MustCompile("`systemd-analyze security` says ([0-9.]+)").FindSubmatch(docs)
	if says == nil {
		t.Fatal("docs/operations.md does not say how confined it is")
	}
	out, err = exec.Command(analyze, "security", "--offline=true", filepath.Join(dir, "plinth.service")).CombinedOutput()
	if !strings.Contains(string(out), fmt.Sprintf("Overall exposure level for plinth.service: %s ", says[1])) {
		t.Errorf("it is not %s: %v %s", says[1], err, out)
	}
}

// What the unit lets the program ask of the kernel is all that it asks: where systemd kills what asks for more, a server must not find out under load. It is
// served, replaced, backed up and ended under strace, and each system call is looked for in systemd's own sets.
func TestUnitsSystemCalls(t *testing.T) {
	t.Parallel()
	analyze, strace := needs(t, "systemd-analyze"), needs(t, "strace")
	if os.Getuid() != 0 {
		t.Skip("LEFT OUT: it takes root to run a program as another user") // SQLite does more for root
	}
	unit, err := os.ReadFile("../deploy/plinth.service")
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string][]string{}
	var expand func(set string) []string
	expand = func(set string) (all []string) {
		if known, ok := sets[set]; ok {
			return known
		}
		out, err := exec.Command(analyze, "--no-pager", "syscall-filter", set).Output()
		if err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		_, list, _ := strings.Cut(string(out), "\n")
		for word := range strings.FieldsSeq(regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(list, "")) {
			if strings.HasPrefix(word, "@") {
				all = append(all, expand(word)...)
			} else {
				all = append(all, word)
			}
		}
		sets[set] = all
		return all
	}
	allowed := map[string]bool{}
	for _, name := range expand("@default") {
		allowed[name] = true
	}
	for _, filter := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for set := range strings.FieldsSeq(filter[2]) {
			for _, name := range expand(set) {
				allowed[name] = filter[1] == ""
			}
		}
	}
	if !allowed["read"] || !allowed["listen"] || allowed["setuid"] {
		t.Fatal("the sets are not read as they are meant")
	}

	home, err := os.MkdirTemp("", "plinth-unit-") // which nobody can enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	app := filepath.Join(home, "app")
	for _, err := range []error{os.Chmod(home, 0o755), os.Mkdir(app, 0o755), copyProgram(filepath.Join(home, "plinth")),
		os.WriteFile(filepath.Join(app, "plinth.yaml"), []byte(deployedApp), 0o644), os.Chmod(filepath.Join(home, "plinth"), 0o755), os.Chown(app, nobody, nobody)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	trace := filepath.Join(home, "trace")
	s := &server{cmd: exec.Command(strace, "-f", "-qq", "-u", "nobody", "-o", trace, filepath.Join(home, "plinth"), "serve", "--listen", "127.0.0.1:0", app), stdout: newLines(), stderr: newLines()}
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr, s.cmd.WaitDelay = environ(), s.stdout, s.stderr, 10*time.Second
	if err := launch(s.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	line, _ := s.stdout.first(60 * time.Second)
	url, says := strings.CutPrefix(line, "plinth: listening on ")
	if !says {
		t.Fatalf("it does not serve: %q %s", line, s.stderr.text())
	}
	work := func() {
		for range 50 {
			if code, b, err := ask(client, "POST", url+"/api/notes", "", `{"text":"x"}`); err != nil || code != http.StatusCreated {
				t.Fatal(code, string(b), err)
			}
			if code, b, err := ask(client, "GET", url+"/api/notes?limit=100", "", ""); err != nil || code != http.StatusOK {
				t.Fatal(code, string(b), err)
			}
		}
	}
	work()
	run(t, "reload", app)
	work()
	sockets, err := filepath.Glob(filepath.Join(app, "data", "serve-*.sock"))
	if err != nil || len(sockets) != 1 {
		t.Fatal(sockets, err)
	}
	var pid int
	if _, err := fmt.Sscanf(filepath.Base(sockets[0]), "serve-%d.sock", &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil { // the one that has taken over
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, s.stderr.text())
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, call := range regexp.MustCompile(`(?m)^[0-9]+ +(?:<\.\.\. )?([a-z0-9_]+)[( ]`).FindAllStringSubmatch(string(text), -1) {
		if !asked[call[1]] && !allowed[call[1]] {
			t.Errorf("%s is asked for, and the unit does not allow it", call[1])
		}
		asked[call[1]] = true
	}
	if !asked["execve"] || !asked["fdatasync"] && !asked["fsync"] || len(asked) < 40 {
		t.Errorf("too little was seen: %v", asked)
	}
}

// Kubernetes' own types take the objects, strictly, and what they name is there.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "kube")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "kube"
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("PLINTH_TEST_ALL") == "1" {
			t.Fatalf("%v %s", err, out)
		}
		t.Skipf("LEFT OUT, for want of the types of test/kube: %v %s", err, out)
	}
	text, err := os.ReadFile("../deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := func(from, to string) (string, error) {
		cmd := exec.Command(program)
		changed := strings.Replace(string(text), from, to, 1)
		if changed == string(text) && from != "" {
			t.Errorf("there is no %q any more", from)
		}
		cmd.Stdin = strings.NewReader(changed)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := read("", ""); err != nil {
		t.Errorf("%v %s", err, out)
	}
	for _, c := range [][3]string{ // what is broken is found
		{"periodSeconds: 1,", "periodSecond: 1,", "unknown field"}, {"claimName: app", "claimName: other", "there is no claim other"}, {"apps/v1\nkind: Deployment", "apps/v1beta1\nkind: Deployment", "there is no Deployment in"},
		{"path: /readyz, port: http}", "path: /readyz, port: https}", "probe of app asks nobody"}, {"targetPort: http", "targetPort: web", "which there is not"}, {"memory: 128Mi", "memory: 1Gi", "more memory than it may have"},
		{"cpu: 250m, ", "", "asks for none"}, {"maxSurge: 1", "maxSurge: [1]", "Deployment:"},
	} {
		if out, err := read(c[0], c[1]); err == nil || !strings.Contains(out, c[2]) {
			t.Errorf("%s for %s: %v %s", c[1], c[0], err, out)
		}
	}
}
