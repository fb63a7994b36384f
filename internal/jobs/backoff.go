package jobs

import (
	"math/rand/v2"
	"time"
)

// longestPause is the pause after which a job is tried again at the latest.
const longestPause = 24 * time.Hour

// backoff is the pause after an attempt that failed: its fourth power in seconds (1s, 16s, 81s, 4m16s, 10m25s …), a
// day at most, and up to a quarter more, so that what failed together is not tried again together.
func backoff(attempt int) time.Duration {
	pause := longestPause
	if n := time.Duration(max(attempt, 1)); n < 18 {
		pause = min(n*n*n*n*time.Second, longestPause)
	}
	return pause + rand.N(pause/4)
}
