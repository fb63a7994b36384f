package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/certs/acmetest"
	"github.com/bluell/plinth/internal/telemetry"
)

// What is seen of a server is seen by those for whom it is made: Prometheus itself scrapes it, loads the alert rules and answers the queries
// of the dashboard; the receiver of the OpenTelemetry Collector takes its traces.

const sightApp = `name: sight
auth: {register: open, verify: optional, roles: [member]}
mail: {from: "Sight <sight@example.com>"}
server: {operator: {listen: "OPERATOR"}, limits: {streams: 100}}
collections:
  posts:
    fields:
      title: {type: text, required: true, max: 200}
      slug: {type: text, max: 200, unique: true}
      views: {type: int, default: 0}
      photo: {type: file}
    access: {read: true, create: 'title != "never"', update: auth.signedIn, delete: auth.signedIn}
`

// freeAddress is one that nobody listens on at the moment.
func freeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprint("127.0.0.1:", acmetest.Port(t))
}

// sighted starts a server with a listener for operators, and tells where that is.
func sighted(t testing.TB, env []string, args ...string) (s *server, operator string) {
	t.Helper()
	operator = freeAddress(t)
	dir := folder(t, strings.Replace(sightApp, "OPERATOR", operator, 1))
	s, err := start(environ(env...), nil, append(args, dir)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop() })
	return s, "http://" + operator
}

// needs leaves a test out where a program is missing, or fails it where all must be there.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err != nil && os.Getenv("PLINTH_TEST_ALL") == "1":
		t.Fatalf("%s: %v", program, err)
	case err != nil:
		t.Skipf("LEFT OUT, for want of %s: %v", program, err)
	}
	return path
}

// soon asks again until it is so.
func soon(t testing.TB, wait time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.After(wait)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-end:
			t.Fatalf("after %s: %s", wait, what)
		case <-tick.C:
		}
	}
}

func bodyOf(t testing.TB, address string) string {
	t.Helper()
	code, b, err := ask(client, "GET", address, "", "")
	if err != nil || code != http.StatusOK {
		t.Fatalf("%s: %d %s %v", address, code, b, err)
	}
	return string(b)
}

// Nothing that is an operator's is answered where everybody asks, and nothing of the app where operators do.
func TestOperatorsListener(t *testing.T) {
	t.Parallel()
	s, operator := sighted(t, nil, "--dev")
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace", "/debug/vars"} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			if code, b, err := ask(client, method, s.url+path, "", ""); err != nil || code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s in public: %d %.100s %v", method, path, code, b, err)
			}
		}
	}
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=2": 200,
		"/debug/pprof/cmdline": 404, "/api/posts": 404, "/": 404, "/auth/": 404} {
		if code, b, err := ask(client, "GET", operator+path, "", ""); err != nil || code != want {
			t.Errorf("%s for operators: %d %.100s %v", path, code, b, err)
		}
	}
	r, _ := http.NewRequest("GET", operator+"/metrics", nil)
	r.Host = "rebound.example.com"
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("under a name of somebody else's: %v %v", resp, err)
	}
	resp.Body.Close()
	for dest, want := range map[string]int{"image": http.StatusForbidden, "document": http.StatusOK} {
		r, _ := http.NewRequest("GET", operator+"/debug/pprof/heap?gc=1", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Dest", dest)
		if resp, err = client.Do(r); err != nil || resp.StatusCode != want {
			t.Errorf("for a page of another site, %s: %v %v", dest, resp, err)
		}
		resp.Body.Close()
	}
	if said := s.stderr.text(); !strings.Contains(said, operator+"/metrics") {
		t.Errorf("it does not say where: %s", said)
	}
	code, _, err := ask(client, "GET", s.url+"/api/posts", "", "")
	if err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	resp, err = client.Get(s.url + "/api/posts")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if timing := resp.Header.Get("Server-Timing"); !strings.HasPrefix(timing, "total;dur=") || !strings.Contains(timing, "db;dur=") {
		t.Errorf("Server-Timing: %q", timing)
	}
	plain, _ := sighted(t, nil)
	if resp, err = client.Get(plain.url + "/api/posts"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Server-Timing") != "" {
		t.Error("without --dev times are told to everybody")
	}
	taken := freeAddress(t)
	l, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refusedOn(t, "", "cannot listen on "+taken, "serve", "--listen", "127.0.0.1:0", folder(t, strings.Replace(sightApp, "OPERATOR", taken, 1)))
}

