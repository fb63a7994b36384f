// Package spec is the app file: read with positions, checked, printed, compared.
//
// It is pure: it reads files of the app's folder and nothing else. What it makes is an *App
// in which every name is resolved and every expression compiled; nothing after it asks
// whether the app makes sense.
package spec
