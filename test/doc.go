// Package test holds the tests of the whole system: the built program, real files, real requests.
// Scripts are in testdata/script; go test ./test -update rewrites their expected answers.
package test
