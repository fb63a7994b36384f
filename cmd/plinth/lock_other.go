//go:build !unix

package main

// Elsewhere an open database file cannot be replaced: the system refuses it.

func share(string) (release func(), err error) { return func() {}, nil }
func alone(string) (release func(), err error) { return func() {}, nil }
