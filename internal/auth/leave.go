package auth

import (
	"errors"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// leave answers DELETE /api/auth/me {password?}: the user is deleted, with all that proves who he is and, as the references of the
// app file say, with what is his. It is the owner who asks (sure), and he is told by mail.
func (g *Gate) leave(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := mayForm(w, r)
	if err != nil {
		return err
	}
	password := f.maybe("password")
	if err := f.err(); err != nil {
		return err
	}
	who, _, err := g.sure(r, p, password, "password", false)
	if err != nil {
		return err
	}
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if err := g.present(tx, who, p.session); err != nil {
			return err
		}
		if err := tx.Delete(g.people.users.Name, who.id); err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "account-deleted", To: who.email, Lang: language(r)})
	})
	switch {
	case errors.Is(err, data.ErrLastOwner):
		return err
	case fault.Is(err, fault.NotFound):
		return refused // he was deleted meanwhile
	case fault.Is(err, fault.Conflict):
		return stays
	case err != nil:
		return err
	}
	g.renewed(who.id)
	if len(r.Header["Authorization"]) == 0 {
		g.cookie.drop(w)
	}
	g.note(r.Context(), "deleted", who.id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// stays is the answer to who cannot be deleted: the names of the collections that keep him are not his to know.
var stays = &fault.Error{Kind: fault.Conflict, Msg: "the account stays: there are records that refer to it, and that do not go with it",
	Fields: []fault.Field{{Code: "referenced", Message: "is still referred to by other records"}}}
