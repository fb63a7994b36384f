//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinux = errors.New("many connections are read with Linux's epoll: leave the lines live, overload and slow out here (-lines)")

type poll struct{}

func newPoll() (*poll, error)                                   { return nil, errLinux }
func (*poll) close()                                            {}
func (*poll) add(int, int) error                                { return errLinux }
func (*poll) read(func(int) int, func(int, []byte) error) error { return errLinux }
func (*poll) next(time.Time, func(int) int, func(int, []byte) error) error {
	return errLinux
}
func dialRaw(string) (int, error)       { return 0, errLinux }
func readRaw(int, []byte) (int, error)  { return 0, errLinux }
func writeRaw(int, []byte) (int, error) { return 0, errLinux }
func closeRaw(int)                      {}
func setNonblock(int) error             { return errLinux }
func raiseFiles() (int, error)          { return 0, errLinux }
