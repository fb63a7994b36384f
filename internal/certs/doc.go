// Package certs is how an app comes to be served by https: its own certificate, read from files; certificates by ACME
// (RFC 8555), kept in the app's database and shared by all processes on it; or, for development, one by an authority that
// is made here. It gives a TLS configuration for the https listener, and the handler of the http listener beside it.
package certs
