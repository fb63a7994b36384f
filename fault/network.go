package fault

import (
	"context"
	"errors"
	"net"
	"strings"
)

// Address is the error of an address of a database that cannot be read: what it is like. Of the address itself
// nothing is repeated, for it may hold a password.
func Address(wrong, like string) *Error {
	return New(BadRequest, "the address of the database %s: it is like %s, with : / ? # [ ] @ and %% in the user or password as %%3A %%2F %%3F %%23 %%5B %%5D %%40 %%25", wrong, like)
}

// Unmade is the error of a server that has no database of a name.
func Unmade(op, who, name string, err error) *Error {
	return &Error{Kind: Unavailable, Op: op, Err: err, Msg: who + " has no database \"" + name + "\": create it there first (CREATE DATABASE), or mend the address"}
}

// Unreached is the error of a server that we need and cannot talk to: who it is, where, and why. What the
// network says of an address holds no password; said is what the server itself answered, or "".
func Unreached(op, who, said string, err error) *Error {
	f := &Error{Kind: Unavailable, Op: op, Err: err}
	var network *net.OpError
	var name *net.DNSError
	switch {
	case said != "":
		f.Msg = who + " does not let us in: " + said
	case errors.As(err, &name) && name.IsNotFound:
		f.Msg = who + ": there is no such host"
	case errors.As(err, &network) && !network.Timeout():
		f.Msg = who + " does not answer: " + network.Err.Error()
	case network != nil, errors.Is(err, context.DeadlineExceeded):
		f.Msg = who + " does not answer in time"
	default:
		last := err
		for next := errors.Unwrap(last); next != nil; next = errors.Unwrap(last) {
			last = next // what was first said, without the libraries' words around it
		}
		said, _, _ = strings.Cut(last.Error(), "\n")
		f.Msg = who + " cannot be used: " + said
	}
	return f
}
