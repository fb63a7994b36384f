//go:build !unix

package machine

func Descriptors() uint64 { return 0 }
