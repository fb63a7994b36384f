package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cpuTimes are seconds of processor time so far, from Linux's /proc; zero elsewhere.
type cpuTimes struct {
	all, busy             float64 // of the machine
	server, database, own float64
}

const ticksPerSecond = 100 // USER_HZ, the same on every Linux

func (s *site) cpu() cpuTimes {
	var t cpuTimes
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	first, _, _ := bytes.Cut(stat, []byte("\n"))
	for i, field := range strings.Fields(string(first))[1:] {
		n, _ := strconv.ParseFloat(field, 64)
		if i > 7 {
			break // guest time is counted in user time already
		}
		t.all += n / ticksPerSecond
		if i != 3 && i != 4 { // idle, iowait
			t.busy += n / ticksPerSecond
		}
	}
	t.server = processTime(s.cmd.Process.Pid)
	if s.engine != nil {
		t.database = s.engine.cpu()
	}
	t.own = processTime(os.Getpid())
	return t
}

func processTime(pid int) float64 {
	fields := processStat(pid)
	if fields == nil {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond
}

// processStat is what proc(5) says of a process from its state on.
func processStat(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold spaces
	return strings.Fields(string(rest))
}

// cpu is the time of the server's process and of its children: PostgreSQL has one for each connection,
// which is there as long as its pool.
func (e *engine) cpu() float64 {
	total := processTime(e.cmd.Process.Pid)
	parent := strconv.Itoa(e.cmd.Process.Pid)
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		pid, _ := strconv.Atoi(filepath.Base(p))
		if fields := processStat(pid); len(fields) > 1 && fields[1] == parent {
			total += processTime(pid)
		}
	}
	return total
}

func (t cpuTimes) since(before cpuTimes) cpuTimes {
	return cpuTimes{t.all - before.all, t.busy - before.busy, t.server - before.server, t.database - before.database, t.own - before.own}
}

// noise is the share of the machine that others took. Interrupts belong to no process, so a
// few percent are there on a quiet machine too.
func (t cpuTimes) noise() float64 {
	if t.all == 0 {
		return 0
	}
	return max(0, (t.busy-t.server-t.database-t.own)/t.all)
}

// resident is a process's VmRSS in megabytes.
func resident(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kb / 1024
		}
	}
	return 0
}
