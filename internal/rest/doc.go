// Package rest is the HTTP door to the records of an app: routes, decoding, replies, files, the
// OpenAPI description and the static frontend. It decides nothing about who may see or do what:
// package data does. Each act has a file, named as its sibling in package data.
package rest
