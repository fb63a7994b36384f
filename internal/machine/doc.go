// Package machine tells what a process may use of the machine that it runs on: disks, memory, processors, descriptors, and
// whether the clock is set. It only looks.
package machine

// Disk is a file system, as a process that is not root sees it.
type Disk struct {
	Kind        string // "ext4", or its number where it has no name here
	Free, Total uint64 // bytes
	Files, Most uint64 // that can still be made, and that there may be; Most 0: it does not bound them
	ReadOnly    bool
	Network     bool // it is another machine's
	Passing     bool // what is on it is gone when the machine, or its container, is
}

// Bound is what a process may use. 0: it is not known, or not bounded.
type Bound struct {
	Memory     uint64  // bytes that the container may have
	Machine    uint64  // bytes that the machine has
	Free       uint64  // bytes that are free of it
	Processors float64 // of the container
}
