package driver

// Loaded is an Engine that tells how busy it is. An Engine need not be one.
type Loaded interface {
	// Load is what it is at the moment. It asks the database for nothing.
	Load() Load
}

// Load is how busy an engine is.
type Load struct {
	InUse   int // connections that somebody has
	Idle    int // connections that are open for whoever comes
	Most    int // connections that there may be
	Waiting int // who waits for one

	Queue  int     // writes that wait for the one writer
	Groups *Groups // of writes that were committed together; nil: there are none
}

// Groups counts the commits of an engine that does many writes in one.
type Groups struct {
	Commits uint64
	Writes  uint64   // in all of them
	Sizes   []uint64 // how many had at most GroupSizes[i] writes, and more than the one before
}

// GroupSizes are the bounds of Groups.Sizes.
var GroupSizes = []int{1, 2, 4, 8, 16, 32, 64, 128, 256}
