package expr

// Type is the type of an expression or field.
type Type struct {
	Kind  Kind
	Elem  Kind     // Kind List: the kind of its items; Row for a list of records
	Ref   string   // Kind Row, or Text that is a reference (or a list of either): the collection
	Scale uint8    // Decimal (or a list's item)
	CI    bool     // Text compared by its fold; values are folded when they are bound
	Enum  []string // Text (or a list's item) that is one of these
	Null  bool     // a literal null
	Keyed string   // Text that stands for its keyed hash: "collection.field" of a searchable encrypted field
}

// Op is the operation of a node.
type Op uint8

const (
	OpLit   Op = iota // Val
	OpParam           // Index: a value bound later (a lifted literal, param.NAME, a slot)
	OpNow             // the moment of the request
	OpAuth            // Name: a field of the caller: "id", "role", "signedIn", "mfa", Teams, TeamsAs and a role, or a field of the user's record
	OpHas             // Name: auth.has("NAME"): that role or a later one

	OpRow     // Index: a row variable. 0 is the record, 1 is input, others are bound by Exists, All, Deref, Inverse
	OpField   // Args[0] a Row; Index is the field's ordinal, Name its name
	OpDeref   // Args[0] a Row; Index, Name: its reference field; the record referred to, or a null row. Of a list of references (Type.Kind List, Elem Row): the records referred to, as a range of Exists and All
	OpInverse // Args[0] a Row; the records of collection Type.Ref whose field Index (Name) refers to it

	OpExists // Args: range, body. Bind is the variable that body sees: a record, or an item of a list of plain values (then a bare OpRow of the item's Type is its value)
	OpAll    // the same
	OpSize   // Args[0]: text (code points) or list or records
	OpList   // Args: items of a list literal

	OpEq // Args: left, right; Strict: null equals nothing
	OpNe // the negation of OpEq
	OpLt
	OpLe
	OpGt
	OpGe
	OpIn // Args: item, list (OpList of OpLit and OpParam, a list field, a list param); false when either is null; a null in the list equals nothing

	OpAnd // Args, two or more
	OpOr
	OpNot
	OpCond // Args: condition, then, else

	OpStartsWith // Args: text, prefix
	OpEndsWith
	OpContains

	OpAdd // arithmetic is evaluated in Go only
	OpSub
	OpMul
	OpDiv
	OpMod
	OpNeg
	OpSlug // slug(text); in init and set only
)

// Names of OpAuth that are no fields of a record: the ids of the teams to which the caller belongs, a list, null where there are
// none; TeamsAs with a role behind it are those in which he has that role or a later one (auth.teamsAs("role")).
const (
	Teams   = "teams"
	TeamsAs = "teams/"
)

// Row variables with a fixed meaning.
const (
	VarRecord = 0 // the record a rule or filter is about
	VarInput  = 1 // in an update rule: the record as it would become
	VarFirst  = 2 // the first that Exists, All and guards bind
)

// Node is one operation of the IR. Nodes are never changed after they are made: rewriting
// makes new ones, so that one compiled rule serves every request.
type Node struct {
	Op     Op
	Type   Type
	Args   []*Node
	Val    Value
	Index  int
	Name   string
	Bind   int
	Strict bool
	Pos    int // byte offset in the source, for messages

	// Guard, on Deref and Inverse, must hold on the record reached, which it sees as the
	// variable Bind; where it does not, the record is not there. Nil: everything is reached.
	Guard *Node
}

// Member is what a name of a collection stands for.
type Member struct {
	Name      string
	Ord       int  // ordinal of the field in its collection (for an inverse: of the reference in collection Ref)
	Type      Type // Kind List, Elem Row for an inverse
	Inverse   bool
	Fold      int    // ordinal of the companion by which a ci field compares; -1: none
	Key       int    // ordinal of the companion by which a searchable encrypted field is asked; -1: none
	Encrypted bool   // only == null may be asked, or equality where there is a Key
	Hidden    bool   // unknown to filters
	JSON      bool   // only == null may be asked
	RefName   string // inverse: the name of the reference field
}

// Env is how the compiler asks for names and types. Package spec implements it.
type Env interface {
	// Member finds a field or inverse of a collection by name.
	Member(collection, name string) (Member, bool)
	// Members lists the names of a collection, for "did you mean".
	Members(collection string) []string
	// Auth is the type of auth.NAME.
	Auth(name string) (Type, bool)
	// Roles are those of the app.
	Roles() []string
	// TeamRoles are those of teams; none where there are no teams.
	TeamRoles() []string
}

// Use says where an expression is used, which decides what it may name.
type Use uint8

const (
	InRule     Use = iota // read rules and field read rules: record, auth, now; no arithmetic on fields
	InWrite               // create, update, delete, field write: and arithmetic on fields
	InUpdate              // as InWrite, and input
	InValidate            // the record and now
	InInit                // init and set: any type of answer, slug()
	InFilter              // record, now, auth.id, param.NAME; literals are lifted
	InWhere               // a unique index's condition: the record only
)

// Expr is a checked expression.
type Expr struct {
	Source string
	Root   *Node
	Input  bool // it names input
	Walks  bool // it looks at other records
	Record bool // it looks at the record (false: auth and now alone decide)

	// Params, for a filter: how argument i is made from what the request carries.
	Params []Param

	Reads []Read // what it names of the record and of the records its paths lead to, in the order of the source
	Want  Type   // CompileValue: what Value answers
}

// Read is a field or inverse that an expression names.
type Read struct {
	Collection string
	Name       string
	Ord        int // of the field itself, not of its fold or key; of an inverse: of the reference, in To
	Inverse    bool
	To         string // the collection whose records are looked at through it; "": none
	Pos        int    // byte offset in the source
}

// Param is one argument of a filter: a literal of its text, lifted, or a param.NAME.
type Param struct {
	Name    string // param.NAME; "" for a literal
	Literal int    // index of the literal token, when Name is ""
	Neg     bool   // the literal has a minus before it
	Type    Type   // the value is read as this
	Pos     int    // byte offset in the source
}
