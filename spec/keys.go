package spec

// form is what the value of a key looks like.
type form uint8

const (
	asText     form = iota // text for people or programs
	asWord                 // one of key.words
	asName                 // the name of something, looked up later
	asBool                 // true or false
	asInt                  // a whole number
	asSize                 // 500, 16KB, 1MB
	asDuration             // 30s, 5m, 24h
	asRate                 // 100/s
	asExpr                 // an expression
	asValue                // a value of the field's own type
	asTexts                // a list of texts, or one
	asNames                // a list of names, or one
	asValues               // the values of an enum: a list, or a map of value: label
	asObject               // key.shape
	asMap                  // a map of names to key.shape
	asPairs                // a map of names to words, of key.words
	asList                 // a list of key.shape
	asShort                // key.shape, or a word that stands for one
	asSwitch               // key.shape, or true or false
	asIndexes              // a list of key.shape, or of lists of names
)

// shape is a map with fixed keys.
type shape struct {
	name string // "a field"
	doc  string
	keys []key
}

// key is one key of a shape. This table is all that the reader accepts and all that the JSON
// Schema offers: neither knows a key that is not in it.
type key struct {
	name     string
	form     form
	doc      string
	shape    *shape
	words    []string    // asWord
	types    []FieldType // of a field's key: the types that take it; nil: all
	required bool
	remedy   string // required: what to do where it is missing
	idle     bool   // it is read and checked, and has no effect yet
}