// A variable of OpenTelemetry's that is wrong keeps the server from starting, by its name and without what stands in it.
func TestTracesRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t, "name: x\n")
	for variable, words := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=s3cret":                         "OTEL_EXPORTER_OTLP_ENDPOINT: it is an address",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                           "http/protobuf only",
		"OTEL_TRACES_SAMPLER=some":                                   "there is no sampler",
		"OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2": "from 0 to 1",
		"OTEL_EXPORTER_OTLP_HEADERS=s3cret":                          "OTEL_EXPORTER_OTLP_HEADERS: it is a list",
		"OTEL_EXPORTER_OTLP_TIMEOUT=soon":                            "milliseconds",
		"OTEL_EXPORTER_OTLP_COMPRESSION=zip":                         "gzip or none",
	} {
		cmd := exec.Command(plinth, "serve", "--listen", "127.0.0.1:0", dir)
		cmd.Env = environ(append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, strings.Fields(variable)...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), words) || strings.Contains(string(out), "s3cret") {
			t.Errorf("%s: %v %s", variable, err, out)
		}
	}
}

// otlp is the receiver of the OpenTelemetry Collector (test/otlp), built once.
var otlp = sync.OnceValues(func() (string, error) {
	program := filepath.Join(filepath.Dir(plinth), "otlp")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = "otlp"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

type receiver struct {
	url string
	out *lines
	cmd *exec.Cmd
}

func receiving(t testing.TB) *receiver {
	t.Helper()
	program, err := otlp()
	if err != nil && os.Getenv("PLINTH_TEST_ALL") != "1" {
		t.Skipf("LEFT OUT, for want of the receiver of test/otlp: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{cmd: exec.Command(program), out: newLines()}
	said := newLines()
	r.cmd.Stdout, r.cmd.Stderr = r.out, said
	if err := launch(r.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		_ = r.cmd.Wait()
	})
	line, ok := said.first(20 * time.Second)
	if !ok || !strings.HasPrefix(line, "http://") {
		t.Fatalf("the receiver did not become ready: %s", said.text())
	}
	r.url = line
	return r
}

type span struct {
	Trace, ID, Parent, Name, Kind, Status string
	Start, End                            int64
	Attributes, Resource                  map[string]any
	Links                                 []string
}

func (r *receiver) spans(t testing.TB) (all []span) {
	t.Helper()
	for line := range strings.Lines(r.out.text()) {
		var s span
		if err := json.Unmarshal([]byte(line), &s); err == nil { // the last may not be whole yet
			all = append(all, s)
		}
	}
	return all
}

// env has a server send to the receiver soon.
func (r *receiver) env(more ...string) []string {
	return append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.url, "OTEL_BSP_SCHEDULE_DELAY=50"}, more...)
}

// A request, its transaction, what is done in it and the rules that are asked are one trace; so is a job. What a stranger says of a trace is a
// link, what a proxy of ours says is taken over.
func TestTraces(t *testing.T) {
	t.Parallel()
	r := receiving(t)
	s, _ := sighted(t, r.env("OTEL_SERVICE_NAME=tested", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test%20it", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"), "--log", "debug", "--dev")
	said := "4bf92f3577b34da6a3ce929d0e0e4736"
	send := func(url string) {
		t.Helper()
		q, _ := http.NewRequest("POST", url+"/api/posts", strings.NewReader(`{"title":"traced"}`))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Traceparent", "00-"+said+"-00f067aa0ba902b7-01")
		resp, err := client.Do(q)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	send(s.url)
	if code, b, err := ask(client, "POST", s.url+"/api/auth/register", "", `{"email":"traced@example.com","password":"a horse that is traced"}`); err != nil || code/100 != 2 {
		t.Fatal(code, string(b), err)
	}
	find := func(name string, all []span) (found []span) {
		for _, one := range all {
			if one.Name == name {
				found = append(found, one)
			}
		}
		return found
	}
	soon(t, 20*time.Second, "no trace has arrived: "+s.stderr.text(), func() bool {
		all := r.spans(t)
		return len(find("POST /api/{collection}", all)) > 0 && len(find("rule", all)) > 0 && len(find("insert posts", all)) > 0 && slices.ContainsFunc(all, func(s span) bool { return strings.HasPrefix(s.Name, "job ") })
	})
	all := r.spans(t)
	request := find("POST /api/{collection}", all)[0]
	if request.Kind != "Server" || request.Trace == said || !slices.Contains(request.Links, said) || request.Resource["service.name"] != "tested" ||
		request.Resource["deployment.environment.name"] != "test it" || request.Attributes["http.response.status_code"] != 201.0 || request.Attributes["http.route"] != "/api/{collection}" {
		t.Errorf("the request is %+v", request)
	}
	by := map[string]span{}
	for _, one := range all {
		by[one.ID] = one
		if one.End < one.Start {
			t.Errorf("%s ends before it begins", one.Name)
		}
	}
	for _, name := range []string{"insert posts", "rule"} {
		one := find(name, all)[0]
		tx := by[one.Parent]
		if one.Trace != request.Trace || tx.Name != "transaction" || tx.Parent != request.ID {
			t.Errorf("%s is below %q of %q", name, tx.Name, by[tx.Parent].Name)
		}
	}
	if rule := find("rule", all)[0]; rule.Attributes["plinth.rule"] != `title != "never"` || rule.Attributes["plinth.holds"] != true {
		t.Errorf("the rule is %+v", rule)
	}
	register := find("POST /api/auth/register", all)
	var job span
	for _, one := range all {
		if strings.HasPrefix(one.Name, "job ") {
			job = one
			break
		}
	}
	if len(register) != 1 || !slices.Equal(job.Links, []string{register[0].Trace}) || job.Trace == register[0].Trace {
		t.Errorf("the job %+v has no link to the request %+v that enqueued it", job, register)
	}
	if !strings.Contains(s.stderr.text(), request.Trace) {
		t.Errorf("the log does not name the trace %s: %s", request.Trace, s.stderr.text())
	}

	operator := freeAddress(t)
	trusting, err := start(environ(r.env("OTEL_TRACES_SAMPLER=parentbased_always_off")...), nil, folder(t, strings.NewReplacer("OPERATOR", operator, "limits:", "trustedProxies: [127.0.0.1], limits:").Replace(sightApp)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trusting.stop() })
	send(trusting.url)
	soon(t, 20*time.Second, "the trace of a proxy does not go on", func() bool {
		return slices.ContainsFunc(r.spans(t), func(s span) bool { return s.Trace == said && s.Parent == "00f067aa0ba902b7" })
	})
	if err := trusting.stop(); err != nil { // what it has not sent yet is sent at its end
		t.Error(err)
	}
}

// What people have told the server is in no line of its log, no metric and no trace.
func TestNothingIsTold(t *testing.T) {
	t.Parallel()
	r := receiving(t)
	s, operator := sighted(t, r.env(), "--log", "debug", "--slow", "1ns")
	const password, mail, value, other = "pw-9f3k-planted horse", "planted.person@example.org", "planted-value-77", "planted-wrong-pw-12 horse"
	planted := []string{password, mail, "planted.person", value, other, "planted"}
	do := func(method, path, body string, header ...string) (int, string, []*http.Cookie) {
		t.Helper()
		q, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			q.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), resp.Cookies()
	}
	in := fmt.Sprintf(`{"email":%q,"password":%q}`, mail, password)
	if code, b, _ := do("POST", "/api/auth/register", in); code/100 != 2 {
		t.Fatal(code, b)
	}
	code, b, _ := do("POST", "/api/auth/login", in)
	var session struct{ Token string }
	if json.Unmarshal([]byte(b), &session) != nil || session.Token == "" {
		t.Fatal(code, b)
	}
	_, _, cookies := do("POST", "/api/auth/login", strings.Replace(in, "}", `,"cookie":true}`, 1))
	planted = append(planted, session.Token)
	for _, c := range cookies {
		if len(c.Value) > 10 {
			planted = append(planted, c.Value)
		}
	}
	do("POST", "/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, mail, other))
	do("POST", "/api/auth/reset", fmt.Sprintf(`{"email":%q}`, mail))
	do("POST", "/api/auth/login", `{"email":"`+value+`","password":7}`)
	bearer := []string{"Authorization", "Bearer " + session.Token}
	code, b, _ = do("POST", "/api/posts", `{"title":"`+value+`","slug":"`+value+`"}`, append(bearer, "Idempotency-Key", value, "User-Agent", value, "X-Forwarded-For", value, "Traceparent", value, "Baggage", "a="+value, "Referer", "http://x/"+value)...)
	if code != http.StatusCreated {
		t.Fatal(code, b)
	}
	var made struct{ ID string }
	_ = json.Unmarshal([]byte(b), &made)
	planted = append(planted, made.ID)
	do("POST", "/api/posts", `{"title":"`+value+`","slug":"`+value+`"}`, bearer...) // taken
	do("POST", "/api/posts", `{"title":"x","`+value+`":1}`, bearer...)
	do("POST", "/api/posts", `{"title":"x", broken `+value, bearer...)
	do("PATCH", "/api/posts/"+made.ID, `{"title":"`+value+`2"}`, bearer...)
	do("GET", "/api/posts/by/slug/"+value, "")
	do("GET", "/api/posts/"+value, "")
	do("GET", "/api/"+value, "")
	do("GET", "/"+value, "")
	do(strings.ToUpper("PLANTED"), "/api/posts", "")
	for _, filter := range []string{`title == "` + value + `"`, `title.startsWith('` + value + `') || slug == param.x`, `title == "` + value, value + ` == 1`, "views > 3 // " + value} {
		do("GET", "/api/posts?param.x="+value+"&filter="+url.QueryEscape(filter), "", bearer...)
		do("POST", "/api/posts/query", fmt.Sprintf(`{"filter":%q,"params":{"x":%q}}`, filter, value), bearer...)
		do("GET", "/api/posts?group=slug&aggregate=count&filter="+url.QueryEscape(filter), "", bearer...)
	}
	do("GET", "/api/posts?cursor="+value+"&sort="+value, "")
	do("GET", "/api/posts", "", "Authorization", "Bearer "+value)
	do("GET", "/api/posts", "", "Authorization", "Basic "+value, "Cookie", "session="+value)
	do("POST", "/api/batch", `{"operations":[{"op":"create","collection":"posts","body":{"title":"`+value+`"}}]}`, bearer...)
	soon(t, 20*time.Second, "the last trace has not arrived", func() bool {
		return slices.ContainsFunc(r.spans(t), func(s span) bool { return s.Name == "POST /api/batch" })
	})
	metrics := bodyOf(t, operator+"/metrics")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	places := map[string]string{"the log": s.stderr.text(), "the metrics": metrics, "the traces": r.out.text()}
	for _, word := range []string{"slow question", "security", `"route":"/api/{collection}"`} {
		if !strings.Contains(places["the log"], word) {
			t.Errorf("the log has no %s, so this shows nothing: %s", word, places["the log"])
		}
	}
	if !strings.Contains(places["the traces"], "db.query.text") || !strings.Contains(metrics, "plinth_sign_in_refusals_total{") {
		t.Error("there is too little to look through")
	}
	for place, text := range places {
		for _, word := range planted {
			for _, form := range []string{word, url.QueryEscape(word), url.PathEscape(word)} {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s tells %q: …%s…", place, form, text[max(0, at-200):min(len(text), at+100)])
					break
				}
			}
		}
	}
}

// prometheus is a running one.
type prometheus struct {
	t   testing.TB
	url string
	log *lines
}

// scraping starts Prometheus with rules, asking operators' listeners twice a second.
func scraping(t *testing.T, rules string, operators ...string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rules.yaml"), rules)
	write(t, filepath.Join(dir, "prometheus.yaml"), `global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: plinth
    static_configs: [{targets: ["`+strings.ReplaceAll(strings.Join(operators, `", "`), "http://", "")+`"]}]
`)
	address := freeAddress(t)
	p := &prometheus{t: t, url: "http://" + address, log: newLines()}
	cmd := exec.Command(needs(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := launch(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	soon(t, 30*time.Second, "Prometheus is not ready: "+p.log.text(), func() bool {
		code, _, err := ask(client, "GET", p.url+"/-/ready", "", "")
		return err == nil && code == http.StatusOK
	})
	return p
}

// ask is a query's answer: how many series have a value that is a number.
func (p *prometheus) ask(query string) (series int, err error) {
	_, b, err := ask(client, "GET", p.url+"/api/v1/query?query="+url.QueryEscape(query), "", "")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil || answer.Status != "success" {
		return 0, fmt.Errorf("%s: %s %w", query, b, err)
	}
	for _, r := range answer.Data.Result {
		if r.Value[1] != "NaN" {
			series++
		}
	}
	return series, nil
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	promtool := needs(t, "promtool")
	rules, err := os.ReadFile("../docs/operations/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", "../docs/operations/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v %s", err, out)
	}
	s, operator := sighted(t, nil, "--dev")
	quick := strings.NewReplacer("[5m]", "[5s]", "for: 5m", "for: 1s", "for: 1h", "for: 1s").Replace(string(rules))
	secure, dir := freeAddress(t), t.TempDir()
	ownCertificateFor(t, dir, newECDSA(t), nil, -time.Hour, 10*24*time.Hour, "app.example.com", "www.example.com")
	write(t, filepath.Join(dir, "plinth.yaml"), `server: {tls: {cert: cert.pem, key: key.pem}, https: "127.0.0.1:0", http: "127.0.0.1:0", operator: {listen: "`+secure+`"}}`+"\n")
	serving(t, dir)
	p := scraping(t, quick, operator, "http://"+secure)

	var stream *http.Response
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/api/posts", nil)
	q.Header.Set("Accept", "text/event-stream")
	if stream, err = http.DefaultClient.Do(q); err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	const in = `{"email":"anna@example.com","password":"a horse that is measured"}`
	if code, b, err := ask(client, "POST", s.url+"/api/auth/register", "", in); err != nil || code/100 != 2 {
		t.Fatal(code, string(b), err)
	}
	broken := brokenFile(t, s)
	work := func() {
		for _, one := range []struct{ method, path, body string }{
			{"POST", "/api/posts", `{"title":"a"}`}, {"GET", "/api/posts?count=exact", ""}, {"GET", "/api/posts?aggregate=count", ""}, {"POST", "/api/auth/login", in},
			{"POST", "/api/auth/login", `{"email":"anna@example.com","password":"not the password"}`}, {"GET", "/nowhere", ""}, {"GET", broken, ""},
			{"POST", "/api/posts", `{"title":"never"}`}, {"POST", "/api/auth/reset", `{"email":"anna@example.com"}`},
		} {
			if _, _, err := ask(client, one.method, s.url+one.path, "", one.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	firing := func(name string) bool {
		work()
		_, b, err := ask(client, "GET", p.url+"/api/v1/alerts", "", "")
		var answer struct {
			Data struct {
				Alerts []struct {
					State  string
					Labels map[string]string
				}
			}
		}
		if err != nil || json.Unmarshal(b, &answer) != nil {
			return false
		}
		for _, a := range answer.Data.Alerts {
			if a.State == "firing" && a.Labels["alertname"] == name {
				return true
			}
		}
		return false
	}
	for _, name := range []string{"PlinthErrors", "PlinthCertificateEnds"} {
		soon(t, time.Minute, "the alert "+name+" does not fire", func() bool { return firing(name) })
	}
	ownCertificateFor(t, dir, newECDSA(t), nil, -time.Hour, 90*24*time.Hour, "app.example.com")
	soon(t, time.Minute, "the new certificate is not told", func() bool {
		n, err := p.ask(`plinth_tls_certificate_expiry_timestamp_seconds - time() > 89 * 86400`)
		return err == nil && n == 1
	})
	soon(t, time.Minute, "the alert PlinthCertificateEnds goes on", func() bool { return !firing("PlinthCertificateEnds") })

	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(bodyOf(t, operator+"/metrics"))
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v %s", err, out)
	}
	text, err := os.ReadFile("../docs/operations/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, panel := range board.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("%s asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, strings.NewReplacer("$job", "plinth", "$__rate_interval", "10s").Replace(target.Expr))
		}
	}
	if len(queries) < 20 {
		t.Fatalf("the dashboard has %d queries", len(queries))
	}
	for _, f := range telemetry.Families {
		name := f.Name
		if f.Type == "histogram" {
			name += "_count"
		}
		queries = append(queries, name)
	}
	for _, query := range queries {
		var n int
		soon(t, 30*time.Second, "Prometheus has no answer to "+query, func() bool {
			if n, err = p.ask(query); err == nil && n == 0 {
				work()
			}
			if err != nil {
				t.Fatal(err)
			}
			return n > 0
		})
	}
	t.Logf("%d queries have answers", len(queries))
}

// What server.limits.requests refuses is counted.
func TestLimitedCounted(t *testing.T) {
	t.Parallel()
	operator := freeAddress(t)
	s := serving(t, folder(t, strings.NewReplacer("OPERATOR", operator, "streams: 100", "requests: 4/1h").Replace(sightApp)))
	judged := described(t) // it asks for the description, once
	for i, want := range []int{200, 200, 200, 429, 429} {
		if code, b, err := ask(judged, "GET", s.url+"/api/posts", "", ""); err != nil || code != want {
			t.Errorf("%d: %d %s %v", i, code, b, err)
		}
	}
	if text := bodyOf(t, "http://"+operator+"/metrics"); !strings.Contains(text, "\nplinth_rate_limited_total{limit=\"requests\"} 2\n") {
		t.Errorf("%s", text)
	}
}

// On each engine what is done is counted, whatever ways it has of doing many things at once.
func TestMetricsOnEach(t *testing.T) {
	onAll(t, func(t *testing.T, db string) {
		operator := freeAddress(t)
		dir := folder(t, strings.Replace(sightApp, "OPERATOR", operator, 1))
		if db != "" {
			runOn(t, db, "apply", dir)
		}
		s := servingOn(t, db, dir)
		transactions := !strings.HasPrefix(db, "mongodb:")
		for i, one := range []struct {
			method, path, body string
			status             int
		}{
			{"POST", "/api/posts", `{"title":"a","slug":"a"}`, 201}, {"POST", "/api/posts", `{"title":"b","slug":"a"}`, 409}, {"POST", "/api/posts", `{"title":"never"}`, 401},
			{"GET", "/api/posts?sort=-views&count=exact", "", 200}, {"GET", "/api/posts?aggregate=count", "", 200}, {"GET", "/api/posts/by/slug/a", "", 200},
			{"POST", "/api/batch", `{"operations":[{"op":"create","collection":"posts","body":{"title":"c"}},{"op":"create","collection":"posts","body":{"title":"d"}}]}`, 200},
		} {
			if one.path == "/api/batch" && !transactions {
				continue
			}
			if code, b, err := ask(client, one.method, s.url+one.path, "", one.body); err != nil || code != one.status {
				t.Errorf("%d: %s %s: %d %s %v", i, one.method, one.path, code, b, err)
			}
		}
		text := bodyOf(t, "http://"+operator+"/metrics")
		value := func(series string) (v float64) {
			for line := range strings.Lines(text) {
				if rest, ok := strings.CutPrefix(line, series+" "); ok {
					_, _ = fmt.Sscan(rest, &v)
				}
			}
			return v
		}
		writes := value(`plinth_database_statement_duration_seconds_count{kind="insert"}`) + value(`plinth_database_statement_duration_seconds_count{kind="finish"}`)
		for what, n := range map[string]float64{
			"selects": value(`plinth_database_statement_duration_seconds_count{kind="select"}`), "counts": value(`plinth_database_statement_duration_seconds_count{kind="count"}`),
			"groups": value(`plinth_database_statement_duration_seconds_count{kind="group"}`), "writes": writes,
			"commits": value(`plinth_database_transaction_duration_seconds_count{result="committed"}`), "refusals": value(`plinth_database_transaction_duration_seconds_count{result="refused"}`),
			"requests": value(`plinth_http_requests_total{method="POST",route="/api/{collection}",status="2xx"}`),
		} {
			if n < 1 {
				t.Errorf("%s: %v", what, n)
			}
		}
		if most := value("plinth_database_connections_max"); transactions && most < 1 {
			t.Errorf("at most %v connections", most)
		}
		if n := value(`plinth_database_transaction_duration_seconds_count{result="failed"}`); n != 0 {
			t.Errorf("%v writes failed", n)
		}
	})
}

// brokenFile is the address of a file that cannot be read any more: to ask for it is a failure of the server.
func brokenFile(t *testing.T, s *server) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	record, _ := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="record"`}, "Content-Type": {"application/json"}})
	_, _ = io.WriteString(record, `{"title":"a file"}`)
	part, _ := form.CreateFormFile("photo", "a.txt")
	_, _ = io.WriteString(part, "text")
	_ = form.Close()
	resp, err := client.Post(s.url+"/api/posts", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct {
		Photo struct{ URL string }
	}
	b, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(b, &made); err != nil || made.Photo.URL == "" {
		t.Fatalf("%s %s %v", resp.Status, b, err)
	}
	dir := s.cmd.Args[len(s.cmd.Args)-1]
	place := filepath.Join(dir, "data", "files")
	if err := os.RemoveAll(place); err != nil {
		t.Fatal(err)
	}
	write(t, place, "where a folder should be")
	if code, b, err := ask(client, "GET", s.url+made.Photo.URL, "", ""); err != nil || code < 500 {
		t.Fatalf("a file that cannot be read: %d %s %v", code, b, err)
	}
	return made.Photo.URL
}
