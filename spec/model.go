package spec

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/bluell/plinth/expr"
)

// App is one app file, checked: everything in it is resolved and every expression compiled.
type App struct {
	Name        string
	Dir         string   // the folder it was read from
	Roles       []string // the least one first
	Auth        Auth
	Collections []*Collection // in the order of the file, then those Plinth keeps for itself
	Schedules   []*Schedule
	Channels    []*Channel
	Server      Server
	Mail        Mail
	Files       Files
	Changes     Changes
	Tests       []*Test   // in the order of the files
	Notes       []Problem // what is right and worth knowing: keys that have no effect yet, fields that let nobody create a record

	byName map[string]*Collection
}

// Changes says how long the log of changes goes back.
type Changes struct {
	Keep time.Duration // at least a minute
	Most int64         // at least 1000
}

// Auth is the auth section (docs/app-file.md). Collection is "" where there are no users.
type Auth struct {
	On         bool   // people can sign in: there is an auth section, or a reference to users that nobody declared
	Collection string // where users live
	Register   string // open invite closed
	Verify     string // required optional
	RoleBy     *expr.Expr
	Invite     *expr.Expr    // who may invite, asked about the user who would be; nil: operators
	Anonymous  time.Duration // how long anonymous users are kept without a session; 0: there are none
	Expose     []string      // fields among email, verified, role that whoever reads the record may read
	Password   Password
	Sessions   Sessions
	MFA        MFA
	Teams      Teams
	Passkeys   Passkeys
	Providers  []Provider
	Profile    []Told // what a new user takes from a provider
	Trust      []Trust
	Pages      Pages
}

// MFA says who must have a second factor.
type MFA struct{ Required []string } // roles

// Passkeys says for which pages passkeys are (WebAuthn level 3, 5.1.3 and 13.4.9).
type Passkeys struct {
	Domain  string   // the RP ID; "" where server.url has no domain, or is absent
	Origins []string // server.url's first
}

// Sessions says how long somebody who signs in stays signed in.
type Sessions struct {
	Idle    time.Duration // without a request
	Longest time.Duration // in any case
}

// Password says what a password must be.
type Password struct{ MinLength int }

// Server is the server section (docs/app-file.md).
type Server struct {
	URL            string
	Domains        []string // certificates by ACME
	TLS            TLS
	ACME           ACME
	HTTP, HTTPS    string // addresses to listen on, where there are domains or a certificate
	HTTP3          bool   // beside https
	CORS           CORS
	Limits         Limits
	TrustedProxies Proxies
	Operator       Operator
	SPA            bool // a page that is not there is public/index.html
	Pos            Pos  // zero where there is no section
}

// Proxies are the networks of proxies whose word is taken for where a request comes from.
type Proxies []netip.Prefix

