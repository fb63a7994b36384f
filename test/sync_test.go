package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	traceWAL    = regexp.MustCompile(`pwrite64\(\d+<[^>]*plinth\.db-wal>`)
	traceSync   = regexp.MustCompile(`(fsync|fdatasync)\(\d+<[^>]*plinth\.db-wal>\)`)
	traceEnd    = regexp.MustCompile(`<\.\.\. (fsync|fdatasync) resumed>`)
	traceAnswer = regexp.MustCompile(`(write|sendto)\(\d+<.*HTTP/1\.1 201 Created`)
)

// Each answer to a write comes after the log was written and synced since the request before it: 2xx
// means that it is on disk.
func TestSyncBeforeAnswer(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		missing(t, "strace is not installed")
		return
	}
	dir := folder(t, crashApp)
	// -D: the process that is started is plinth itself, so that it can be told to end.
	trace := filepath.Join(t.TempDir(), "trace")
	s, err := start(environ(), []string{strace, "-D", "-f", "-y", "-s", "64", "-o", trace, "-e", "trace=fsync,fdatasync,pwrite64,write,sendto"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	const creates = 50
	judged := described(t)
	for i := range creates {
		status, b, err := ask(judged, "POST", s.url+"/api/marks", "", fmt.Sprintf(`{"mark":"m%d","half":"none"}`, i))
		if err != nil || status != 201 {
			t.Fatalf("%d %s %v", status, b, err)
		}
	}
	if err := s.stop(); err != nil {
		t.Logf("strace ended with %v", err)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	answers, unsynced := 0, 0
	written, begun, synced := false, false, false
	for line := range strings.SplitSeq(string(b), "\n") {
		switch {
		case traceWAL.MatchString(line):
			written, synced = true, false
		case traceSync.MatchString(line):
			synced = written && strings.Contains(line, "= 0")
			begun = strings.Contains(line, "unfinished")
		case strings.Contains(line, "plinth.db-wal") && strings.Contains(line, "sync") && strings.Contains(line, "unfinished"):
			begun = true
		case begun && traceEnd.MatchString(line):
			synced, begun = written && strings.Contains(line, "= 0"), false
		case traceAnswer.MatchString(line):
			answers++
			if !synced {
				unsynced++
				t.Errorf("an answer came before the sync of its write: %s", line)
			}
			written, synced = false, false
		}
	}
	if answers != creates {
		t.Errorf("the trace shows %d answers of %d: the test does not see what it should", answers, creates)
	}
}

// missing fails when everything is asked for (PLINTH_TEST_ALL=1), and otherwise says loudly that
// something was left out.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PLINTH_TEST_ALL") == "1" {
		t.Fatal(what)
	}
	fmt.Fprintf(os.Stderr, "!!! %s was LEFT OUT: %s\n", t.Name(), what)
}
