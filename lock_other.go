//go:build !unix

package plinth

import "os"

// Elsewhere an open database file cannot be replaced: the system refuses it.

func share(*os.File) error { return nil }
func alone(*os.File) error { return nil }
