package serve

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// notify tells systemd what this process does (sd_notify(3)); nothing where nobody wants to know. A message that
// does not arrive is no reason to stop serving.
func notify(state string) {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}

func notifyReloading() {
	if now := monotonic(); now > 0 {
		notify("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(now/1000, 10))
	}
}

// notifyMain says which process is the service from now on.
func notifyMain(pid int) { notify("MAINPID=" + strconv.Itoa(pid) + "\nREADY=1") }

// watchdog tells systemd that this process lives, twice as often as it wants to know (sd_watchdog_enabled(3)).
func watchdog(ctx context.Context) {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err != nil || usec <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	tick := time.NewTicker(time.Duration(usec) * time.Microsecond / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			notify("WATCHDOG=1")
		}
	}
}
