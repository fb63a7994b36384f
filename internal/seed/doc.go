// Package seed loads records from files into an app: a few that an app begins with, or the tables of
// real data that it is about. See docs/seed.md for the forms of the files.
package seed
