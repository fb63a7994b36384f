// Package auth turns a request into a data.Caller, and lets people in. It keeps the API keys, the list of operators, and what
// users prove themselves with: passwords, what is sent to them by mail, second factors and passkeys. Gate.Caller is the one
// place that reads a credential; Gate.signIn the one where every way in ends.
package auth
