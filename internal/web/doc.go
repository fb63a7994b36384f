// Package web is what every HTTP door does the same way: problem details (RFC 9457) as the one
// exit of errors, parameters, bodies and preconditions read strictly, and the guard that stands
// before all doors (security headers, CORS, forged requests, panics, the access log).
package web
