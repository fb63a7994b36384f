package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	raw "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	app "github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/internal/certs/acmetest"
	"github.com/bluell/plinth/internal/oidc/oidctest"
)

// diagnosis is what plinth doctor says: each point as one line, "verdict about text".
type diagnosis struct {
	t     testing.TB
	lines []string
}

// diagnose runs plinth doctor. It fails the test where its exit code is not what its points are.
func diagnose(t testing.TB, env []string, args ...string) *diagnosis {
	t.Helper()
	cmd := exec.Command(plinth, append([]string{"doctor", "--json"}, args...)...)
	cmd.Env = environ(env...)
	return diagnosedBy(t, cmd)
}

func diagnosedBy(t testing.TB, cmd *exec.Cmd) *diagnosis {
	t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var answer struct {
		OK     *bool
		Points []app.Point
	}
	if json.Unmarshal(out.Bytes(), &answer) != nil || answer.OK == nil || len(answer.Points) == 0 {
		t.Fatalf("%v: %s %s", err, out.Bytes(), said.Bytes())
	}
	d := &diagnosis{t: t}
	wrong := false
	for _, p := range answer.Points {
		wrong = wrong || p.Verdict == app.Wrong
		d.lines = append(d.lines, p.Verdict+" "+p.About+" "+p.Text)
	}
	if *answer.OK == wrong || (err != nil) != wrong {
		t.Errorf("ok is %t, and it ended with %v: %s", *answer.OK, err, d)
	}
	return d
}

func (d *diagnosis) String() string { return strings.Join(d.lines, "\n") }

// says fails unless each of these fits one of the points.
func (d *diagnosis) says(all ...string) *diagnosis {
	d.t.Helper()
	for _, one := range all {
		if !regexp.MustCompile("(?m)^" + one).MatchString(d.String()) {
			d.t.Errorf("%q is not said:\n%s", one, d)
		}
	}
	return d
}

// wrong fails unless these are all that is wrong.
func (d *diagnosis) wrong(all ...string) {
	d.t.Helper()
	n := 0
	for _, line := range d.lines {
		if strings.HasPrefix(line, app.Wrong) {
			n++
		}
	}
	if n != len(all) {
		d.t.Errorf("%d points are wrong, not %d:\n%s", n, len(all), d)
	}
	for _, one := range all {
		d.says("wrong " + one)
	}
}

const doctorApp = `
collections:
  notes: {fields: {text: {type: text, max: 1000}}, access: {read: true, create: true}}
`

// state is every file below a folder, with its content and mode.
func state(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := []byte{}
		if info.Mode().IsRegular() {
			text, err = os.ReadFile(path)
		}
		all[path] = info.Mode().String() + info.ModTime().String() + string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unchanged fails where something below a folder is not as it was. may names what may have come.
func unchanged(t testing.TB, dir string, before map[string]string, may string) {
	t.Helper()
	after := state(t, dir)
	for path, was := range before {
		if is, ok := after[path]; !ok || is != was && !strings.HasSuffix(path, "data") {
			t.Errorf("%s was changed", path)
		}
		delete(after, path)
	}
	for path := range after {
		if may == "" || !strings.HasSuffix(path, may) {
			t.Errorf("%s was made", path)
		}
	}
}

// written serves an app until it has some notes.
func written(t testing.TB, dir string, end func(*server) error) {
	t.Helper()
	s := serving(t, dir)
	for i := range 200 {
		if code, b, err := ask(client, "POST", s.url+"/api/notes", "", fmt.Sprintf(`{"text":"%d %s"}`, i, strings.Repeat("x", 500))); err != nil || code != 201 {
			t.Fatal(code, string(b), err)
		}
	}
	if err := end(s); err != nil {
		t.Fatal(err)
	}
}

// A database that is damaged is found, one that is whole is not, and neither is changed, not after a server was killed either.
func TestDoctorDamage(t *testing.T) {
	t.Parallel()
	dir := folder(t, doctorApp)
	written(t, dir, (*server).stop)
	before := state(t, dir)
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).says("good damage none was found", "good log 0 KB").wrong()
	unchanged(t, dir, before, "")

	killed := folder(t, doctorApp)
	written(t, killed, func(s *server) error { s.kill(); return nil })
	before = state(t, killed)
	if info, err := os.Stat(filepath.Join(killed, "data", "plinth.db-wal")); err != nil || info.Size() == 0 {
		t.Fatal("there is no log, so this shows nothing:", err)
	}
	for path := range before {
		if strings.HasSuffix(path, "-shm") {
			delete(before, path) // the index of the log: SQLite's
		}
	}
	diagnose(t, nil, "--listen", "127.0.0.1:0", killed).says("good damage none was found", "consider log .*one was killed").wrong()
	unchanged(t, killed, before, "-shm")

	name := filepath.Join(dir, "data", "plinth.db")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(text, []byte(strings.Repeat("x", 400)))
	for i := range 4096 { // the page with it
		text[at/4096*4096+i] = 0xA5
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).wrong("damage the database is damaged")
	if err := os.WriteFile(name, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).wrong("database .*cannot be opened: ")
}

