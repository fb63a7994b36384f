package fault

import (
	"context"
	"errors"
	"net"
	"strings"
)

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
