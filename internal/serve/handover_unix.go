//go:build unix

package serve

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/bluell/plinth/fault"
)

// program is what was started, as it was named then: a new one may stand in its place since.
var program = func() string {
	path, err := os.Executable()
	if abs, e := filepath.Abs(path); err == nil && e == nil {
		return abs
	}
	return os.Args[0]
}()

// soonTaken is how long it takes as a rule until another process serves, and more; then it is told that it does not.
const soonTaken = 10 * time.Second

// handOver starts the program as it is now with the sockets of this process, and waits until it serves. Its
// arguments, environment and output are this process's. It returns the process that serves.
func (s *server) handOver(ctx context.Context, patience time.Duration) (pid int, err error) {
	if os.Getpid() == 1 {
		return 0, fault.New(fault.Unavailable, "this process is the first of its container, which would end with it: replace the container")
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	defer write.Close()
	files := []uintptr{0, 1, 2}
	var opened []int
	defer func() {
		for _, fd := range opened {
			_ = syscall.Close(fd)
		}
	}()
	for _, d := range s.doors {
		fd, err := duplicate(d.ln)
		if err != nil {
			return 0, err
		}
		opened = append(opened, fd)
		files = append(files, uintptr(fd))
	}
	files = append(files, write.Fd())
	pid, err = syscall.ForkExec(program, os.Args, &syscall.ProcAttr{Env: append(os.Environ(), handedSockets+"="+s.handed()), Files: files})
	if err != nil {
		return 0, &fault.Error{Kind: fault.Unavailable, Msg: "the program " + program + " cannot be started", Err: err}
	}
	other, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	_ = write.Close() // so that its end is seen when the other process ends
	began := time.Now()
	_ = read.SetReadDeadline(began.Add(patience))
	stop := context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Now()) })
	defer stop()
	slow := time.AfterFunc(soonTaken, func() {
		s.o.Log.Warn("the new process does not serve yet: it may wait for a change of the schema", "process", pid, "until", began.Add(patience))
	})
	defer slow.Stop()
	err = outcome(read)
	if err == nil {
		go func() { _, _ = other.Wait() }() // if it ends while this process still ends its requests
		return pid, nil
	}
	_ = other.Kill()
	_, _ = other.Wait()
	if time.Since(began) >= patience {
		err = fault.New(fault.Unavailable, "the new process could not serve within %s, and was ended: its log says what it did", patience)
	}
	return 0, err
}

// duplicate is a descriptor of a listener for another process. Those of package net do not block, and stay so.
func duplicate(ln net.Listener) (fd int, err error) {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(from uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, err = syscall.Dup(int(from)); err == nil {
			syscall.CloseOnExec(fd)
		}
	}); e != nil {
		return 0, e
	}
	return fd, err
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
