package spec

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known to a static binary on a machine that has none
)

// Cron is when a schedule fires, in the five fields of crontab(5): minute, hour, day of the month, month, day of the
// week. Days are those of a zone.
//
// Where a zone's clock is put forward or back, the rule is that of Vixie's cron. A schedule whose hour begins with *
// follows the time that passes: it fires at each minute that there is, so neither less nor more often than the clock
// shows. Any other fires once for each of its times of day: one that does not exist fires at the first moment behind
// the gap, one that is there twice at the first of the two.
type Cron struct {
	minute, hour, day, month, week uint64 // a bit for each value
	anyDay, anyWeek                bool   // the field begins with *: where neither does, a day fits if one of the two does
	passes                         bool   // it follows the time that passes
}

// cronField is what one of the five fields takes.
type cronField struct {
	name        string
	least, most int
	words       []string // from least on
}

var cronFields = [...]cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var cronWords = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

// longest is how many days the months have at most.
var longest = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// ParseCron reads the five fields, or one of the words for them: @hourly @daily @weekly @monthly @yearly.
func ParseCron(text string) (*Cron, error) {
	if strings.HasPrefix(text, "@") {
		word, ok := cronWords[text]
		if !ok {
			return nil, fmt.Errorf("%s is none of @hourly @daily @weekly @monthly @yearly", text)
		}
		text = word
	}
	parts := strings.Fields(text)
	if len(parts) != len(cronFields) {
		return nil, fmt.Errorf("it has five fields: minute, hour, day of the month, month, day of the week; there are %d", len(parts))
	}
	var c Cron
	for i, to := range []*uint64{&c.minute, &c.hour, &c.day, &c.month, &c.week} {
		var err error
		if *to, err = cronFields[i].parse(parts[i]); err != nil {
			return nil, err
		}
	}
	c.week |= c.week >> 7 & 1 // 7 is Sunday too
	c.anyDay, c.anyWeek = strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*")
	c.passes = strings.HasPrefix(parts[1], "*")
	if !c.fires() {
		return nil, fmt.Errorf("it never fires: none of its months has a day %s", parts[2])
	}
	return &c, nil
}

// parse reads a list of values, ranges and steps.
func (f *cronField) parse(text string) (set uint64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		span, by, stepped := strings.Cut(item, "/")
		from, to := f.least, f.most
		low, high, ranged := strings.Cut(span, "-")
		if span != "*" {
			if from, err = f.value(low); err != nil {
				return 0, err
			}
			if to = from; ranged {
				if to, err = f.value(high); err != nil {
					return 0, err
				}
			}
		}
		step := 1
		if stepped {
			if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.most {
				return 0, fmt.Errorf("a step of the %s is 1 to %d, not %q", f.name, f.most, by)
			}
		}
		switch {
		case stepped && span != "*" && !ranged:
			return 0, fmt.Errorf("%q in the %s: a step stands behind * or a range, like */%s or %s-%d/%s", item, f.name, by, span, f.most, by)
		case from > to:
			return 0, fmt.Errorf("%q in the %s ends before it begins", item, f.name)
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f *cronField) value(text string) (int, error) {
	for i, word := range f.words {
		if strings.EqualFold(text, word) {
			return f.least + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.least || n > f.most || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("the %s is %d to %d, not %q", f.name, f.least, f.most, text)
	}
	return n, nil
}

// fires says whether there is a day that fits.
func (c *Cron) fires() bool {
	if !c.anyWeek {
		return true
	}
	for m := 1; m <= 12; m++ {
		if c.month>>m&1 != 0 && bits.TrailingZeros64(c.day) <= longest[m] {
			return true
		}
	}
	return false
}

// fits says whether a day is one of the schedule's.
func (c *Cron) fits(year int, month time.Month, day int) bool {
	if c.month>>month&1 == 0 {
		return false
	}
	inMonth := c.day>>day&1 != 0
	inWeek := c.week>>time.Date(year, month, day, 12, 0, 0, 0, time.UTC).Weekday()&1 != 0
	if c.anyDay || c.anyWeek {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// mostDays is how far Next looks: from one 29th of February to the next there may be eight years, and until it is
// of a day of the week, forty.
const mostDays = 41 * 366

// Next is the first moment after another at which it fires.
func (c *Cron) Next(after time.Time, zone *time.Location) time.Time {
	if c.passes {
		return c.nextPassing(after, zone)
	}
	// The day before, too: a gap may have moved one of its times behind midnight.
	year, month, day := after.In(zone).Date()
	for n := -1; n < mostDays; n++ {
		y, m, d := time.Date(year, month, day+n, 12, 0, 0, 0, time.UTC).Date()
		if !c.fits(y, m, d) {
			continue
		}
		var first time.Time
		for hours := c.hour; hours != 0; hours &= hours - 1 {
			for minutes := c.minute; minutes != 0; minutes &= minutes - 1 {
				at := moment(y, m, d, bits.TrailingZeros64(hours), bits.TrailingZeros64(minutes), zone)
				if at.After(after) && (first.IsZero() || at.Before(first)) {
					first = at
				}
			}
		}
		if !first.IsZero() {
			return first
		}
	}
	return time.Time{} // never: ParseCron has seen to it
}

// nextPassing goes from minute to minute as they pass.
func (c *Cron) nextPassing(after time.Time, zone *time.Location) time.Time {
	at := after.Truncate(time.Minute).Add(time.Minute)
	for n := 0; n < mostDays*24*60; n++ {
		local := at.In(zone)
		switch {
		case !c.fits(local.Date()):
			// To the next full hour, not to midnight: on some days there is none.
			at = at.Add(time.Hour - time.Duration(local.Minute())*time.Minute)
		case c.hour>>local.Hour()&1 == 0 || c.minute>>local.Minute()&1 == 0:
			at = at.Add(time.Minute)
		default:
			return at
		}
	}
	return time.Time{}
}

// moment is when the clocks of a zone show a time of day: for the first time where they do so twice, and where they
// never do, when they have gone past it.
func moment(year int, month time.Month, day, hour, minute int, zone *time.Location) time.Time {
	shown := time.Date(year, month, day, hour, minute, 0, 0, time.UTC).Unix()
	offset := func(at int64) int64 {
		_, seconds := time.Unix(at, 0).In(zone).Zone()
		return int64(seconds)
	}
	before, behind := offset(shown-24*60*60), offset(shown+24*60*60)
	first, second := shown-before, shown-behind
	if first > second {
		first, second = second, first
	}
	switch {
	case first+offset(first) == shown:
		return time.Unix(first, 0).UTC()
	case second+offset(second) == shown:
		return time.Unix(second, 0).UTC()
	}
	low, high := first, second // a gap lies between them: the clocks go forward once
	for low+1 < high {
		if mid := (low + high) / 2; offset(mid) == before {
			low = mid
		} else {
			high = mid
		}
	}
	return time.Unix(high, 0).UTC()
}
