package test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const smugglingApp = `
name: smuggling
collections:
  notes:
    fields: {text: {type: text, required: true, max: 5000}}
    access: {read: true, create: true, update: true}
`

// probe is a request whose end two servers could see at different places, or which they could read as different ones. Behind it comes
// another request, which a server sees that takes the end to be earlier. What both make has marks that are unique to a probe.
type probe struct {
	name string
	text string
	made int // records that Plinth makes of it, asked directly; turnedAway: it answers once, and ends the connection
}

const turnedAway = -1

func post(version, fields, body string) string {
	return "POST /api/notes HTTP/" + version + "\r\nHost: app.test\r\nContent-Type: application/json\r\n" + fields + "\r\n" + body
}

func framed(fields, body string) string { return post("1.1", fields, body) }

// noted is the body that creates a record, hidden a whole request that does.
func noted(name string) string { return `{"text":"` + name + `"}` }

func hidden() string {
	return framed("Content-Length: "+strconv.Itoa(len(noted(hiddenMark)))+"\r\n", noted(hiddenMark))
}

func chunk(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }

// Marks of what a probe sends, until it has a number.
const (
	mainMark   = "main-NNNNN"
	hiddenMark = "hidden-NNNNN"
)

func sized(body string) string { return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n" }

// probes: RFC 9112, 2.2, 3.2, 5, 6 and 7, and what was found in servers and proxies (PortSwigger's "HTTP Desync Attacks" and what came after it).
func probes() []probe {
	main, end := noted(mainMark), "0\r\n\r\n"
	te := "Transfer-Encoding: chunked\r\n"
	all := []probe{
		{"CL.TE", framed(sized(chunk(main)+end+hidden())+te, chunk(main)+end+hidden()), turnedAway},
		{"CL.TE, the coding first", framed(te+sized(chunk(main)+end+hidden()), chunk(main)+end+hidden()), turnedAway},
		{"TE.CL", framed("Content-Length: 4\r\n"+te, chunk(main)+end+hidden()), turnedAway},
		{"TE.CL of nothing", framed("Content-Length: 0\r\n"+te, chunk(main)+end+hidden()), turnedAway},
		{"CL.0", framed(sized(hidden()), hidden()), 0}, // a body that is no JSON
		{"CL.0 of a GET", "GET /api/notes?filter=text=='main-NNNNN' HTTP/1.1\r\nHost: app.test\r\n" + sized(hidden()) + "\r\n" + hidden(), 0},
		{"0.CL", framed("Content-Length: 0\r\n", hidden()), 1},
		{"lengths that differ", framed("Content-Length: 0\r\n"+sized(main+hidden()), main+hidden()), turnedAway},
		{"lengths that differ, the long one first", framed(sized(main+hidden())+sized(main), main+hidden()), turnedAway},
		{"a list of lengths", framed("Content-Length: 0, 99\r\n", main+hidden()), turnedAway},
		{"the same length twice", framed(sized(main)+sized(main), main+hidden()), turnedAway},
		{"a list of the same lengths", framed("Content-Length: 3, 3\r\n", "{} "+hidden()), turnedAway},
		{"a length with a sign", framed("Content-Length: +15\r\n", main+hidden()), turnedAway},
		{"a length below 0", framed("Content-Length: -1\r\n", main+hidden()), turnedAway},
		{"a length in hex", framed("Content-Length: 0x10\r\n", main+hidden()), turnedAway},
		{"a length with a point", framed("Content-Length: 15.0\r\n", main+hidden()), turnedAway},
		{"a length with words", framed("Content-Length: 15 bytes\r\n", main+hidden()), turnedAway},
		{"a length of nothing", framed("Content-Length: \r\n", main+hidden()), turnedAway},
		{"a length beyond 64 bits", framed("Content-Length: 18446744073709551631\r\n", main+hidden()), turnedAway},
		{"a length with an underscore", framed("Content-Length: 1_5\r\n", main+hidden()), turnedAway},
		{"a space before the colon of a length", framed("Content-Length : 0\r\n", main+hidden()), turnedAway},
		{"an underscore in Content_Length", framed(sized(main)+"Content_Length: 0\r\n", main+hidden()), 2},
		{"an underscore in Transfer_Encoding", framed(sized(main)+"Transfer_Encoding: chunked\r\n", main+hidden()), 2},
		{"a folded length", framed("Content-Length: 0\r\n 5\r\n", main+hidden()), turnedAway},
		{"a folded coding", framed("Transfer-Encoding:\r\n chunked\r\n", chunk(main)+end+hidden()), turnedAway},
		{"a folded field", framed("X-A: b\r\n c: d\r\n"+sized(main), main+hidden()), turnedAway},
		{"a length folded into another field", framed("X-A: b\r\n\tContent-Length: 0\r\n"+sized(main), main+hidden()), turnedAway},
		{"a folded first field", "POST /api/notes HTTP/1.1\r\n Host: app.test\r\nHost: app.test\r\n" + sized(main) + "\r\n" + main + hidden(), turnedAway},
		{"bare LF behind a field", framed("X-A: b\n"+sized(main), main+hidden()), turnedAway},
		{"bare LF hides a length", framed("X-A: b\nContent-Length: 0\r\n"+sized(main), main+hidden()), turnedAway},
		{"bare LF ends the head", "POST /api/notes HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n" + sized(main) + "\n" + main + hidden(), turnedAway},
		{"bare LF everywhere", strings.ReplaceAll(framed(sized(main), main), "\r\n", "\n") + hidden(), turnedAway},
		{"bare CR in a field", framed("X-A: b\rContent-Length: 0\r\n"+sized(main), main+hidden()), turnedAway},
		{"NUL in a field", framed("X-A: b\x00\r\n"+sized(main), main+hidden()), turnedAway},
		{"NUL in a name", framed("X\x00A: b\r\n"+sized(main), main+hidden()), turnedAway},
		{"NUL in a length", framed("Content-Length: 1\x00\r\n", main+hidden()), turnedAway},
		{"no name", framed(": b\r\n"+sized(main), main+hidden()), turnedAway},
		{"no colon", framed("X-A\r\n"+sized(main), main+hidden()), turnedAway},
		{"a coding in HTTP/1.0", post("1.0", "Connection: keep-alive\r\n"+te, chunk(main)+end+hidden()), turnedAway},
		{"a length and a coding in HTTP/1.0", post("1.0", "Connection: keep-alive\r\n"+sized(main)+te, main+hidden()), turnedAway},
		{"a bad chunk", framed(te, "zz\r\n"+main+"\r\n"+end+hidden()), turnedAway},
		{"a chunk below 0", framed(te, "-1\r\n"+main+"\r\n"+end+hidden()), turnedAway},
		{"a chunk with 0x", framed(te, "0x"+chunk(main)+end+hidden()), turnedAway},
		{"a chunk with a sign", framed(te, "+"+chunk(main)+end+hidden()), turnedAway},
		{"a chunk beyond 64 bits", framed(te, "1000000000000000f\r\n"+main+"\r\n"+end+hidden()), turnedAway},
		{"a chunk that is longer than its size", framed(te, "2\r\n"+main+"\r\n"+end+hidden()), turnedAway},
		{"a chunk without its end", framed(te, strings.TrimSuffix(chunk(main), "\r\n")+end+hidden()), turnedAway},
		{"a chunk that ends with LF", framed(te, strings.TrimSuffix(chunk(main), "\r\n")+"\n"+end+hidden()), turnedAway},
		{"a size that ends with LF", framed(te, strings.Replace(chunk(main), "\r\n", "\n", 1)+end+hidden()), turnedAway},
		{"a size that ends with CR", framed(te, strings.Replace(chunk(main), "\r\n", "\r", 1)+end+hidden()), turnedAway},
		{"an extension", framed(te, strings.Replace(chunk(main), "\r\n", ";a=b\r\n", 1)+end+hidden()), 1},
		{"an extension with LF", framed(te, strings.Replace(chunk(main), "\r\n", ";a\nb\r\n", 1)+end+hidden()), turnedAway},
		{"an extension without a name", framed(te, strings.Replace(chunk(main), "\r\n", ";\r\n", 1)+end+hidden()), 1},
		{"trailers", framed(te, chunk(main)+"0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"+hidden()), 1},
		{"a trailer that ends with LF", framed(te, chunk(main)+"0\r\nX-A: b\n\r\n"+hidden()), 1},
		{"the last chunk ends with LF", framed(te, chunk(main)+"0\n\n"+hidden()), turnedAway},
		{"sizes with zeros", framed(te, "0000"+chunk(main)+"000\r\n\r\n"+hidden()), 1},
		{"chunks", framed(te, chunk(main)+end+hidden()), 1},
		{"another path, absolute", "POST http://app.test/api/notes HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n" + sized(main) + "\r\n" + main + hidden(), 2},
		{"another host than in the path", "POST http://app.test/api/notes HTTP/1.1\r\nHost: other.test\r\nContent-Type: application/json\r\n" + sized(main) + "\r\n" + main + hidden(), 2},
		{"two hosts", framed("Host: other.test\r\n"+sized(main), main+hidden()), turnedAway},
		{"no host", "POST /api/notes HTTP/1.1\r\nContent-Type: application/json\r\n" + sized(main) + "\r\n" + main + hidden(), turnedAway},
		{"a bad host", "POST /api/notes HTTP/1.1\r\nHost: a b\r\nContent-Type: application/json\r\n" + sized(main) + "\r\n" + main + hidden(), turnedAway},
		{"a request in the path", "POST /api/notes?x=HTTP/1.1\r\nHost: app.test\r\n\r\n" + hidden(), 0},
		{"a space in the path", "POST /api/notes /x HTTP/1.1\r\nHost: app.test\r\n" + sized(main) + "\r\n" + main + hidden(), turnedAway},
		{"spaces in the first line", "POST  /api/notes HTTP/1.1\r\nHost: app.test\r\n" + sized(main) + "\r\n" + main + hidden(), turnedAway},
		{"HTTP/0.9", "POST /api/notes\r\n" + hidden(), turnedAway},
		{"HTTP/1.2", post("1.2", sized(main), main+hidden()), 2},
		{"HTTP/2 by name", post("2.0", sized(main), main+hidden()), turnedAway},
		{"pipelined", framed(sized(main), main) + hidden(), 2},
		{"expected", framed("Expect: 100-continue\r\n"+sized(main), main+hidden()), 2},
		{"expected twice", framed("Expect: 100-continue\r\nExpect: 100-continue\r\n"+sized(main), main+hidden()), 2},
		{"something else expected", framed("Expect: x\r\n"+sized(main), main+hidden()), turnedAway},
		{"HEAD with a body", "HEAD /api/notes HTTP/1.1\r\nHost: app.test\r\n" + sized(hidden()) + "\r\n" + hidden(), 0},
		{"an upgrade to h2c", "GET /api/notes HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + hidden(), 1},
	}
	for _, coding := range []string{"xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, chunked", "\x0bchunked", "chunked\x00", "\"chunked\"", "chunk", "chunked;q=1", ",chunked", "Chunked, "} {
		all = append(all, probe{fmt.Sprintf("the coding %q", coding), framed("Transfer-Encoding: "+coding+"\r\n", chunk(main)+end+hidden()), turnedAway})
	}
	for _, field := range []string{"Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer\u00a0Encoding: chunked", "X-A: b\nTransfer-Encoding: chunked", "Transfer-Encoding", "Transfer-Encoding: "} {
		all = append(all, probe{fmt.Sprintf("a length and %q", field), framed(sized(main)+field+"\r\n", main+hidden()), turnedAway})
	}
	return all
}

// bytesOf are what the probe of a number sends, and its marks.
func (p probe) bytesOf(n int) (text, main, second string) {
	number := fmt.Sprintf("%05d", n)
	return strings.ReplaceAll(p.text, "NNNNN", number), strings.Replace(mainMark, "NNNNN", number, 1), strings.Replace(hiddenMark, "NNNNN", number, 1)
}

// exchange sends bytes over one connection, and a last request that asks for its end, and reads every answer that comes until it ends.
func exchange(t *testing.T, addr, text string, wait time.Duration) (statuses []int, bodies []string, ended bool) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c, text+"GET /healthz HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, nil, true
	}
	in := bufio.NewReader(c)
	for range 10 {
		r, err := http.ReadResponse(in, &http.Request{Method: methodOf(text, len(statuses))})
		if err != nil {
			return statuses, bodies, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		b, _ := io.ReadAll(r.Body)
		if r.StatusCode == http.StatusContinue {
			continue
		}
		statuses, bodies = append(statuses, r.StatusCode), append(bodies, string(b))
	}
	return statuses, bodies, false
}

func methodOf(text string, nth int) string {
	if nth == 0 && strings.HasPrefix(text, "HEAD ") {
		return http.MethodHead
	}
	return http.MethodPost
}

// stored are the marks of a probe among the records.
func stored(t *testing.T, url string, marks ...string) (found []string) {
	t.Helper()
	for _, mark := range marks {
		code, b, err := ask(http.DefaultClient, "POST", url+"/api/notes/query", "", `{"filter":"text == param.t","param":{"t":"`+mark+`"}}`)
		var list struct{ Items []any }
		if err != nil || code != http.StatusOK || json.Unmarshal(b, &list) != nil {
			t.Fatalf("%d %s %v", code, b, err)
		}
		for range list.Items {
			found = append(found, mark)
		}
	}
	return found
}

// told are the marks in answers that say that a record was made.
func told(statuses []int, bodies []string, marks ...string) (found []string) {
	for i, b := range bodies {
		if statuses[i] != http.StatusCreated {
			continue
		}
		for _, mark := range marks {
			if strings.Contains(b, `"`+mark+`"`) {
				found = append(found, mark)
			}
		}
	}
	return found
}

// TestSmuggled: asked directly, what is ambiguous is refused with 400 (501 and 505 where HTTP says so), and the connection ends, so that
// nothing behind it is a request. What is not is answered, and every record that was made is told.
func TestSmuggled(t *testing.T) {
	t.Parallel()
	s := serving(t, folder(t, smugglingApp))
	for n, p := range probes() {
		text, main, second := p.bytesOf(n)
		statuses, bodies, ended := exchange(t, strings.TrimPrefix(s.url, "http://"), text, 20*time.Second)
		made := stored(t, s.url, main, second)
		if got := told(statuses, bodies, main, second); !slices.Equal(got, made) {
			t.Errorf("%s: %q are stored, %q told", p.name, made, got)
		}
		if !ended || len(statuses) == 0 {
			t.Errorf("%s: no end: %v", p.name, statuses)
			continue
		}
		if len(made) != max(p.made, 0) {
			t.Errorf("%s: %d records were made, not %d: %v", p.name, len(made), p.made, statuses)
		}
		if p.made == turnedAway && (len(statuses) != 1 || !slices.Contains([]int{400, 417, 501, 505}, statuses[0])) {
			t.Errorf("%s: %v %q", p.name, statuses, bodies)
		}
	}
}

// proxies are servers that stand before Plinth, each at an address of its own, on kept connections where they keep any.
func proxies(t *testing.T, to string) map[string]string {
	t.Helper()
	at := map[string]string{}
	for _, name := range []string{"nginx", "nginx, unbuffered and lax", "nginx, by HTTP/1.0", "haproxy", "haproxy, lax"} {
		at[name] = freeAddress(t)
	}
	if program := installed(t, "nginx"); program != "" {
		dir, user := t.TempDir(), ""
		if os.Getuid() == 0 {
			user = "user root;"
		}
		server := func(name, more string) string {
			return "server { listen " + at[name] + "; location / { proxy_pass http://plinth; proxy_set_header Host $host; " + more + " } }\n"
		}
		kept := `proxy_http_version 1.1; proxy_set_header Connection "";`
		proxied(t, filepath.Join(dir, "nginx.conf"), user+` daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; events { worker_connections 256; }
http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
upstream plinth { server `+to+`; keepalive 1; }
`+server("nginx", kept)+
			strings.Replace(server("nginx, unbuffered and lax", kept+" proxy_request_buffering off;"), "location", "underscores_in_headers on; ignore_invalid_headers off; location", 1)+
			server("nginx, by HTTP/1.0", "")+"}\n", program, "-p", dir, "-e", "stderr", "-c", "nginx.conf")
	} else {
		delete(at, "nginx")
		delete(at, "nginx, unbuffered and lax")
		delete(at, "nginx, by HTTP/1.0")
	}
	if program := installed(t, "haproxy"); program != "" {
		front := func(name, more string) string {
			return "listen x" + strconv.Itoa(len(more)) + "\n  bind " + at[name] + "\n  http-reuse always\n" + more + "  server plinth " + to + " maxconn 1\n"
		}
		file := filepath.Join(t.TempDir(), "haproxy.cfg")
		proxied(t, file, "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 10s\n  timeout client 30s\n  timeout server 30s\n"+
			front("haproxy", "")+front("haproxy, lax", "  option accept-invalid-http-request\n"), program, "-db", "-f", file)
	} else {
		delete(at, "haproxy")
		delete(at, "haproxy, lax")
	}
	for name, addr := range at {
		awaited(t, name, addr)
	}
	return at
}

// installed is a program of Debian's; "": it is not there, and need not be.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if program, err := exec.LookPath(dir + name); err == nil {
			return program
		}
	}
	if os.Getenv("PLINTH_TEST_ALL") != "" {
		t.Fatal(name + " is not installed")
	}
	t.Log("LEFT OUT: " + name + " is not installed")
	return ""
}

