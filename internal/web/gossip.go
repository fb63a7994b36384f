package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/bluell/plinth/data"
)

// Board is where processes tell each other (data.Board).
type Board interface {
	Post(ctx context.Context, text string) error
	Read(ctx context.Context) (others []data.Notice, there bool, err error)
	Leave(ctx context.Context) error
}

// Gossip tells the other processes of a database what callers have used here, and hears what they have used there. No request
// waits for it. What is told are names that only this app's key makes of callers, and numbers.
//
// A row of the board has the last reports of its process: whoever looks each second misses none, and counts each once. No
// two clocks are compared: what is new at a look was posted after the look before. So that of two errors the smaller is made, it is
// taken for as old as it may be: a caller may then be let through a little too often, but is never refused too early.
type Gossip struct {
	rates *Rates
	board Board
	log   *slog.Logger

	heard  map[string]uint64 // the last report of each other process
	looked time.Time         // when the last look began
	posted time.Time
	number uint64   // of the last report of this process
	recent []report // of this process
	unsaid bool     // the last of them is not posted yet
	failed bool     // the last look, which was told
}

// report is what a process tells at once: of callers, by name, what was used in how many milliseconds, and in how many all comes back.
type report struct {
	Number  uint64              `json:"n"`
	Ago     int64               `json:"ago"` // in milliseconds, before the row was written: it may have been tried before
	Callers map[string][3]int64 `json:"c"`
	at      time.Time
}

// row is what stands on the board.
type row struct {
	Policy  string   `json:"policy"`
	Reports []report `json:"reports"`
}

const (
	mostTold   = 1000            // callers in a report
	mostRecent = 2 * mostTold    // callers in a row
	keepsake   = 3 * time.Second // for how long a report stands on the board

	together = 500 * time.Millisecond // between two looks, where there are others
	alone    = time.Second
	leaves   = 2 * time.Second // for how long a process that ends tries to take its row away
)

// NewGossip tells and hears by a board.
func NewGossip(rates *Rates, board Board, log *slog.Logger) *Gossip {
	return &Gossip{rates: rates, board: board, log: log, heard: map[string]uint64{}}
}

// Round hears and tells once, and says when the next is due.
func (x *Gossip) Round(ctx context.Context) (next time.Duration) {
	err := x.round(ctx)
	if err != nil && ctx.Err() == nil && !x.failed {
		x.log.Warn("what callers have asked other processes is not known at the moment: each counts for itself", "error", err)
	}
	x.failed = err != nil
	if len(x.heard) == 0 {
		return alone
	}
	return together
}

func (x *Gossip) round(ctx context.Context) error {
	began := time.Now()
	others, there, err := x.board.Read(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	anew := x.hear(others, now)
	x.looked = began
	x.rates.amongst(len(others)+1, anew, now)
	if !x.unsaid { // else what was used since is told with the next
		x.collect(now)
	}
	if there && !x.unsaid && (len(others) == 0 || now.Sub(x.posted) < data.Reposting) {
		return nil
	}
	text, err := x.text(now)
	if err == nil {
		err = x.board.Post(ctx, text)
	}
	if err == nil {
		x.posted, x.unsaid = now, false
	}
	return err
}

// hear counts what others have told since the last look. anew: one of them was not there then.
func (x *Gossip) hear(others []data.Notice, now time.Time) (anew bool) {
	first, gap := x.looked.IsZero(), now.Sub(x.looked)
	var counts, known []entry
	there := map[string]uint64{}
	for _, o := range others {
		was, old := x.heard[o.From]
		anew = anew || !old
		there[o.From] = was
		var r row
		if o.Text != "" {
			if err := json.Unmarshal([]byte(o.Text), &r); err != nil {
				x.log.Debug("another process, of another version, has told something that cannot be read", "error", err)
				continue
			}
		}
		for _, report := range r.Reports {
			if report.Number <= was {
				continue
			}
			there[o.From] = report.Number
			if first { // nobody knows how old it is; who was there before tells it anew
				continue
			}
			told := report.entries()
			counts = append(counts, told...)
			if r.Policy == x.rates.policy[0] { // what comes back otherwise is no time of ours
				known = append(known, told...)
			}
		}
	}
	x.heard = there
	for _, e := range counts { // all before what is known, for what one process knows others have told it
		x.rates.add(e, gap, now)
	}
	for _, e := range known {
		x.rates.learn(e, gap, now)
	}
	return anew
}

// collect makes a report, if there is something to tell.
func (x *Gossip) collect(now time.Time) {
	owed := x.rates.owed(now, mostTold)
	if len(owed) == 0 {
		return
	}
	x.number++
	r := report{Number: x.number, Callers: make(map[string][3]int64, len(owed)), at: now}
	for _, e := range owed {
		r.Callers[encodeName(e.whom)] = [3]int64{e.count, e.age.Milliseconds(), e.used.Milliseconds()}
	}
	x.recent, x.unsaid = append(x.recent, r), true
}

func encodeName(whom string) string { return base64.RawURLEncoding.EncodeToString([]byte(whom)) }

// text is the row of this process.
func (x *Gossip) text(now time.Time) (string, error) {
	callers, from := 0, len(x.recent)
	for from > 0 {
		r := &x.recent[from-1]
		last := x.unsaid && from == len(x.recent)
		if callers += len(r.Callers); !last && (callers > mostRecent || now.Sub(r.at) > keepsake) {
			break
		}
		from--
	}
	x.recent = append([]report(nil), x.recent[from:]...)
	for i := range x.recent {
		x.recent[i].Ago = now.Sub(x.recent[i].at).Milliseconds()
	}
	b, err := json.Marshal(row{x.rates.policy[0], x.recent})
	return string(b), err
}

// entries are a report as it is counted; what no process tells is left out.
func (r *report) entries() (all []entry) {
	const longest = 1000 * time.Hour
	span := func(ms int64) time.Duration { return time.Duration(min(ms, longest.Milliseconds())) * time.Millisecond }
	for name, n := range r.Callers {
		whom, err := base64.RawURLEncoding.DecodeString(name)
		if err != nil || !isName(string(whom)) || n[0] < 0 || n[1] < 0 || n[2] < 0 || r.Ago < 0 {
			continue
		}
		ago := span(r.Ago)
		all = append(all, entry{string(whom), n[0], span(n[1]) + ago, span(n[2]) - ago})
	}
	return all
}

// Leave ends it: the others find no row of this process any more.
func (x *Gossip) Leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaves)
	defer cancel()
	if err := x.board.Leave(ctx); err != nil {
		x.log.Debug("other processes will find out by themselves that this one is gone", "error", err)
	}
}
