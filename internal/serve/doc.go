// Package serve is the process around a handler: its listeners and their limits, how many connections there may be, HTTP/3, the line that
// says it is ready, an end that lets requests finish, handing over to another process, the log, and the watch over an app file that is
// being worked on.
package serve
