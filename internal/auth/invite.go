package auth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Whoever may invite (auth.invite, data.Invitable) says of somebody by his address what he could say of a user's record: the role
// and other fields. That rests in an invitation, whose token is sent to the address by a job, so that neither the answer nor its
// time tells whether somebody has an account there. Of one inviter an address has one invitation: another takes its place; those of
// others stay. It is good once, for inviteLife, and only as long as who invited could still do it.

// ofInvitations is what is kept of invitations. about is what they are found by, whose the scope of the inviter, by he himself
// where he is a user; says are the fields; hash is there when the mail is.
const ofInvitations = `
_invitations:
  fields:
    about:   {type: text, max: 64, required: true}
    whose:   {type: text, max: 100, required: true}
    by:      {type: ref, to: USERS, onDelete: cascade}
    mfa:     {type: bool, required: true, default: false}
    email:   {type: text, max: 254, required: true, encrypted: true}
    says:    {type: text, required: true, encrypted: true}
    hash:    {type: text, max: 64}
    expires: {type: time, required: true}
  indexes:
    - {fields: [about, whose], unique: true}
    - [whose]
    - [expires]
`

const (
	toJoin         = "invite" // the purpose of the job
	inviteLife     = 7 * 24 * time.Hour
	invitesPerHour = 100 // by one inviter
	mostInvites    = 100 // that are shown
)

// Invitation is what somebody was invited to, as who invited him sees it.
type Invitation struct {
	ID      string    `json:"id"`
	Email   string    `json:"email"`
	Role    string    `json:"role"`
	By      string    `json:"by,omitempty"` // the id of the user who invites; "": a key, or an operator at the command line
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Link    string    `json:"link,omitempty"` // where it was asked for in place of a mail: told this once

	whose    string
	mfa      bool
	says     *doc.Node
	team     string // to which; "": to none
	teamRole string
}

func (g *Gate) invitationOf(rec data.Record) (Invitation, error) {
	c := &g.people.invitation
	v := Invitation{ID: rec[spec.OrdID].Text(), Email: rec[c.email].Text(), By: rec[c.by].Text(), Created: at(rec[spec.OrdCreated].Int()),
		Expires: at(rec[c.expires].Int()), whose: rec[c.whose].Text(), mfa: rec[c.mfa].Bool()}
	says, err := doc.Parse([]byte(rec[c.says].Text()), doc.Limits{})
	if err != nil {
		return v, err
	}
	if g.teams().On() {
		v.team, v.teamRole = rec[c.team].Text(), rec[c.teamRole].Text()
	}
	v.says, v.Role = says, g.db.App().Roles[0]
	if n, ok := says.Get("role"); ok {
		v.Role = n.Text
	}
	return v, nil
}

func (v *Invitation) json(dst []byte) []byte {
	dst = append(append(append(dst, `{"id":"`...), v.ID...), `","email":`...)
	dst = doc.AppendString(dst, v.Email)
	role := v.Role
	if v.team != "" {
		dst = doc.AppendString(append(dst, `,"team":`...), v.team)
		role = v.teamRole
	}
	dst = doc.AppendString(append(dst, `,"role":`...), role)
	if dst = append(dst, `,"by":`...); v.By == "" {
		dst = append(dst, "null"...)
	} else {
		dst = doc.AppendString(dst, v.By)
	}
	dst = v.Created.AppendFormat(append(dst, `,"created":"`...), timeFormat)
	dst = v.Expires.AppendFormat(append(dst, `","expires":"`...), timeFormat)
	return append(dst, `"}`...)
}

