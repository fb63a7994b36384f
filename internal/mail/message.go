package mail

import (
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/bluell/plinth/fault"
)

// Template names a mail. Its texts are built in, in English and German, and an app may bring its own (docs/mail.md).
type Template string

const (
	Verify          Template = "verify"           // the link that confirms an address
	Reset           Template = "reset"            // the link by which a password is set anew
	Code            Template = "code"             // a one-time code, and a link that has it, if there is a token
	EmailChange     Template = "email-change"     // to the new address: the link that confirms the change
	EmailChanged    Template = "email-changed"    // to the old address: it was changed
	Taken           Template = "taken"            // to whom the address belongs: somebody tried to register with it
	Invite          Template = "invite"           // the link by which an invitation is accepted
	Invited         Template = "invited"          // to who is invited and has an account already
	TeamInvite      Template = "team-invite"      // to who has an account: the link by which an invitation to a team is accepted
	PasswordChanged Template = "password-changed" // it was changed
	FactorAdded     Template = "factor-added"     // a second factor was set up
	FactorRemoved   Template = "factor-removed"   // one was removed
	FactorBlocked   Template = "factor-blocked"   // too many codes were wrong: somebody may know the password
	RecoveryCodes   Template = "recovery-codes"   // new ones were made
	RecoveryUsed    Template = "recovery-used"    // somebody signed in by one
	IdentityAdded   Template = "identity-added"   // a sign-in with a provider was linked
	IdentityRemoved Template = "identity-removed" // one was removed
	AccountDeleted  Template = "account-deleted"  // by its owner
	Test            Template = "test"             // of plinth mail test
)

// form is what a template says beside what all say.
type form struct {
	path  string   // of the page of the app that its link leads to
	vars  []string // beside those of every template
	token bool     // its link needs one
	code  bool     // it needs one
}

var forms = map[Template]form{
	Verify:          {path: "/auth/verify", vars: []string{"Link", "Valid"}, token: true},
	Reset:           {path: "/auth/reset", vars: []string{"Link", "Valid"}, token: true},
	Code:            {path: "/auth/code", vars: []string{"Code", "Link", "Valid"}, code: true},
	EmailChange:     {path: "/auth/email", vars: []string{"Link", "Valid"}, token: true},
	EmailChanged:    {},
	Taken:           {},
	Invite:          {path: "/auth/invite", vars: []string{"By", "Team", "Link", "Valid"}, token: true},
	Invited:         {vars: []string{"By"}},
	TeamInvite:      {path: "/auth/team", vars: []string{"By", "Team", "Link", "Valid"}, token: true},
	PasswordChanged: {},
	FactorAdded:     {vars: []string{"Passkey"}},
	FactorRemoved:   {vars: []string{"Passkey"}},
	FactorBlocked:   {},
	RecoveryCodes:   {},
	RecoveryUsed:    {},
	IdentityAdded:   {vars: []string{"Provider"}},
	IdentityRemoved: {vars: []string{"Provider"}},
	AccountDeleted:  {},
	Test:            {},
}

// general are the variables of every template.
var general = []string{"App", "URL", "To", "Name"}

// Message is a mail that is to be sent, to one address.
type Message struct {
	Template Template
	To       string        // the address alone
	Name     string        // whose it is, for the header and the template; "", or what may be taken for an address: none
	Lang     string        // a BCP 47 tag, like de-AT; without a text in it the next more general one is taken, then English
	Token    string        // of the link
	Code     string        // what is typed in
	By       string        // who invites; "", or what may be taken for an address: nobody is named
	Team     string        // what the team is called that it is about; "", or what may be taken for an address: it is not named
	Passkey  string        // the name of the passkey that it is about; "": the authenticator app
	Provider string        // what the provider is called that it is about, by the app file
	Valid    time.Duration // for how long Token and Code are: it is said in the mail, which is not sent after that
}

const (
	maxName  = 100 // characters
	maxToken = 1000
	maxCode  = 40
	// unhurried is for how long a mail without a secret is worth being sent.
	unhurried = 3 * 24 * time.Hour
)

