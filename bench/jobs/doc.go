// Package jobs measures Plinth's jobs beside River (github.com/riverqueue/river) on one PostgreSQL, and Plinth on SQLite,
// in one run: README.md of the folder above says how. It is a module of its own, so that nobody who builds Plinth
// fetches River.
package jobs