// invitationRoutes are those of who invites, and of who is invited.
var invitationRoutes = []route{
	{method: http.MethodGet, path: "invitations", act: (*Gate).listInvitations, signed: true,
		tag: "auth.invitations", name: "list", summary: "List invitations", text: "Those of who asks that are good, and to an operator all; the newest first, at most 100.",
		gives: tells("The invitations", "items [Invitation]")},
	{method: http.MethodPost, path: "invitations", act: (*Gate).invite, counted: true, signed: true,
		tag: "auth.invitations", name: "invite", summary: "Invite somebody", text: "Sends a mail to the address. The role and other fields of the user who would be are those that who asks may give (`auth.invite`). Another takes the place of one's own to the same address.",
		takes: "email address, role? text", more: true, fails: []int{http.StatusConflict},
		gives: []Answer{{Status: http.StatusCreated, Text: "The invitation", shape: "Invitation"}}},
	{method: http.MethodDelete, path: "invitations/{id}", act: (*Gate).revoke, signed: true,
		tag: "auth.invitations", name: "revoke", summary: "Take an invitation back", text: "Its link is good for nothing any more.",
		fails: []int{http.StatusNotFound}, gives: done("It is gone")},
	{method: http.MethodPost, path: "invitations/accept", act: (*Gate).accept, counted: true,
		tag: "auth.invitations", name: "accept", summary: "Accept an invitation", text: "The token is that of the mail. The body has the fields of the user too which the invitation does not say.",
		takes: "token text, password password, cookie? flag|null", more: true, fails: []int{http.StatusConflict}, gives: begins("Session")},
}

// inviter is who asks about invitations: a user, a key or an operator. The token of another issuer is none of them: nobody could
// tell later whether its owner may still invite.
func (g *Gate) inviter(w http.ResponseWriter, r *http.Request) (data.Caller, error) {
	by, err := g.Caller(r)
	if err != nil {
		_ = web.Asks(w, nil)
		return by, err
	}
	if err := web.Asks(w, &by); err != nil {
		return by, err
	}
	switch {
	case !by.SignedIn:
		err = fault.New(fault.Unauthenticated, "sign in first")
	case by.ID == "" && strings.HasPrefix(by.Scope, "token:"):
		err = fault.New(fault.Denied, "you may not invite people")
	}
	return by, err
}

// invite answers POST /api/auth/invitations {email, role?, …fields}.
func (g *Gate) invite(w http.ResponseWriter, r *http.Request) error {
	by, err := g.inviter(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email := f.address("email")
	for _, name := range []string{"id", "verified", "disabled", "anonymous"} {
		if _, ok := f.take(name); ok {
			f.add(name, "readonly", "is not yours to say")
		}
	}
	says := f.rest()
	may := g.db.Invitable(r.Context(), by, says, address(email))
	if fault.Is(may, fault.Denied) || fault.Is(may, fault.Unauthenticated) {
		return may // before anything about the form
	}
	if err := f.err(); err != nil {
		return err
	}
	if may != nil {
		return may
	}
	if err := g.countInvitation(r.Context(), by, email); err != nil {
		return err
	}
	if by.Operator {
		if err := g.isNew(r.Context(), email); err != nil {
			return err
		}
	}
	v, _, err := g.newInvitation(r.Context(), by, Invitation{Email: email, says: says}, language(r), false)
	if err != nil {
		return err
	}
	web.JSON(w, r, http.StatusCreated, v.json(nil))
	return nil
}

// countInvitation counts one that is asked for, by who invites and by the address.
func (g *Gate) countInvitation(ctx context.Context, by data.Caller, email string) error {
	if g.mail == nil {
		return noMail
	}
	if err := g.count(ctx, "invites", by.Scope, invitesPerHour, time.Hour); err != nil {
		return err
	}
	return g.count(ctx, "invited", expr.Fold(email), mailsPerHour, time.Hour)
}

// address is a body with an address alone.
func address(email string) *doc.Node {
	own := doc.NewObject()
	own.Set("email", doc.NewString(email))
	return own
}

// isNew refuses an address that has an account, which operators may know.
func (g *Gate) isNew(ctx context.Context, email string) error {
	who, err := g.personByEmail(ctx, email)
	if err == nil && who != nil && who.verified {
		err = &fault.Error{Kind: fault.Conflict, Msg: "somebody has an account with this address", Fields: []fault.Field{{Pointer: "/email", Code: "unique", Message: "has an account"}}}
	}
	return err
}

// newInvitation stores an invitation, of which an address and what is said are known, in the place of the one that the address has of the
// same inviter (to the same team), and leaves the job that sends it. With shown there is no mail, and the token is told.
func (g *Gate) newInvitation(ctx context.Context, by data.Caller, to Invitation, lang string, shown bool) (v Invitation, token string, err error) {
	for range 5 { // others may invite the same one at the same time
		v, token, err = g.storeInvitation(ctx, by, to, lang, shown)
		if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
			break
		}
	}
	return v, token, err
}