// Has says whether an address is one of theirs, in whichever form it is written.
func (p Proxies) Has(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// TLS names the files of a certificate, relative to the folder; both or neither.
type TLS struct {
	Cert, Key           string
	CertPos, KeyPos     Pos
	CertShown, KeyShown string // as they may stand in a message: what comes from the environment may be the key itself
}

// ACME is where certificates come from. Roots is a file, relative to the folder.
type ACME struct {
	Issuer, Roots, Email string // Issuer "": Let's Encrypt
	Account              Account
	Fallback             *Issuer // asked where the issuer has failed; may be nil
	RootsPos             Pos
}

// Issuer issues certificates by ACME.
type Issuer struct {
	URL, Roots string
	Account    Account
	RootsPos   Pos
}

// Account is an account that somebody has with an issuer already (RFC 8555, 7.3.4). Key, in base64url, is never printed.
type Account struct{ ID, Key string }

// Operator is the operator's own listener; Listen "" is none.
type Operator struct{ Listen string }

// Local says whether only this machine reaches it.
func (o Operator) Local() bool {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// CORS says which other origins may call.
type CORS struct {
	Origins     []string
	Credentials bool
}

// Limits bound a request.
type Limits struct {
	Body     int64         // bytes
	Header   int           // bytes
	Timeout  time.Duration // of one request
	Requests Rate          // of one caller
	Streams  int           // live connections of one caller, at one process

	Connections int // that a process has open at once
	PerAddress  int // of them, from one address
}

// Rate is so many in a time. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Mail is the mail section. SMTP may hold a password: it is never printed. Pos is zero where there is no section.
type Mail struct {
	From, SMTP string
	Pos        Pos
}

// Files is the files section.
type Files struct {
	Store string // disk or s3
	S3    S3
}

// S3 is a bucket. Key and Secret are never printed.
type S3 struct{ Endpoint, Bucket, Key, Secret string }

// Collection is one kind of record.
type Collection struct {
	Name     string
	Label    string // the field that names a record to people
	Was      string // renamed from
	System   bool   // kept by Plinth: unreachable by rules and HTTP
	Users    bool   // where users live, and people can sign in
	Made     bool   // added by Plinth for users or teams, not declared
	Fields   []*Field
	Inverses []*Inverse
	Indexes  []*Index
	Validate []Validation
	Access   Access
	Pos      Pos

	byName map[string]*Field
}

// Ordinals of the fields that every record has.
const (
	OrdID = iota
	OrdCreated
	OrdUpdated
	OrdRev
	OrdFirst // the first field of the app's own
)

// FieldType is a type as the app file names it.
type FieldType uint8

const (
	Text FieldType = iota
	Email
	URL
	Int
	Bigint
	Float
	Decimal
	Bool
	Time
	Date
	Enum
	Ref
	List
	JSON
	File
)

// Role of a field that is not the app's own.
type Companion uint8

const (
	Own     Companion = iota
	Fold              // the Unicode fold of a ci field: NFC(fold(NFC(x)))
	Key               // the keyed hash of a searchable encrypted field
	Partial           // the key of a partial unique index where its condition holds
)

// Field is one field of a collection, at a fixed ordinal. Companions are fields too: hidden
// columns that package data computes, so that engines compare bytes and numbers only.
type Field struct {
	Name string // a companion's has a $, which never occurs in an app's: "email$fold", "phone$key", "one_call$index"
	Ord  int
	Type FieldType
	Elem FieldType // of a list's items

	Companion Companion
	Of        *Field // Fold, Key: the field it belongs to
	Index     *Index // Partial: the index it belongs to
	FoldOrd   int    // ordinal of its Fold companion; -1: none
	KeyOrd    int    // ordinal of its Key companion; -1: none
	Made      bool   // added by Plinth, not declared: of users email, verified, role, disabled, anonymous; all of teams and memberships that it made

	Required, Unique, Hidden, Fixed, CI, Personal bool
	Encrypted, Searchable                         bool

	Min, Max       *expr.Value // of numbers, times and dates
	MinLen, MaxLen int         // code points of a text, items of a list; 0: none
	ItemMax        int         // code points of each item of a list of text; 0: none
	Pattern        *regexp.Regexp
	Precision      int
	Scale          int
	Values         []EnumValue
	To             string // ref, list of ref: the collection
	OnDelete       OnDelete
	Inverse        string // the name by which To sees the records that refer to it
	Was            string // renamed from
	Label          string

	Accept   []string // file: media types; "image/*"
	MaxSize  int64    // file: bytes
	MaxFiles int      // file: 1 is an object, more an array

	Default     *expr.Value
	Init, Set   *expr.Expr
	Read, Write *expr.Expr // nil: the collection's rules alone decide
	Pos         Pos
}

// EnumValue is one value of an enum, with what people see.
type EnumValue struct{ Value, Label string }

// OnDelete says what becomes of a reference when the record it refers to is deleted.
type OnDelete uint8

const (
	Restrict OnDelete = iota
	Cascade
	Clear
)

// Inverse is the list of records that refer to a collection's record.
type Inverse struct {
	Name  string
	Of    *Collection // the collection that refers
	Field *Field      // its reference, or list of references
}

// Index is a declared index, or the index of a unique field.
type Index struct {
	Name   string
	Fields []*Field // as declared; every index ends with id by itself
	Unique bool
	Where  *expr.Expr // unique only: the index holds where this does
	Key    *Field     // with Where: the Partial companion that carries the key
	Pos    Pos
}

// Validation is one rule of the validate section.
type Validation struct {
	Rule    *expr.Expr
	Field   string // "" when it is about the record
	Message string
}

// Access are the rules of a collection. A nil rule closes the operation to all but operators.
type Access struct{ Read, Create, Update, Delete *expr.Expr }

// Pos is a place in the app file.
type Pos struct {
	File         string
	Line, Column int
}

// Collection finds a collection by name.
func (a *App) Collection(name string) (*Collection, bool) {
	c, ok := a.byName[name]
	return c, ok
}

// Field finds a field by name; companions are not found.
func (c *Collection) Field(name string) (*Field, bool) {
	f, ok := c.byName[name]
	return f, ok
}

// Inverse finds an inverse by name.
func (c *Collection) Inverse(name string) (*Inverse, bool) {
	for _, i := range c.Inverses {
		if i.Name == name {
			return i, true
		}
	}
	return nil, false
}

// Kind is the kind of the field's values as they are stored: Bytes when it is encrypted,
// JSON for files and json, Text for everything that is written as text.
func (f *Field) Kind() expr.Kind {
	if f.Encrypted {
		return expr.Bytes
	}
	return f.Type.Kind()
}

// Kind is the kind of values of a type.
func (t FieldType) Kind() expr.Kind {
	switch t {
	case Int:
		return expr.Int
	case Bigint:
		return expr.Bigint
	case Float:
		return expr.Float
	case Decimal:
		return expr.Decimal
	case Bool:
		return expr.Bool
	case Time:
		return expr.Time
	case Date:
		return expr.Date
	case List:
		return expr.List
	case JSON, File:
		return expr.JSON
	default:
		return expr.Text
	}
}

// ExprType is the field's type in expressions.
func (f *Field) ExprType() expr.Type {
	t := expr.Type{Kind: f.Type.Kind(), Scale: uint8(f.Scale), CI: f.CI}
	item := f.Type
	if f.Type == List {
		t.Elem, item = f.Elem.Kind(), f.Elem
	}
	if item == Ref {
		t.Ref = f.To
	}
	if item == Enum {
		for _, v := range f.Values {
			t.Enum = append(t.Enum, v.Value)
		}
	}
	return t
}
