package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// cpuTimes are seconds of processor time so far, from Linux's /proc; zero elsewhere.
type cpuTimes struct {
	all, busy   float64 // of the machine
	server, own float64
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
	t.own = processTime(os.Getpid())
	return t
}

func processTime(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold spaces
	fields := strings.Fields(string(rest))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond
}

func (t cpuTimes) since(before cpuTimes) cpuTimes {
	return cpuTimes{t.all - before.all, t.busy - before.busy, t.server - before.server, t.own - before.own}
}

// noise is the share of the machine that others took. Interrupts belong to no process, so a
// few percent are there on a quiet machine too.
func (t cpuTimes) noise() float64 {
	if t.all == 0 {
		return 0
	}
	return max(0, (t.busy-t.server-t.own)/t.all)
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