func (g *Gate) storeInvitation(ctx context.Context, by data.Caller, v Invitation, lang string, shown bool) (_ Invitation, token string, err error) {
	about, whose := g.about(v.Email), by.Scope
	if v.team != "" {
		whose += "/" + v.team
	}
	old, err := g.first(ctx, "_invitations", "about == param.a && whose == param.b", about, whose)
	if err != nil {
		return v, "", err
	}
	now := g.clock().Truncate(time.Millisecond)
	t := g.proof.mint(now)
	v.ID, v.Role, v.By, v.Created, v.Expires = t.recordID(), g.db.App().Roles[0], by.ID, now.UTC(), now.Add(inviteLife).UTC()
	if n, ok := v.says.Get("role"); ok {
		v.Role = n.Text
	}
	body := doc.NewObject()
	body.Set("id", doc.NewString(v.ID))
	body.Set("about", doc.NewString(about))
	body.Set("whose", doc.NewString(whose))
	body.Set("mfa", doc.NewBool(by.MFA))
	body.Set("email", doc.NewString(v.Email))
	body.Set("says", doc.NewString(string(v.says.AppendCanonical(nil))))
	if v.team != "" {
		body.Set("team", doc.NewString(v.team))
		body.Set("team_role", doc.NewString(v.teamRole))
	}
	body.Set("expires", moment(v.Expires))
	if by.ID != "" {
		body.Set("by", doc.NewString(by.ID))
	}
	if shown {
		body.Set("hash", doc.NewString(t.hash()))
		token = g.proof.text(t)
	}
	asks := doc.NewObject()
	asks.Set("purpose", doc.NewString(toJoin))
	asks.Set("id", doc.NewString(v.ID))
	asks.Set("lang", doc.NewString(lang))
	payload, err := g.sealed(asks)
	if err != nil {
		return v, "", err
	}
	return v, token, g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		if old != nil {
			if err := tx.Delete("_invitations", old[spec.OrdID].Text()); err != nil {
				return err
			}
		}
		if _, err := tx.Create("_invitations", body); err != nil || shown {
			return err
		}
		_, err := tx.Enqueue(data.NewJob{Kind: JobKind, Payload: payload})
		return err
	})
}

// send works on the job of an invitation. Whoever has an account is told so; there is no token then, unless it is to a team. To who has
// none, and may not come here, nothing is sent: who invites is not told, for then he would know who has one.
func (g *Gate) send(ctx context.Context, tx *data.Tx, id, lang string) error {
	rec, err := g.record(ctx, "_invitations", id)
	if err != nil || rec == nil {
		return err // it was withdrawn, or another took its place
	}
	v, err := g.invitationOf(rec)
	if err != nil {
		return err
	}
	l := Letter{Template: "invite", To: v.Email, Lang: lang}
	if l.By, err = g.nameOf(ctx, v.By); err != nil {
		return err
	}
	who, err := g.personByEmail(ctx, v.Email)
	if err != nil {
		return err
	}
	switch known := who != nil && (who.verified || who.disabled); {
	case known && who.disabled:
		return nil
	case known && v.team != "":
		l.Template, l.To = toTeam, who.email
	case known:
		l.Template, l.To = "invited", who.email
		return g.post(tx, l)
	case v.team != "":
		if comes, err := g.stillHolds(ctx, &v, true); err != nil || !comes {
			return err
		}
	}
	if v.team != "" {
		if l.Team, err = g.teamName(ctx, v.team); err != nil {
			return err
		}
	}
	t, ok := g.proof.again(id)
	if !ok {
		return fault.New(fault.Internal, "the invitation %s has an id that is none", id)
	}
	body := doc.NewObject()
	body.Set("hash", doc.NewString(t.hash()))
	if _, err := tx.Update("_invitations", id, body); err != nil {
		return err
	}
	l.Token, l.Valid = g.proof.text(t), v.Expires.Sub(g.clock()).Round(time.Hour)
	if l.Valid <= 0 {
		return nil
	}
	return g.post(tx, l)
}

