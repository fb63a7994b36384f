package test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// moved is a process whose wall clock can be moved, and nobody else's: what it asks the time of, the kernel's own page in its memory
// (vdso(7)), asks the kernel instead and adds an offset. Its monotonic clock stays what it is, as when a machine's clock is set.
type moved struct {
	t   testing.TB
	mem *os.File
	at  int64 // of the offset, in seconds
}

// clockCode is clock_gettime(2) by a system call; where the clock is CLOCK_REALTIME the eight bytes that lie 32 behind the beginning are
// added to its seconds.
var clockCode = []byte{
	0xb8, 0xe4, 0, 0, 0, // mov eax, 228
	0x0f, 0x05, // syscall
	0x85, 0xc0, 0x75, 0x0e, // test eax, eax; jnz to the end
	0x85, 0xff, 0x75, 0x0a, // test edi, edi; jnz to the end
	0x48, 0x8b, 0x0d, 10, 0, 0, 0, // mov rcx, [rip+10]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3,             // ret
	0, 0, 0, 0, 0, 0, // to 32
	0, 0, 0, 0, 0, 0, 0, 0, // the offset
}

// move makes the wall clock of a process one that can be moved.
func move(t testing.TB, pid int) *moved {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	var from, to int64
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			low, high, _ := strings.Cut(strings.Fields(line)[0], "-")
			from, _ = strconv.ParseInt(low, 16, 64)
			to, _ = strconv.ParseInt(high, 16, 64)
		}
	}
	if from == 0 {
		t.Skip("LEFT OUT: this kernel gives processes no page to ask the time of")
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Skipf("LEFT OUT: this user may not write into the memory of a process of his: %v", err)
	}
	t.Cleanup(func() { mem.Close() })
	page := make([]byte, to-from)
	if _, err := mem.ReadAt(page, from); err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name != "__vdso_clock_gettime" {
			continue
		}
		if s.Size < uint64(len(clockCode)) {
			t.Fatalf("clock_gettime has %d bytes", s.Size)
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // nobody is to be in what is changed
			t.Fatal(err)
		}
		at := from + int64(s.Value)
		_, err := mem.WriteAt(clockCode, at)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Skipf("LEFT OUT: this kernel lets nobody change that page: %v", err)
		}
		return &moved{t, mem, at + 32}
	}
	t.Fatal("the kernel's page has no clock_gettime")
	return nil
}

// to sets the clock so far from this machine's.
func (m *moved) to(d time.Duration) {
	m.t.Helper()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(int64(d/time.Second)))
	if _, err := m.mem.WriteAt(b[:], m.at); err != nil {
		m.t.Fatal(err)
	}
}
