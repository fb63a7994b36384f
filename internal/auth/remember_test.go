package auth

import (
	"testing"
	"time"
)

// A user who is to be looked up anew is, whatever he comes with, and also when he was being looked up at that moment.
func TestForgetUser(t *testing.T) {
	t.Parallel()
	g := &Gate{known: map[[32]byte]*pass{}, byUser: map[string]map[[32]byte]struct{}{}}
	now := time.Now()
	keep := func(n byte, user string, anews uint64) bool {
		g.remember([32]byte{n}, &pass{user: user}, now, anews)
		return g.known[[32]byte{n}] != nil
	}
	if !keep(1, "ann", 0) || !keep(2, "ann", 0) || !keep(3, "bob", 0) || !keep(4, "", 0) {
		t.Fatal("not remembered")
	}
	g.forgetUser("ann")
	if len(g.known) != 2 || g.byUser["ann"] != nil {
		t.Errorf("%d are remembered, %v of her", len(g.known), g.byUser["ann"])
	}
	if keep(1, "ann", 0) {
		t.Error("what was looked up before is remembered")
	}
	if !keep(3, "bob", 0) || !keep(4, "", 0) || !keep(1, "ann", 1) {
		t.Error("others are not remembered, or she for ever")
	}
	for range g.anew {
		g.forgetUser("")
	}
	if !keep(3, "bob", 1) {
		t.Error("bob is not remembered")
	}
	if g.forgetUser("eve"); keep(3, "bob", 1) {
		t.Error("too many were to be looked up anew since to know")
	}
}
