package expr

// Error is an error in an expression: where and what.
type Error struct {
	At      int    // byte offset in the source, from 0
	Code    string // syntax unknown type
	Msg     string
	Suggest string // a name that was probably meant
}

func (e *Error) Error() string { return e.Msg }

// Scope is all that Eval may know.
type Scope struct {
	Rows   [][]Value // by row variable; a nil row is no record
	Params []Value
	Now    int64 // ms
	Auth   Auth
	Fetch  Fetcher
}

// Auth is the caller as rules see him.
type Auth interface {
	// Field is auth.NAME; null where there is none.
	Field(name string) Value
	// Has says whether the caller has that role or a later one.
	Has(role string) bool
}

// Fetcher finds the records that paths lead to.
type Fetcher interface {
	// Fetch finds a record by id; nil when there is none.
	Fetch(collection, id string) ([]Value, error)
	// Referring finds the records of a collection whose reference (or list of references) with
	// ordinal ord holds id.
	Referring(collection string, ord int, id string) ([][]Value, error)
}
