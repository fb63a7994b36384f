package password

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is set for the process whose memory is measured: how much ballast it has, in MiB.
const crowd = "PLINTH_TEST_CROWD"

// 200 sign-ins at once stay within the memory that a Hasher promises, whatever the garbage collector would let pile up: as it is by
// itself, without one, and in a process that has much memory of its own. Every eighth is of a hash that needs 100 MiB.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("LEFT OUT: the peak of a process's memory is read from Linux's /proc")
	}
	if ballast := os.Getenv(crowd); ballast != "" {
		measure(t, ballast)
		return
	}
	if testing.Short() {
		t.Skip("LEFT OUT with -short: 80 sign-ins, three times; under the race detector the memory is not the program's own")
	}
	for _, c := range []struct{ gogc, ballast string }{{"100", "0"}, {"off", "0"}, {"100", "400"}} {
		t.Run("GOGC="+c.gogc+" beside "+c.ballast+" MiB", func(t *testing.T) {
			p := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemory$", "-test.v")
			p.Env = append(os.Environ(), "GOGC="+c.gogc, crowd+"="+c.ballast)
			out, err := p.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if _, said, ok := strings.Cut(line, "CROWD: "); ok {
					t.Log(strings.TrimSpace(said))
				}
			}
		})
	}
}

func measure(t *testing.T, mib string) {
	n, err := strconv.Atoi(mib)
	if err != nil {
		t.Fatal(err)
	}
	ballast := make([]byte, n<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	h, err := New(Options{AtOnce: 2, Patience: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	own, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	large := "argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw" // of "secret"
	before := peak(t)
	var all sync.WaitGroup
	for i := range 80 {
		all.Go(func() {
			stored, password := own, "password"
			if i%8 == 7 {
				stored, password = large, "secret"
			}
			if ok, _, err := h.Verify(t.Context(), stored, password); !ok || err != nil {
				t.Errorf("verified %t: %v", ok, err)
			}
		})
	}
	all.Wait()
	runtime.KeepAlive(ballast)
	after := peak(t)
	const slack = 24 << 20 // stacks, the tests themselves, and pages that the runtime has not given back
	fmt.Printf("CROWD: a peak of %d MiB, %d before; %d MiB are promised\n", after>>20, before>>20, h.heap.limit*3>>21)
	if bound := int64(len(ballast)) + h.heap.limit + h.heap.limit/2 + slack; after > bound {
		t.Errorf("a peak of %d MiB, the bound is %d", after>>20, bound>>20)
	}
}

// peak is the most memory that this process has ever had resident.
func peak(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("there is no VmHWM")
	return 0
}
