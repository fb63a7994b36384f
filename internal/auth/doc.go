// Package auth turns a request into a data.Caller. It keeps the API keys and the list of operators,
// and it is where users and their sessions will be: Gate.Caller is the one place that reads a
// credential.
package auth
