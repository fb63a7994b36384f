package main

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// poll reads many connections with one goroutine: the runtime's own poller would wake one for each, and the client
// shares the cores with the server that it measures. The goroutine waits in the runtime's poller for the epoll
// instance, which is a file that can be polled itself.
type poll struct {
	file *os.File
	buf  []byte
}

func newPoll() (*poll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return &poll{file: os.NewFile(uintptr(fd), "epoll"), buf: make([]byte, 256<<10)}, nil
}

func (p *poll) close() { p.file.Close() }

// add takes a connection in, under a number by which read tells it.
func (p *poll) add(fd, number int) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(epoll uintptr) {
		failed = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(number)})
	})
	if err == nil {
		err = failed
	}
	return err
}

// read waits for connections to have something and tells it, until tell fails or the poll is closed. fds are those
// of the numbers.
func (p *poll) read(fds func(number int) int, tell func(number int, b []byte) error) error {
	for {
		if err := p.next(time.Time{}, fds, tell); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		}
	}
}

// next waits until a moment (zero: without end) for connections to have something, and tells what they have by then.
func (p *poll) next(until time.Time, fds func(number int) int, tell func(number int, b []byte) error) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var ready [256]syscall.EpollEvent
	var n int
	var failed error
	look := func(epoll uintptr) bool {
		n, failed = syscall.EpollWait(int(epoll), ready[:], 0)
		return n != 0 && failed != syscall.EINTR
	}
	if err := raw.Control(func(epoll uintptr) { look(epoll) }); err != nil {
		return os.ErrClosed
	}
	if n == 0 || failed == syscall.EINTR {
		if err := p.file.SetReadDeadline(until); err != nil {
			return os.ErrClosed
		}
		switch err := raw.Read(look); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return os.ErrClosed
		}
	}
	if failed != nil {
		return os.NewSyscallError("epoll_wait", failed)
	}
	for _, e := range ready[:n] {
		got, err := syscall.Read(fds(int(e.Fd)), p.buf)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		case got == 0:
			return errEnded
		}
		if err := tell(int(e.Fd), p.buf[:got]); err != nil {
			return err
		}
	}
	return nil
}

// dialRaw connects without the runtime's poller. Reads and writes wait until setNonblock, though not for ever.
func dialRaw(addr string) (int, error) {
	to, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return 0, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	patience := syscall.NsecToTimeval(int64(2 * time.Minute)) // on a server what batches have left in the log gets its positions before the first event
	if err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())})
	}
	if err != nil {
		syscall.Close(fd)
		return 0, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// again repeats what one of the runtime's signals has interrupted.
func again(do func() error) error {
	for {
		if err := do(); err != syscall.EINTR {
			return err
		}
	}
}

func readRaw(fd int, b []byte) (n int, err error) {
	err = again(func() (err error) { n, err = syscall.Read(fd, b); return err })
	return n, err
}

func writeRaw(fd int, b []byte) (n int, err error) {
	err = again(func() (err error) { n, err = syscall.Write(fd, b); return err })
	return n, err
}

func closeRaw(fd int)          { syscall.Close(fd) }
func setNonblock(fd int) error { return syscall.SetNonblock(fd, true) }

// raiseFiles lets this process, and the servers that it starts, have as many open files as they may.
func raiseFiles() (most int, err error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	return int(limit.Max), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
