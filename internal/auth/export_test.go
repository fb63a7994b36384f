package auth

import (
	"encoding/json"

	"github.com/bluell/plinth/doc"
)

// Sealed is what a job has that answers a request.
func (g *Gate) Sealed(asks *doc.Node) (json.RawMessage, error) { return g.sealed(asks) }

// Crowd is under what wrong passwords are counted for an address that nobody has.
func (g *Gate) Crowd(whom string) string { return g.crowd(whom) }
