package spec

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// boolOf reads the words of YAML 1.2.
func boolOf(s string) (value, ok bool) {
	switch s {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// intOf reads a whole number within ±(2^53−1).
func intOf(s string) (int64, bool) {
	i, err := strconv.ParseInt(s, 10, 64)
	const most = 1<<53 - 1
	return i, err == nil && i >= -most && i <= most
}

var sizeUnits = []struct {
	unit  string
	bytes int64
}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// sizeOf reads a size in bytes: 500, 16KB, 1MB. K, M and G are powers of 1024. It is above 0.
func sizeOf(s string) (int64, bool) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimRight(digits, " "), 10, 64)
		if err == nil && n > 0 && n <= math.MaxInt64/u.bytes {
			return n * u.bytes, true
		}
	}
	return 0, false
}

// durationOf reads a time above 0: 30s, 1h30m, 7d.
func durationOf(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0
}

// rateOf reads a rate: 100/s, 5/m, 1000/h, 10/30s.
func rateOf(s string) (Rate, bool) {
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n <= 0 {
		return Rate{}, false
	}
	if per == "s" || per == "m" || per == "h" || per == "d" {
		per = "1" + per
	}
	d, ok := durationOf(per)
	return Rate{Count: n, Per: d}, ok
}