// A folder that cannot be written, because of who asks or how it is mounted, is told, and a disk that is full.
func TestDoctorFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("LEFT OUT: it takes Linux's name spaces")
	}
	t.Parallel()
	mounted := func(options string) *diagnosis {
		dir, from := t.TempDir(), folder(t, doctorApp)
		script := `mount -t tmpfs -o size=16m tmpfs "$1" && cp "$2/plinth.yaml" "$1/" && mkdir -m 700 "$1/data" && ` + options + ` exec "$0" doctor --json --listen 127.0.0.1:0 "$1"`
		args := []string{"--mount", "sh", "-c", script, plinth, dir, from}
		if os.Getuid() != 0 {
			args = append([]string{"--map-root-user"}, args...)
		}
		cmd := exec.Command("unshare", args...)
		cmd.Env = environ()
		return diagnosedBy(t, cmd)
	}
	mounted(`mount -o remount,ro "$1" &&`).says("wrong folder .*read-only file system", "wrong disk .*mounted to be read alone", "consider disk .*tmpfs")
	mounted(``).wrong("disk .*writes are about to fail")

	if os.Getuid() != 0 {
		t.Skip("LEFT OUT: to ask as another user takes root")
	}
	dir := folder(t, doctorApp)
	open, err := os.MkdirTemp("", "plinth-doctor-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(open)
	for _, err := range []error{copyProgram(filepath.Join(open, "plinth")), os.Chmod(open, 0o755), os.Mkdir(filepath.Join(open, "data"), 0o755),
		os.Rename(filepath.Join(dir, "plinth.yaml"), filepath.Join(open, "plinth.yaml"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", filepath.Join(open, "plinth"), "doctor", "--json", "--listen", "127.0.0.1:0", open)
	cmd.Env = environ()
	diagnosedBy(t, cmd).wrong("folder .*cannot be written by this user", "folder data/ can be read by other users")
}

// An address that another program has is told; one that a server of this app has is not.
func TestDoctorAddress(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	operator := freeAddress(t)
	dir := folder(t, doctorApp+"server: {operator: {listen: \""+operator+"\"}}\n")
	diagnose(t, nil, "--listen", taken.Addr().String(), dir).says("good address " + operator + " is free").wrong("address app: cannot listen on " + taken.Addr().String() + ": another program listens there")
	serving(t, dir)
	diagnose(t, nil, "--listen", taken.Addr().String(), dir).says("good server .*reads and writes", "good server .*"+operator).wrong()

	other := folder(t, doctorApp+"server: {operator: {listen: \""+operator+"\"}}\n")
	diagnose(t, nil, "--listen", "127.0.0.1:0", other).wrong("address operator: cannot listen on " + operator)
}

// The database of a server is looked at, nothing is made in one that is empty, and one that does not answer is told.
func TestDoctorServer(t *testing.T) {
	for name, open := range map[string]func(testing.TB) (db string, end func()){
		"postgres": func(t testing.TB) (string, func()) {
			s := pgtest.Start(t, "fsync=on", "full_page_writes=on")
			return postgresURL(s.Database(t)), func() {}
		},
		"mysql": func(t testing.TB) (string, func()) {
			s := mysqltest.Start(t)
			db := s.Database(t)
			t.Cleanup(func() { s.Run(t) }) // what ends the test asks it
			return db, s.Kill
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, end := open(t)
			dir := folder(t, doctorApp)
			env := []string{"PLINTH_DB=" + db}
			for range 2 { // the first has made nothing
				diagnose(t, env, "--listen", "127.0.0.1:0", dir).says("consider database there is nothing of Plinth's in the database yet").wrong()
			}
			s := servingOn(t, db, dir)
			diagnose(t, env, dir).says("good server .*reads and writes", "good database (PostgreSQL|.*MariaDB|MySQL) ?[0-9]*", "good clocks .*ms apart|good clocks .*s apart", "good durability", "good schema", "good jobs", "consider backup").wrong()
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			end()
			if name == "mysql" {
				diagnose(t, env, "--listen", "127.0.0.1:0", dir).wrong("database .*does not answer")
			}
			diagnose(t, []string{"PLINTH_DB=" + name + "://a:s3cret@127.0.0.1:1/none"}, "--listen", "127.0.0.1:0", dir).wrong("database .*127.0.0.1:1")
		})
	}
}

// ownCertificateFor writes a certificate for some names, which is good for a time from now, and a key that may be another's; nil: its own.
func ownCertificateFor(t testing.TB, dir string, key, written *ecdsa.PrivateKey, from, to time.Duration, names ...string) {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if written == nil {
		written = key
	}
	secret, err := x509.MarshalPKCS8PrivateKey(written)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A certificate that browsers would not take is told: by doctor, by check, by check --production and by serve --dev.
func TestDoctorCertificate(t *testing.T) {
	t.Parallel()
	key, other := newECDSA(t), newECDSA(t)
	const yaml = "server: {url: \"https://app.example.com\", https: \"127.0.0.1:0\", http: \"127.0.0.1:0\", tls: {cert: cert.pem, key: key.pem}}\n" + doctorApp
	hour := time.Hour
	for _, c := range []struct {
		name string
		make func(dir string)
		says string // "": nothing is wrong
	}{
		{"good", func(dir string) { ownCertificateFor(t, dir, key, key, -hour, 90*24*hour, "app.example.com") }, ""},
		{"ends soon", func(dir string) { ownCertificateFor(t, dir, key, key, -hour, 73*hour, "app.example.com") }, ""},
		{"ended", func(dir string) { ownCertificateFor(t, dir, key, key, -2*hour, -hour, "app.example.com") }, "plinth.yaml:1:97: the certificate has ended"},
		{"not yet", func(dir string) { ownCertificateFor(t, dir, key, key, hour, 2*hour, "app.example.com") }, "plinth.yaml:1:97: the certificate is not valid before"},
		{"another's name", func(dir string) { ownCertificateFor(t, dir, key, key, -hour, hour, "www.example.com") }, "plinth.yaml:1:97: the certificate is not for app.example.com"},
		{"another's key", func(dir string) { ownCertificateFor(t, dir, key, other, -hour, hour, "app.example.com") }, "plinth.yaml:1:112: this is no certificate with its key: private key does not match"},
		{"nothing", func(string) {}, `plinth.yaml:1:97: the file, "cert.pem", cannot be read: no such file or directory`},
		{"a folder", func(dir string) {
			if err := os.Mkdir(filepath.Join(dir, "cert.pem"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, `plinth.yaml:1:97: the file, "cert.pem", cannot be read: is a directory`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, yaml)
			c.make(dir)
			check := exec.Command(plinth, "check", dir)
			check.Env = environ()
			out, err := check.CombinedOutput()
			if err != nil || strings.Contains(string(out), c.says) != (c.says != "") && c.says != "" || c.says == "" && strings.Contains(string(out), "certificate") {
				t.Errorf("check: %v %s", err, out)
			}
			production, _ := exec.Command(plinth, "check", "--production", dir).CombinedOutput()
			s, err := start(environ(), nil, "--dev", dir)
			if err != nil {
				t.Fatal(err)
			}
			s.kill()
			said := s.stderr.text() // all of it
			d := diagnose(t, nil, dir)
			if c.says == "" {
				d.says("(good|consider) certificate cert.pem is good until ").wrong()
				if strings.Contains(said, "cert") || !strings.Contains(string(production), "the certificate in cert.pem is served, until") {
					t.Errorf("%s\n%s", said, production)
				}
				if verdict := "consider  https"; (c.name == "good") == strings.Contains(string(production), verdict) {
					t.Errorf("%s", production)
				}
				if (c.name == "good") != strings.Contains(d.String(), "good certificate") {
					t.Errorf("%s", d)
				}
				return
			}
			d.wrong("certificate " + regexp.QuoteMeta(c.says))
			if !strings.Contains(said, c.says) || !strings.Contains(said, "with --dev alone") || !strings.Contains(string(production), c.says) {
				t.Errorf("%s\n%s", said, production)
			}
		})
	}
}

// With --net others are asked, and without it nobody is.
func TestDoctorNet(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	smtp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer smtp.Close()
	go func() { // as much of SMTP as comes before a mail
		for {
			c, err := smtp.Accept()
			if err != nil {
				return
			}
			asked <- "smtp"
			_, _ = io.WriteString(c, "220 mail.example.com\r\n")
			b := make([]byte, 200)
			for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
				if strings.HasPrefix(string(b[:n]), "QUIT") {
					_, _ = io.WriteString(c, "221 bye\r\n")
					break
				}
				_, _ = io.WriteString(c, "250 mail.example.com\r\n")
			}
			_ = c.Close()
		}
	}()
	issuer := oidctest.Start(t, time.Now)
	yaml := func(smtp, issuer string) string {
		return doctorApp + `
server: {url: "http://localhost:1"}
auth: {register: closed, providers: {company: {kind: oidc, issuer: "` + issuer + `", clientId: a, clientSecret: b}}}
mail: {from: "A <a@example.com>", smtp: "smtp://` + smtp + `"}
`
	}
	dir := folder(t, yaml(smtp.Addr().String(), issuer.URL))
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).wrong()
	if len(asked) > 0 || issuer.Count("/.well-known/openid-configuration") > 0 {
		t.Error("somebody was asked without --net")
	}
	diagnose(t, nil, "--net", "--listen", "127.0.0.1:0", dir).says("good provider company is "+regexp.QuoteMeta(issuer.URL)+", and answers", "good mail ", "good name localhost leads here").wrong()
	if len(asked) != 1 || issuer.Count("/.well-known/openid-configuration") == 0 {
		t.Error("nobody was asked with --net")
	}
	nobody := freeAddress(t)
	diagnose(t, nil, "--net", "--listen", "127.0.0.1:0", folder(t, yaml(nobody, "http://"+nobody))).
		wrong("mail "+nobody+" cannot be reached", "provider company: ")
}

// Certificates by ACME are those in the database, whether a server runs or not, and the issuer is asked with --net.
func TestDoctorDomains(t *testing.T) {
	t.Parallel()
	s := &site{http: acmetest.Port(t), https: acmetest.Port(t)}
	issuer := acmetest.Start(t, acmetest.Options{HTTP: s.http, TLS: s.https})
	dir := folder(t, fmt.Sprintf(httpsApp, fmt.Sprintf("domains: [app.example.com]\n  acme: {issuer: %q, roots: %q}", issuer.Directory, issuer.Roots)))
	env := []string{fmt.Sprint("HTTP_PORT=", s.http), fmt.Sprint("HTTPS_PORT=", s.https)}
	diagnose(t, env, dir).says(fmt.Sprintf("good address 127.0.0.1:%d is free for https", s.https), fmt.Sprintf("good address 127.0.0.1:%d is free for http$", s.http)).wrong()
	s.start(t, "", dir)
	_ = s.await(t, s.client(t, issuer.Root(), false), "https://app.example.com/api/notes").Body.Close()
	diagnose(t, env, dir).says("good certificate app.example.com is good until", fmt.Sprintf("good server .*https://127.0.0.1:%d, reads and writes", s.https), fmt.Sprintf("good server .*http://127.0.0.1:%d, leads to https", s.http)).wrong()
	diagnose(t, env, "--net", dir).says("good issuer .* answers")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	before := state(t, dir)
	diagnose(t, env, dir).says("good certificate app.example.com is good until").wrong()
	unchanged(t, dir, before, "")
	issuer.Down()
	diagnose(t, env, "--net", dir).says("wrong issuer .*cannot be reached")
}

// alter changes an app's database behind its back.
func alter(t testing.TB, dir, statement string) {
	t.Helper()
	c, err := raw.OpenConn(filepath.Join(dir, "data", "plinth.db"), raw.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	err = sqlitex.ExecuteTransient(c, statement, nil)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
}

// Jobs that were given up, and that nobody works on, are told, and so is who does not follow the log of changes any more.
func TestDoctorJobs(t *testing.T) {
	t.Parallel()
	dir := folder(t, doctorApp)
	opts := []app.Option{app.WithKey([]byte(testKey)), app.OnFile("", func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) }),
		app.Job("hopeless", func(context.Context, *app.Work) error { return app.Permanent(errors.New("it cannot be done")) }),
		app.Consume(data.Consumer{Name: "reader", Oldest: true, Do: func(context.Context, []*data.Change) error { return nil }})}
	p, err := app.Open(t.Context(), dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	enqueue := func(kind string) {
		t.Helper()
		if _, err := p.DB().Enqueue(t.Context(), data.NewJob{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	enqueue("hopeless")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.RunJobs(ctx) }()
	soon(t, 30*time.Second, "the job was not given up", func() bool {
		states, _, err := p.DB().Queued(t.Context())
		all, err2 := p.DB().Consumers(t.Context())
		return err == nil && err2 == nil && states[data.Dead] == 1 && len(all) == 1 && all[0].At != data.Position{}
	})
	stop()
	if err := errors.Join(<-done); err != nil {
		t.Fatal(err)
	}
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).says("consider jobs 1 failed for the last time: plinth jobs list --state dead", "good changes reader is 0 changes behind").wrong()
	enqueue("unknown")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, `UPDATE "_jobs" SET "due" = "due" - 3600000 WHERE "kind" = 'unknown'`)
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).says("consider jobs .*due for 1h.*no server runs here").wrong()
	s := serving(t, dir)
	for range 3 {
		if code, b, err := ask(client, "POST", s.url+"/api/notes", "", `{"text":"changed"}`); err != nil || code != 201 {
			t.Fatal(code, string(b), err)
		}
	}
	diagnose(t, nil, dir).says("consider changes reader is 3 changes behind, and does not run").wrong("jobs .*due for 1h.*does it know that kind")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, `DELETE FROM "_changes" WHERE "id" < (SELECT max("id") FROM "_changes")`)
	diagnose(t, nil, "--listen", "127.0.0.1:0", dir).wrong("changes reader has lost changes")
}
