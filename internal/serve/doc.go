// Package serve is the process around a handler: the listener and its limits, the line that says it
// is ready, an end that lets requests finish, the log, and the watch over an app file that is being
// worked on.
package serve
