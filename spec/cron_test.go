package spec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCronNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, after, want string }{
		{"0 3 * * *", "UTC", "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"},
		{"*/15 9-17 * * mon-fri", "UTC", "2026-02-27T17:45:00Z", "2026-03-02T09:00:00Z"},
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 13 * 5", "UTC", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z"},  // a Friday, or a 13th
		{"0 0 */2 * 1", "UTC", "2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z"}, // a Monday of an odd day
		{"0 12 1 jan,JUL *", "UTC", "2026-03-01T00:00:00Z", "2026-07-01T12:00:00Z"},
		{"0 0 * * 7", "UTC", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"@weekly", "UTC", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"30 4 * * *", "Asia/Kolkata", "2026-03-01T00:00:00Z", "2026-03-01T23:00:00Z"},
		// Berlin: 02:00 to 03:00 is missing on 29 March, and there twice on 25 October.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"}, // two that are missing are one
		{"0,30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}, // an hour later, which is 03:30
		{"30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}, // 02:30 again
		{"*/10 * * * *", "Europe/Berlin", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z"},
		{"* * 25 10 *", "Europe/Berlin", "2026-10-25T00:59:00Z", "2026-10-25T01:00:00Z"},
		// New York, on the other side of the ocean.
		{"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"},
		{"30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z"},
		{"30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		// The southern half: Auckland springs forward in September, Lord Howe by half an hour in October.
		{"30 2 * * *", "Pacific/Auckland", "2026-09-26T00:00:00Z", "2026-09-26T14:00:00Z"},
		{"30 2 * * *", "Pacific/Auckland", "2026-04-03T14:00:00Z", "2026-04-04T13:30:00Z"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
		{"45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"},
		// Santiago: there is no midnight on 6 September. Apia: there was no 30 December.
		{"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"},
		{"0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		cron, err := ParseCron(c.cron)
		if err != nil {
			t.Errorf("%s: %v", c.cron, err)
			continue
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := cron.Next(after, zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s after %s: %s, want %s", c.cron, c.zone, c.after, got, c.want)
		}
	}
}

func TestCronRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "five fields",
		"* * * *":         "there are 4",
		"0 0 0 3 * * *":   "there are 7",
		"60 * * * *":      "the minute is 0 to 59",
		"* 24 * * *":      "the hour is 0 to 23",
		"* * 0 * *":       "the day of the month is 1 to 31",
		"* * * 13 *":      "the month is 1 to 12",
		"* * * * 8":       "the day of the week is 0 to 7",
		"* * * foo *":     `not "foo"`,
		"0 0 30 2 *":      "never fires",
		"0 0 31 4,6,9 *":  "never fires",
		"5/10 * * * *":    "a step stands behind * or a range",
		"*/0 * * * *":     "a step of the minute is 1 to 59",
		"*/x * * * *":     "a step of the minute",
		"30-10 * * * *":   "ends before it begins",
		"1,,2 * * * *":    `not ""`,
		"+1 * * * *":      `not "+1"`,
		"@reboot":         "none of @hourly",
		"0 0 L * *":       `not "L"`,
		"0 0 1-31-32 * *": `not "31-32"`,
	} {
		if _, err := ParseCron(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestCronAgainstTheClock walks through every minute of the days about a change of clocks and writes down what a person
// with a clock would: random schedules must agree.
func TestCronAgainstTheClock(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	field := func(least, most int) string {
		switch r.IntN(4) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("*/%d", 1+r.IntN(min(most, 20)))
		case 2:
			from := least + r.IntN(most-least+1)
			return fmt.Sprintf("%d-%d", from, from+r.IntN(most-from+1))
		default:
			return fmt.Sprintf("%d,%d", least+r.IntN(most-least+1), least+r.IntN(most-least+1))
		}
	}
	starts := map[string][]string{
		"Europe/Berlin":       {"2026-03-28", "2026-10-24"},
		"America/New_York":    {"2026-03-07", "2026-10-31"},
		"Australia/Lord_Howe": {"2026-04-03", "2026-10-02"},
		"Pacific/Auckland":    {"2026-04-03", "2026-09-25"},
		"America/Santiago":    {"2026-04-03", "2026-09-04"},
		"UTC":                 {"2026-02-27"},
	}
	fired := 0
	for name, days := range starts {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range days {
			from, _ := time.Parse(time.DateOnly, day)
			until := from.AddDate(0, 0, 3)
			for range 60 {
				text := strings.Join([]string{field(0, 59), field(0, 23), field(1, 31), "*", field(0, 6)}, " ")
				c, err := ParseCron(text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				want := byTheClock(c, from, until, zone)
				fired += len(want)
				var got []string
				for at := c.Next(from, zone); at.Before(until); at = c.Next(at, zone) {
					got = append(got, at.Format(time.RFC3339))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s in %s from %s:\n%q, want\n%q", text, name, day, got, want)
				}
			}
		}
	}
	if fired < 10_000 {
		t.Errorf("only %d ticks were compared", fired)
	}
}

// byTheClock are the ticks behind from and before until.
func byTheClock(c *Cron, from, until time.Time, zone *time.Location) (ticks []string) {
	set := map[int64]bool{}
	shown := map[string]int64{} // the first time that the clock shows it
	for at := from.AddDate(0, 0, -2); at.Before(until.AddDate(0, 0, 2)); at = at.Add(time.Minute) {
		local := at.In(zone)
		text := local.Format("2006-01-02 15:04")
		if _, twice := shown[text]; !twice {
			shown[text] = at.Unix()
		}
		y, m, d := local.Date()
		if c.passes && c.fits(y, m, d) && c.hour>>local.Hour()&1 == 1 && c.minute>>local.Minute()&1 == 1 {
			set[at.Unix()] = true
		}
	}
	if !c.passes {
		for day := from.AddDate(0, 0, -1); day.Before(until.AddDate(0, 0, 1)); day = day.AddDate(0, 0, 1) {
			y, m, d := day.Date()
			if !c.fits(y, m, d) {
				continue
			}
			for minute := range 24 * 60 {
				if c.hour>>(minute/60)&1 == 0 || c.minute>>(minute%60)&1 == 0 {
					continue
				}
				text := day.Add(time.Duration(minute) * time.Minute).Format("2006-01-02 15:04")
				at, ok := shown[text]
				for later := day.Add(time.Duration(minute) * time.Minute); !ok; { // the clock goes past it
					later = later.Add(time.Minute)
					at, ok = shown[later.Format("2006-01-02 15:04")]
				}
				set[at] = true
			}
		}
	}
	for at := range set {
		if at > from.Unix() && at < until.Unix() {
			ticks = append(ticks, time.Unix(at, 0).UTC().Format(time.RFC3339))
		}
	}
	slices.Sort(ticks)
	return ticks
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"0 3 * * *", "*/15 9-17 * * mon-fri", "@daily", "0 0 30 2 *", "* * * * 7"} {
		f.Add(s)
	}
	zone, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		f.Fatal(err)
	}
	after := time.Date(2026, 10, 3, 15, 29, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCron(text)
		if err != nil {
			return
		}
		if next := c.Next(after, zone); !next.After(after) {
			t.Errorf("%q: %s is not after %s", text, next, after)
		}
	})
}