func proxied(t *testing.T, file, config string, command ...string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, said := exec.Command(command[0], command[1:]...), newLines()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, 10*time.Second
	if err := launch(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s says: %s", command[0], said.text())
		}
	})
}

// awaited waits until an address answers.
func awaited(t *testing.T, name, addr string) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var code int
		if code, _, err = ask(http.DefaultClient, "GET", "http://"+addr+"/healthz", "", ""); err == nil && code == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s does not answer: %v", name, err)
}

// TestSmuggledBehindProxies: a proxy and Plinth see the same requests. Every record that a probe makes is told to who has sent it, once,
// and whoever asks next, over the connection that the proxy keeps, is answered what he has asked.
func TestSmuggledBehindProxies(t *testing.T) {
	t.Parallel()
	s := serving(t, folder(t, smugglingApp))
	for name, addr := range proxies(t, strings.TrimPrefix(s.url, "http://")) {
		t.Run(name, func(t *testing.T) {
			first := slices.Index([]string{"nginx", "nginx, unbuffered and lax", "nginx, by HTTP/1.0", "haproxy", "haproxy, lax"}, name) * 10_000
			records := 0
			defer func() {
				if records < 10 {
					t.Errorf("%d records were made: the proxy lets nothing through", records)
				}
			}()
			for n, p := range probes() {
				text, main, second := p.bytesOf(first + n)
				statuses, bodies, _ := exchange(t, addr, text, 3*time.Second)
				for i := range 3 {
					mine := fmt.Sprintf("victim-%05d-%d", first+n, i)
					code, b, err := ask(http.DefaultClient, "POST", "http://"+addr+"/api/notes", "", noted(mine))
					if err != nil || code != http.StatusCreated || !strings.Contains(string(b), mine) || len(stored(t, s.url, mine)) != 1 {
						t.Errorf("%s: whoever asks next is answered %d %s %v", p.name, code, b, err)
					}
				}
				made := stored(t, s.url, main, second)
				records += len(made)
				if got := told(statuses, bodies, main, second); !slices.Equal(got, made) {
					t.Errorf("%s: %q are stored, %q told: %v %q", p.name, made, got, statuses, bodies)
				}
			}
		})
	}
}
