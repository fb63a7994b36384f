package certs

import "time"

// Hurry makes the times of Options short for tests.
func (o *Options) Hurry(check, unit time.Duration, window float64) {
	o.check, o.unit, o.window = check, unit, window
}

// What tests look into.
var (
	NewStore = newStore
)

// Store is certmagic's storage.
type Store = store

// Keep in tests what is stored.
func (m *Managed) Stored() *Store { return m.store }

// IssuerKeys are what issuers are called in keys.
func (m *Managed) IssuerKeys() (all []string) {
	for _, i := range m.issuers {
		all = append(all, i.IssuerKey())
	}
	return all
}

// Look is Keep of Files, once.
func (f *Files) Look(now time.Time) { f.look(now) }

// Age makes what an authority has issued as old as it may become.
func (l *Local) Age() { l.leaf.Leaf.NotAfter = time.Now().Add(leafLife/2 - time.Second) }
