//go:build !race

package rest_test

// raced says that the race detector runs, which empties pools: what is used again is allocated again.
const raced = false
