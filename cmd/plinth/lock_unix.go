//go:build unix

package main

import (
	"os"
	"syscall"

	"github.com/bluell/plinth/fault"
)

// share says that the database in a file is in use, until release: then its file is not replaced.
func share(path string) (release func(), err error) { return lock(path, syscall.LOCK_SH) }

// alone says that nobody else uses the database, until release, or that somebody does.
func alone(path string) (release func(), err error) {
	return lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

func lock(path string, how int) (func(), error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be written", Err: err}
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fault.New(fault.Conflict, "the database is in use: stop the server first")
	}
	return func() { f.Close() }, nil
}
