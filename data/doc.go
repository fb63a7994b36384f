// Package data is the portable database: records, rules, transactions and changes with one
// meaning on every engine. It is the one place that authorises and projects.
package data
