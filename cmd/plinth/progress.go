package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth"
)

// progress shows long work on a terminal, in one line that is written over. Elsewhere it is quiet.
type progress struct {
	w    io.Writer
	last time.Time
	wide int
}

func (c *cli) progress() *progress {
	if !plinth.Terminal(c.err) {
		return &progress{}
	}
	return &progress{w: c.err, last: time.Now()}
}

// count shows done of total, ten times a second at most. Total 0 is not known.
func (p *progress) count(done, total int, text string) {
	if p.w == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	line := text
	if total > 0 {
		line = fmt.Sprintf("%3d %%  %s", 100*done/total, text)
	} else if done > 0 {
		line = strconv.Itoa(done) + "  " + text
	}
	fmt.Fprint(p.w, "\r"+line+strings.Repeat(" ", max(0, p.wide-len(line))))
	p.wide = len(line)
}

// end takes the line away.
func (p *progress) end() {
	if p.w != nil && p.wide > 0 {
		fmt.Fprint(p.w, "\r"+strings.Repeat(" ", p.wide)+"\r")
	}
}
