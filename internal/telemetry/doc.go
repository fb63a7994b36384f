// Package telemetry tells how a server is: metrics for Prometheus, traces by OpenTelemetry's protocol, and, for whoever develops, the
// times of a request in its answer.
//
// It implements the observers that other rooms declare (web.Observer, data.Observer, jobs.Observer, auth.Observer) and is handed to them
// by package plinth. What nobody has asked for costs nothing: without an operator's listener there are no metrics, and without an
// endpoint no traces.
//
// Labels are bounded: routes are patterns, methods and kinds are of a list. Neither they nor the attributes of spans hold a value of
// anybody's: no path, no query, no body, no argument of a statement, no address.
package telemetry
