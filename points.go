package plinth

import "fmt"

// Point is one thing that was looked at.
type Point struct {
	About   string `json:"about"`
	Verdict string `json:"verdict"` // Good, Consider or Wrong
	Text    string `json:"text"`    // what was found, and where it is not good, what helps
}

// Verdicts: it is as it should be; somebody should decide, or look; nobody should go on like this.
const (
	Good     = "good"
	Consider = "consider"
	Wrong    = "wrong"
)

// Points are what was looked at.
type Points []Point

// Say adds a point.
func (p *Points) Say(about, verdict, format string, args ...any) {
	*p = append(*p, Point{about, verdict, fmt.Sprintf(format, args...)})
}

// Either says one of two things.
func (p *Points) Either(about string, ok bool, yes, otherwise, no string) {
	if ok {
		p.Say(about, Good, "%s", yes)
	} else {
		p.Say(about, otherwise, "%s", no)
	}
}

// Wrong counts the points that are wrong.
func (p Points) Wrong() (n int) {
	for _, one := range p {
		if one.Verdict == Wrong {
			n++
		}
	}
	return n
}
