//go:build !linux

package serve

func monotonic() int64 { return 0 }