// check refuses what cannot be sent, and makes names plain. What is wrong is *fault.Error of kind Invalid.
func (m *Message) check() error {
	f, ok := forms[m.Template]
	switch {
	case !ok:
		return fault.New(fault.Invalid, "there is no mail %q", m.Template)
	case f.token != (m.Token != "") && m.Template != Code:
		return fault.New(fault.Invalid, "a mail %s has a token: %t", m.Template, f.token)
	case f.code != (m.Code != ""):
		return fault.New(fault.Invalid, "a mail %s has a code: %t", m.Template, f.code)
	case (f.token || f.code) != (m.Valid > 0):
		return fault.New(fault.Invalid, "a mail %s is valid for a time: %t", m.Template, f.token || f.code)
	case len(m.Token) > maxToken || strings.ContainsFunc(m.Token, secretive):
		return fault.New(fault.Invalid, "the token of a mail %s is not made of printable ASCII", m.Template)
	case len(m.Code) > maxCode || strings.ContainsFunc(m.Code, secretive):
		return fault.New(fault.Invalid, "the code of a mail %s is not made of printable ASCII", m.Template)
	case !languageTag(m.Lang) && m.Lang != "":
		return fault.New(fault.Invalid, "%q is no language: it is a tag like en or de-AT", clipped(m.Lang, 40))
	}
	m.Name, m.By, m.Team = plainName(m.Name), plainName(m.By), plainName(m.Team)
	if m.Passkey != "" {
		if m.Passkey = plainName(m.Passkey); m.Passkey == "" {
			m.Passkey = "Passkey"
		}
	}
	_, err := address(m.To)
	return err
}

// secretive says of a character that it is in no token and in no code.
func secretive(r rune) bool { return r <= ' ' || r > '~' }

// domains is how a name is looked up, with no empty label and none that is longer than DNS allows.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// address reads an address as it stands in an envelope: the domain in ASCII (RFC 5890), so that only what is before
// the @ can ask for SMTPUTF8. Quoted local parts and addresses of hosts in brackets are refused, as in a field of type
// email.
func address(s string) (string, error) {
	wrong := fault.New(fault.Invalid, "%q is no e-mail address to which a mail can be sent", clipped(s, 254))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 64 || domain == "" || !utf8.ValidString(s) {
		return "", wrong
	}
	for _, r := range local {
		if r <= ' ' || strings.ContainsRune(`()<>[]:;@\,"`, r) || !unicode.IsPrint(r) {
			return "", wrong
		}
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", wrong // RFC 5322: no server would take it but quoted
	}
	ascii, err := domains.ToASCII(domain)
	if err != nil || strings.HasSuffix(ascii, ".") {
		return "", wrong
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", wrong
	}
	return local + "@" + ascii, nil
}

// oneLine makes a text of others fit for a header and a line of a mail: no control characters, none that turn the
// direction of writing, white space as one blank, so many characters at most.
func oneLine(s string, most int) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		word = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) && r != 0x200d && r != 0x200c { // joiners are part of words and emoji
				return -1
			}
			return r
		}, word)
		if word == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return clipped(b.String(), most)
}

// plainName is a name that others have given themselves, fit for a mail in ours: "" where a mail program would make a
// link of it, or a reader take it for another sender's address.
func plainName(s string) string {
	s = oneLine(s, maxName)
	if strings.ContainsAny(s, "@<>/:＠") || dotted().MatchString(s) {
		return ""
	}
	return s
}

// dotted is what may be the name of a host.
var dotted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\pL\pN]\.[\pL\pN]`) })

// clipped is a text of so many characters at most.
func clipped(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// languageTag says whether s has the form of a BCP 47 tag.
func languageTag(s string) bool {
	for i, part := range strings.Split(s, "-") {
		if len(part) < 1 || len(part) > 8 || i == 0 && len(part) < 2 {
			return false
		}
		for _, c := range []byte(part) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
				return false
			}
		}
	}
	return len(s) <= 35
}