func (s *shape) key(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

func (s *shape) names() []string {
	out := make([]string, len(s.keys))
	for i, k := range s.keys {
		out[i] = k.name
	}
	return out
}

var appShape = &shape{"the app file", "A Plinth app: its collections, who may do what, and how it is served.", []key{
	{name: "name", form: asText, doc: "The app's name, for people."},
	{name: "include", form: asTexts, doc: "Files that are part of this one, as globs within the folder: [collections/*.yaml]. Each holds sections of the app file, or a map of collections."},
	{name: "auth", form: asObject, shape: authShape, doc: "Who can sign in, and how."},
	{name: "collections", form: asMap, shape: collectionShape, doc: "The kinds of records, by name."},
	{name: "schedules", form: asMap, shape: scheduleShape, doc: "What is done at times, by name."},
	{name: "channels", form: asMap, shape: channelShape, doc: "Channels, by name: messages and presence, which are not stored."},
	{name: "server", form: asObject, shape: serverShape, doc: "Addresses, certificates and limits."},
	{name: "mail", form: asObject, shape: mailShape, doc: "How mail is sent."},
	{name: "files", idle: true, form: asObject, shape: filesShape, doc: "Where uploaded files are kept."},
	{name: "changes", form: asObject, shape: changesShape, doc: "How long the log of changes goes back."},
	{name: "tests", form: asList, shape: testShape, doc: "What the rules are to answer: plinth test asks it. Each file may have some."},
	{name: "spa", form: asBool, doc: "A page that is not there is public/index.html."},
}}

var testShape = &shape{"a test", "Who asks what of which records, and what he is to be answered.", []key{
	{name: "name", form: asText, required: true, doc: "What holds: nobody reads a draft."},
	{name: "given", form: asValue, doc: "The records that are there: {posts: {draft: {title: A, author: $anna}}}. $draft is the id of the record called draft, in the whole test."},
	{name: "as", form: asShort, shape: callerShape, doc: "Who asks: nobody (when absent), a role, operator, the name of a user under given, or {user, role, key, …}."},
	{name: "now", form: asText, doc: "When it is asked: 2026-01-31T12:00:00Z. 2026-01-01T12:00:00Z when absent."},
	{name: "do", form: asText, required: true, remedy: "write list posts, or update posts $draft, or GET /api/posts", doc: "What is asked: list or create COLLECTION; read, update, put or delete COLLECTION $NAME; or a method and an address: GET /api/posts/$draft?fields=title."},
	{name: "query", form: asValue, doc: "Parameters of the address: {filter: 'author == \"$anna\"', sort: -created}."},
	{name: "body", form: asValue, doc: "What is sent."},
	{name: "expect", form: asShort, shape: expectShape, required: true, remedy: "write allowed, denied, hidden or a status", doc: "The answer: allowed (2xx), denied (401 or 403), hidden (404), a status, or {status, records, fields, …}."},
}}

var callerShape = &shape{"as", "Who asks.", []key{
	{name: "user", form: asName, doc: "A user under given, by name."},
	{name: "role", form: asName, doc: "A user with this role, who is made for the test; his id is $me."},
	{name: "with", form: asValue, doc: "More fields of the user who is made: {team: red}. A rule sees them as auth.team."},
	{name: "mfa", form: asBool, doc: "The user has signed in with a second factor. Where auth.mfa.required names his role he has in any case: without one he is refused before any rule."},
	{name: "key", form: asName, doc: "An API key of this role, or of an operator. It has no id."},
	{name: "readOnly", form: asBool, doc: "A key that writes nothing."},
}}

var expectShape = &shape{"expect", "What is to be answered.", []key{
	{name: "status", form: asText, doc: "allowed (when absent), denied, hidden, or a status like 422."},
	{name: "records", form: asNames, doc: "Exactly the records that come back, by name, in any order."},
	{name: "fields", form: asNames, doc: "Exactly the fields that each record shows, beside id, created, updated and rev."},
	{name: "lacks", form: asNames, doc: "Fields that no record shows."},
	{name: "record", form: asValue, doc: "Fields of the one record that comes back, and their values."},
	{name: "errors", form: asNames, doc: "Exactly the fields that are blamed; the status is then 422 when absent."},
}}

var collectionShape = &shape{"a collection", "One kind of record.", []key{
	{name: "label", form: asName, doc: "The field that names a record to people."},
	{name: "fields", form: asMap, shape: fieldShape, doc: "The fields, by name, beside id, created, updated and rev."},
	{name: "indexes", form: asIndexes, shape: indexShape, doc: "Indexes: [a, b], or {fields: [a, b], unique: true}. Each ends with id by itself."},
	{name: "validate", form: asList, shape: validateShape, doc: "What must hold for a record, beyond its fields."},
	{name: "access", form: asObject, shape: accessShape, doc: "Who may do what. What has no rule is closed to everyone but operators."},
	{name: "was", form: asName, doc: "The name it had: renamed without loss."},
}}

var channelShape = &shape{"a channel", "Messages to all who listen, and who is there. Nothing of it is stored. Rules see key, auth and now.", []key{
	{name: "to", form: asName, doc: "The collection whose ids the keys are: then rules may look into the record, as in key.owner. A key is any text, or absent, without it."},
	{name: "read", form: asExpr, required: true, remedy: "who may listen? write read: auth.signedIn, or true for everyone", doc: "Who may listen, and see who is there."},
	{name: "write", form: asExpr, required: true, remedy: "who may send? write write: auth.signedIn, or 'false' for operators only", doc: "Who may send messages, and say something of himself in his state."},
	{name: "presence", form: asBool, doc: "Who listens is seen by the others."},
}}

var accessShape = &shape{"access", "Who may do what: an expression each. true opens it to everyone.", []key{
	{name: "read", form: asExpr, doc: "Who may read a record: lists hold only those for which it is true."},
	{name: "create", form: asExpr, doc: "Who may create a record; it is asked about the finished record."},
	{name: "update", form: asExpr, doc: "Who may change a record. input is the record as it would become; without input it must hold before and after."},
	{name: "delete", form: asExpr, doc: "Who may delete a record."},
	{name: "write", form: asExpr, doc: "Short for create, update and delete; one that is given by itself counts instead."},
}}

var indexShape = &shape{"an index", "An index over fields.", []key{
	{name: "fields", form: asNames, required: true, doc: "The fields, in order."},
	{name: "unique", form: asBool, doc: "No two records have the same values; many may have null."},
	{name: "where", form: asExpr, doc: "Unique only: it holds among the records for which this is true."},
	{name: "name", form: asName, doc: "Its name; made of the fields when absent."},
}}

var validateShape = &shape{"a validation", "What must hold for a record.", []key{
	{name: "rule", form: asExpr, required: true, doc: "True for a valid record."},
	{name: "field", form: asName, doc: "The field that needs attention when it is not."},
	{name: "message", form: asText, doc: "What people are told: must be after starts."},
}}

var (
	ordered   = []FieldType{Text, Int, Bigint, Float, Decimal, Time, Date}
	bounded   = []FieldType{Text, Int, Bigint, Float, Decimal, Time, Date, List, File}
	texts     = []FieldType{Text, Email, URL}
	uniques   = []FieldType{Text, Email, URL, Int, Bigint, Float, Decimal, Bool, Time, Date, Enum, Ref}
	defaulted = []FieldType{Text, Email, URL, Int, Bigint, Float, Decimal, Bool, Time, Date, Enum, Ref, List, JSON}
)

var fieldShape = &shape{"a field", "One field of a record.", []key{
	{name: "type", form: asWord, words: typeNames[:], required: true, doc: "What its values are."},
	{name: "required", form: asBool, doc: "It must be there and not null; an empty text, 0 and false are values."},
	{name: "default", form: asValue, types: defaulted, doc: "The value when none is given."},
	{name: "unique", form: asBool, types: uniques, doc: "No two records have the same value; many may have null. A text without max then has at most 255 characters."},
	{name: "min", form: asValue, types: ordered, doc: "The smallest value; of a text, the fewest characters."},
	{name: "max", form: asValue, types: bounded, doc: "The largest value; of a text, the most characters; of a list or file, the most items."},
	{name: "pattern", form: asText, types: []FieldType{Text}, doc: "A regular expression (RE2) that the text must match; anchor it with ^ and $."},
	{name: "ci", form: asBool, types: texts, doc: "Compares, sorts and is unique without regard to case."},
	{name: "encrypted", form: asBool, types: texts, doc: "Encrypted at rest. Only == null may be asked of it, or equality when it is searchable."},
	{name: "searchable", form: asBool, types: texts, doc: "An encrypted field may be asked for equality, by a keyed hash."},
	{name: "precision", form: asInt, types: []FieldType{Decimal}, doc: "Digits in all, at most 18, which is the default."},
	{name: "scale", form: asInt, types: []FieldType{Decimal}, doc: "Digits behind the point; 0 when absent."},
	{name: "values", form: asValues, types: []FieldType{Enum, List}, doc: "The values: [open, closed], or {open: Open for all, closed: Closed}."},
	{name: "of", form: asWord, words: wordsOf(itemTypes), types: []FieldType{List}, doc: "The type of the list's items."},
	{name: "to", form: asName, types: []FieldType{Ref, List}, doc: "The collection referred to."},
	{name: "onDelete", form: asWord, words: onDeleteNames[:], types: []FieldType{Ref}, doc: "When the record referred to is deleted: it is not (restrict, the default), this one too (cascade), or this becomes null (clear)."},
	{name: "inverse", form: asName, types: []FieldType{Ref, List}, doc: "The name by which the record referred to sees the records that refer to it."},
	{name: "accept", form: asTexts, types: []FieldType{File}, doc: "Media types that may be uploaded: image/png, image/*."},
	{name: "maxSize", form: asSize, types: []FieldType{File}, doc: "The largest file: 5MB. 10MB when absent."},
	{name: "read", form: asExpr, doc: "Who may read it, among those who may read the record."},
	{name: "write", form: asExpr, doc: "Who may write it, among those who may write the record. A field that a rule uses as auth.x must have this."},
	{name: "hidden", form: asBool, doc: "Clients do not know it, in answers and in requests, unless write is given."},
	{name: "init", form: asExpr, doc: "Its value on create, when absent: auth.id, now, slug(title)."},
	{name: "set", form: asExpr, doc: "Its value on every write; nobody writes it otherwise."},
	{name: "fixed", form: asBool, doc: "Never changes after create."},
	{name: "was", form: asName, doc: "The name it had: renamed without loss."},
	{name: "personal", form: asBool, doc: "It says something about a person: part of export and erasure."},
	{name: "label", form: asText, doc: "Its name, for people."},
}}

var authShape = &shape{"auth", "Who can sign in, and how.", []key{
	{name: "collection", form: asName, doc: "Where users live: users when absent. It is made when it is not declared, and gets email, verified and role."},
	{name: "roles", form: asNames, doc: "The roles, the least one first; a new user has the first. [user] when absent."},
	{name: "register", form: asWord, words: []string{"open", "invite", "closed"}, doc: "Who may make an account: everybody (open), who is invited, or nobody but operators (closed, when absent)."},
	{name: "invite", form: asExpr, doc: "Who may invite, and whom: bare names are the fields of the user who would be, as in role == \"member\". Operators always may."},
	{name: "anonymous", form: asBool, doc: "People may come in without saying who they are, and become somebody later: auth.anonymous in rules."},
	{name: "anonymousFor", form: asDuration, doc: "How long an anonymous user is kept, with what is his, after he was last seen: 720h (30 days) when absent."},
	{name: "verify", form: asWord, words: []string{"required", "optional"}, doc: "Whether the address must be confirmed before the first sign-in: required when absent."},
	{name: "roleBy", form: asExpr, doc: "Who may change a user's role; operators always may."},
	{name: "expose", form: asNames, doc: "Which of email, verified and role whoever reads a user may read; else only the user and operators."},
	{name: "password", form: asObject, shape: passwordShape, doc: "What a password must be."},
	{name: "sessions", form: asObject, shape: sessionsShape, doc: "How long people stay signed in."},
	{name: "mfa", form: asObject, shape: mfaShape, doc: "Who must have a second factor."},
	{name: "passkeys", form: asObject, shape: passkeysShape, doc: "For which pages passkeys are, where server.url does not say it all."},
	{name: "providers", form: asMap, shape: providerShape, doc: "With whom people can sign in, by name: google, apple, microsoft, github and others are known by theirs."},
	{name: "profile", form: asPairs, words: ToldClaims, doc: "Fields that somebody who signs in with a provider for the first time takes from there: {name: name, photo: picture}."},
	{name: "trust", form: asList, shape: trustShape, doc: "Whose access tokens are taken for credentials."},
	{name: "teams", form: asSwitch, shape: teamsShape, doc: "People belong to teams, which they make and invite others to: auth.teams in rules."},
	{name: "pages", form: asSwitch, shape: pagesShape, doc: "The ready pages at /auth/, for signing in, registering and the own account: how they look, or false for none."},
}}

var pagesShape = &shape{"pages", "How the ready pages at /auth/ look.", []key{
	{name: "title", form: asText, doc: "What they call the app: its name when absent."},
	{name: "logo", form: asText, doc: "A picture in public/, by its path: /img/logo.svg."},
	{name: "accent", form: asText, doc: "The colour of buttons and links, in quotes: \"#1d4ed8\". Where it would be hard to read it is made darker or lighter."},
	{name: "css", form: asText, doc: "A stylesheet in public/, by its path, which is loaded after ours: /css/sign-in.css."},
}}

var teamsShape = &shape{"teams", "To which teams people belong, and with which roles.", []key{
	{name: "roles", form: asNames, doc: "The roles in a team, the least one first; who has the last one manages the team, and who makes a team has it. [member, owner] when absent."},
	{name: "collection", form: asName, doc: "Where teams live: teams when absent. It is made, with a name, when it is not declared."},
	{name: "memberships", form: asName, doc: "Where it is kept who belongs to which team: memberships when absent. It is always made."},
}}

var passwordShape = &shape{"password", "What a password must be.", []key{
	{name: "minLength", form: asInt, doc: "The fewest characters: 8 to 64, 15 when absent."},
}}

var sessionsShape = &shape{"sessions", "How long people stay signed in.", []key{
	{name: "idle", form: asDuration, doc: "Without a request, to the hour: 336h (14 days) when absent."},
	{name: "longest", form: asDuration, doc: "In any case: 2160h (90 days) when absent."},
}}

var mfaShape = &shape{"mfa", "Who must have a second factor.", []key{
	{name: "required", form: asNames, required: true, doc: "The roles whose people must sign in with a second factor: without one they can only set one up."},
}}

var passkeysShape = &shape{"passkeys", "For which pages passkeys are.", []key{
	{name: "domain", form: asText, doc: "The domain that they belong to: the host of server.url when absent, or a domain above it. Another one makes all passkeys useless."},
	{name: "origins", form: asTexts, doc: "Origins within that domain whose pages may use them, beside server.url: https://www.example.com."},
}}

var providerShape = &shape{"a provider", "Somebody else with whom people can sign in.", []key{
	{name: "kind", form: asWord, words: ProviderKinds, doc: "Which one it is, where its name does not say so; oidc is any provider of OpenID Connect."},
	{name: "clientId", form: asText, required: true, doc: "What the provider calls this app."},
	{name: "clientSecret", form: asText, doc: "From the environment: ${GOOGLE_SECRET}. All but apple need it."},
	{name: "issuer", form: asText, doc: "Of kind oidc: its https address, as it stands in its ID tokens. Of gitlab: where it is, if not at gitlab.com."},
	{name: "label", form: asText, doc: "Its name, for people."},
	{name: "scopes", form: asTexts, doc: "What is asked for, instead of what Plinth would: [openid, email]."},
	{name: "tenant", form: asText, doc: "Of microsoft: common (when absent), organizations, consumers, or the id or domain of one tenant."},
	{name: "team", form: asText, doc: "Of apple: the id of the team."},
	{name: "keyId", form: asText, doc: "Of apple: the id of the key."},
	{name: "key", form: asText, doc: "Of apple: the key itself, the text of the .p8 file, from the environment: ${APPLE_KEY}."},
}}

var trustShape = &shape{"a trusted issuer", "An issuer whose access tokens (RFC 9068) are taken for credentials.", []key{
	{name: "issuer", form: asText, required: true, doc: "Its https address, as it stands in its tokens."},
	{name: "audience", form: asText, required: true, doc: "What its tokens call this app: the aud of those that are for it."},
	{name: "type", form: asWord, words: []string{"at+jwt", "jwt"}, doc: "The typ that its access tokens have: at+jwt when absent. jwt takes those that say JWT, or nothing; ID tokens then differ by what is in them alone."},
	{name: "role", form: asName, doc: "The role of a caller who is no user here; without it, and without roleClaim, he is nobody."},
	{name: "roleClaim", form: asText, doc: "The claim that names the role of a caller who is no user here: a text, or a list of which the greatest role of the app counts."},
}}

var serverShape = &shape{"server", "Addresses, certificates and limits.", []key{
	{name: "url", form: asText, doc: "The app's public address, for links: https://app.example.com."},
	{name: "domains", form: asTexts, doc: "The domains that the app is served under, by https: their certificates are obtained and renewed by ACME."},
	{name: "tls", form: asObject, shape: tlsShape, doc: "A certificate of one's own, instead of domains."},
	{name: "acme", form: asObject, shape: acmeShape, doc: "Where certificates come from."},
	{name: "http", form: asText, doc: "The address for http, with certificates: :80 when absent. Pages are led to https from there."},
	{name: "https", form: asText, doc: "The address for https, with certificates: :443 when absent."},
	{name: "http3", form: asBool, doc: "Whether HTTP/3 is answered too, with certificates: by UDP at the address for https."},
	{name: "cors", form: asObject, shape: corsShape, doc: "Which other origins may call."},
	{name: "limits", form: asObject, shape: limitsShape, doc: "Bounds on a request."},
	{name: "trustedProxies", form: asTexts, doc: "The addresses whose forwarded headers are believed: [10.0.0.0/8]."},
	{name: "operator", form: asObject, shape: operatorShape, doc: "The operator's own listener: metrics, profiles and health. Who reaches it is not asked who he is."},
	{name: "spa", form: asBool, doc: "A page that is not there is public/index.html."},
}}

var tlsShape = &shape{"tls", "A certificate.", []key{
	{name: "cert", form: asText, required: true, doc: "The file with the certificate, PEM."},
	{name: "key", form: asText, required: true, doc: "The file with its key, PEM."},
}}

var acmeShape = &shape{"acme", "Where certificates come from.", []key{
	{name: "issuer", form: asText, doc: "The directory's address; Let's Encrypt when absent."},
	{name: "roots", form: asText, doc: "A file with the certificates by which the issuer is trusted, PEM."},
	{name: "email", form: asText, doc: "Whom the issuer may write to."},
	{name: "account", form: asObject, shape: accountShape, doc: "An account that you have with the issuer already, where it asks for one."},
	{name: "fallback", form: asObject, shape: fallbackShape, doc: "Another issuer, for when the first has failed."},
}}

var fallbackShape = &shape{"fallback", "Another issuer.", []key{
	{name: "issuer", form: asText, required: true, doc: "The directory's address."},
	{name: "roots", form: asText, doc: "A file with the certificates by which the issuer is trusted, PEM."},
	{name: "account", form: asObject, shape: accountShape, doc: "An account that you have with the issuer already, where it asks for one."},
}}

var accountShape = &shape{"account", "An account with an issuer (RFC 8555, 7.3.4).", []key{
	{name: "id", form: asText, required: true, doc: "What the issuer calls it."},
	{name: "key", form: asText, required: true, doc: "Its key in base64url, from the environment: ${ACME_KEY}."},
}}

var corsShape = &shape{"cors", "Which other origins may call.", []key{
	{name: "origins", form: asTexts, required: true, doc: "Origins: https://app.example.com. * for all, without credentials."},
	{name: "credentials", form: asBool, doc: "Whether cookies count."},
}}

var limitsShape = &shape{"limits", "Bounds on a request.", []key{
	{name: "body", form: asSize, doc: "The largest body, 256 to 1GB: 1MB when absent."},
	{name: "header", form: asSize, doc: "The largest header: 16KB when absent."},
	{name: "timeout", form: asDuration, doc: "The longest a request may take, 100ms to 7d: 30s when absent."},
	{name: "requests", form: asRate, doc: "The most requests of one caller: 100/s, in a time from 1s to 1d. No limit when absent."},
	{name: "streams", form: asInt, doc: "The most live connections of one caller at one process: 10000 when absent."},
	{name: "connections", form: asInt, doc: "The most connections of one process: 50000 when absent, and never more than four fifths of the files that it may open."},
	{name: "connectionsPerAddress", form: asInt, doc: "The most of them from one address: 10000 when absent. Trusted proxies and this machine are no such addresses."},
}}

var operatorShape = &shape{"operator", "The operator's own listener.", []key{
	{name: "listen", form: asText, required: true, doc: "Its address: 127.0.0.1:9090."},
}}

var mailShape = &shape{"mail", "How mail is sent.", []key{
	{name: "from", form: asText, doc: "The sender: Agency <hello@example.com>."},
	{name: "smtp", form: asText, doc: "The server: smtp://user:password@host:587 or smtps://. ?tls=required refuses a server without TLS. From the environment: ${SMTP_URL:-}."},
}}

var filesShape = &shape{"files", "Where uploaded files are kept.", []key{
	{name: "store", form: asWord, words: []string{"disk", "s3"}, doc: "disk, which is data/files, or s3."},
	{name: "s3", form: asObject, shape: s3Shape, doc: "A bucket."},
}}

var changesShape = &shape{"changes", "How long the log of changes goes back: for so long a live list can be resumed.", []key{
	{name: "keep", form: asDuration, doc: "The age from which a change is removed: 24h when absent."},
	{name: "most", form: asInt, doc: "The most changes that are kept: 1000000 when absent."},
}}

var s3Shape = &shape{"s3", "A bucket of an S3 service.", []key{
	{name: "endpoint", form: asText, required: true, doc: "The service's address."},
	{name: "bucket", form: asText, required: true, doc: "The bucket."},
	{name: "key", form: asText, required: true, doc: "The access key, from the environment."},
	{name: "secret", form: asText, required: true, doc: "Its secret, from the environment."},
}}

var scheduleShape = &shape{"a schedule", "When something is done, and what.", []key{
	{name: "cron", form: asText, doc: "When: minute, hour, day of the month, month, day of the week, as in crontab: \"0 3 * * mon-fri\". Or @hourly @daily @weekly @monthly @yearly."},
	{name: "zone", form: asText, doc: "The time zone of cron: Europe/Berlin. UTC when absent."},
	{name: "every", form: asDuration, doc: "Instead of cron: 10m, counted from 1970-01-01T00:00:00Z."},
	{name: "missed", form: asWord, words: []string{"once", "skip"}, doc: "What becomes of ticks that nobody was there for: the last one is made up for (once, when absent), or none (skip)."},
	{name: "create", form: asObject, shape: createShape, doc: "A record is made, as an operator would."},
	{name: "delete", form: asObject, shape: deleteShape, doc: "Records are deleted, as an operator would."},
	{name: "job", form: asText, doc: "A job of this kind is enqueued, which the Go program registers that embeds Plinth."},
	{name: "payload", form: asValue, doc: "The payload of the job."},
}}

var createShape = &shape{"create", "The record that is made.", []key{
	{name: "collection", form: asName, required: true, doc: "Of what."},
	{name: "body", form: asValue, doc: "Its fields, as a client would send them."},
}}

var deleteShape = &shape{"delete", "The records that are deleted.", []key{
	{name: "collection", form: asName, required: true, doc: "Of what."},
	{name: "filter", form: asExpr, required: true, doc: "Those for which it is true: created < now - duration(\"720h\")."},
}}

// shapes are all maps with fixed keys.
var shapes = []*shape{
	appShape, collectionShape, channelShape, accessShape, indexShape, validateShape, fieldShape, authShape, teamsShape, passwordShape, sessionsShape,
	mfaShape, passkeysShape, pagesShape, providerShape, trustShape, serverShape, tlsShape, acmeShape, fallbackShape, accountShape, corsShape, limitsShape, operatorShape, mailShape, filesShape, changesShape, s3Shape,
	scheduleShape, createShape, deleteShape, testShape, callerShape, expectShape,
}

var onDeleteNames = [...]string{"restrict", "cascade", "clear"}

// String is the word of the app file.
func (o OnDelete) String() string { return onDeleteNames[o] }

func wordsOf(types []FieldType) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = t.String()
	}
	return out
}

// expressionKeys are the names of all keys whose values are expressions.
func expressionKeys() []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range shapes {
		for _, k := range s.keys {
			if k.form == asExpr && !seen[k.name] {
				seen[k.name] = true
				out = append(out, k.name)
			}
		}
	}
	return out
}
