package web

import (
	"context"
	"net/http"
	"net/netip"
)

// Connection is what a server knows of a connection that carries one request after the other.
type Connection interface {
	// Client is the address that the connection is counted for; not valid where many share it, as behind a trusted proxy.
	Client() netip.Addr

	// Doubtful says whether servers could read a request differently.
	Doubtful(r *http.Request) bool

	// Gather keeps what is written until Send, which writes it as one: net/http writes in pieces of 4 KB, each a call of the system,
	// and crypto/tls in records of less.
	Gather()
	Send()
}

// Connected is a context of the requests of a connection.
func Connected(ctx context.Context, c Connection) context.Context {
	return context.WithValue(ctx, connections{}, c)
}

type connections struct{}

// connectionOf is the connection of a request; nil where it carries others beside it.
func connectionOf(r *http.Request) Connection {
	if r.ProtoMajor > 1 {
		return nil
	}
	c, _ := r.Context().Value(connections{}).(Connection)
	return c
}