// nameOf is what a user is called where the app's users have a field that says it, for a mail to somebody who may know him.
func (g *Gate) nameOf(ctx context.Context, id string) (string, error) {
	f, ok := g.people.users.Field(g.people.users.Label)
	if id == "" || !ok || f.Type != spec.Text || f.Encrypted {
		return "", nil
	}
	who, err := g.personByID(ctx, id)
	if err != nil || who == nil {
		return "", err
	}
	return who.rec[f.Ord].Text(), nil
}

// listInvitations answers GET /api/auth/invitations: those of who asks, and of an operator all.
func (g *Gate) listInvitations(w http.ResponseWriter, r *http.Request) error {
	by, err := g.inviter(w, r)
	if err != nil {
		return err
	}
	q := &data.ListQuery{Filter: "expires > now && whose == param.a", Params: map[string]*doc.Node{"a": doc.NewString(by.Scope)}}
	if by.Operator {
		q.Filter, q.Params = "expires > now", nil
		if g.teams().On() {
			q.Filter += " && team == null" // those are told with their team
		}
	}
	return g.tellInvitations(w, r, q)
}

// tellInvitations answers with those that are asked for.
func (g *Gate) tellInvitations(w http.ResponseWriter, r *http.Request, q *data.ListQuery) error {
	q.Collection, q.Limit, q.Sort = "_invitations", mostInvites, "-id"
	records, _, err := g.db.Records(r.Context(), data.System, q)
	if err != nil {
		return err
	}
	body := []byte(`{"items":[`)
	for i, rec := range records {
		v, err := g.invitationOf(rec)
		if err != nil {
			return err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = v.json(body)
	}
	web.JSON(w, r, http.StatusOK, append(body, `]}`...))
	return nil
}

// revoke answers DELETE /api/auth/invitations/{id}.
func (g *Gate) revoke(w http.ResponseWriter, r *http.Request) error {
	by, err := g.inviter(w, r)
	if err != nil {
		return err
	}
	if by.ReadOnly {
		return fault.New(fault.Denied, "this key is read-only")
	}
	id, none := r.PathValue("id"), fault.New(fault.NotFound, "there is no such invitation")
	if !data.ValidID(id) {
		return none
	}
	rec, err := g.record(r.Context(), "_invitations", id)
	if err != nil {
		return err
	}
	if rec == nil || !by.Operator && rec[g.people.invitation.whose].Text() != by.Scope {
		return none
	}
	if _, err := g.db.Delete(r.Context(), data.System, "_invitations", id, data.WriteOptions{}); err != nil {
		if fault.Is(err, fault.NotFound) {
			return none
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// InviteOptions say who is invited from the command line.
type InviteOptions struct {
	Email, Role, Lang string
	Link              bool // it is told in place of a mail
}

// Invite invites somebody as an operator.
func (g *Gate) Invite(ctx context.Context, o InviteOptions) (Invitation, error) {
	switch {
	case g.people == nil:
		return Invitation{}, noPeople
	case !data.ValidEmail(o.Email) || len(o.Email) > maxAddress:
		return Invitation{}, fault.New(fault.Invalid, "%q is not an e-mail address", o.Email)
	case o.Role != "" && !hasRole(g.db.App(), o.Role):
		return Invitation{}, noRole(g.db.App(), o.Role)
	case g.mail == nil && !o.Link:
		return Invitation{}, noMail
	}
	says := doc.NewObject()
	if o.Role != "" {
		says.Set("role", doc.NewString(o.Role))
	}
	if err := g.isNew(ctx, o.Email); err != nil {
		return Invitation{}, err
	}
	v, token, err := g.newInvitation(ctx, data.System, Invitation{Email: o.Email, says: says}, o.Lang, o.Link)
	if o.Link {
		v.Link = g.base() + "/auth/invite?token=" + token
	}
	return v, err
}
