//go:build !unix

package serve

import (
	"context"
	"time"

	"github.com/bluell/plinth/fault"
)

func (s *server) handOver(context.Context, time.Duration) (int, error) {
	return 0, fault.New(fault.Lacking, "on this system a process cannot hand its sockets over: start the server again")
}

func closeOnExec(int) {}
