package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/spec"
)

// replicas are processes of one database, each of which counts callers.
type replicas struct {
	t   *testing.T
	eng *memory.Engine
	app *spec.App
	key []byte
	all []*replica
}

type replica struct {
	*Gossip
	db *data.DB
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(`collections: {posts: {fields: {a: {type: text}}}}`)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = app.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &replicas{t: t, eng: memory.Open(), app: app, key: []byte(strings.Repeat("k", 32))}
	plan, err := data.Plan(t.Context(), app, r.eng, r.key)
	if err == nil {
		err = plan.Apply(t.Context(), r.eng, data.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *replicas) start(rate spec.Rate) *replica {
	r.t.Helper()
	db, err := data.Open(r.t.Context(), r.app, r.eng, data.Options{Key: r.key, Log: quiet})
	if err != nil {
		r.t.Fatal(err)
	}
	board, err := db.Board("_rates")
	if err != nil {
		r.t.Fatal(err)
	}
	one := &replica{NewGossip(NewRates(rate, r.key), board, quiet), db}
	r.all = append(r.all, one)
	r.round()
	return one
}

// round has each process tell, and then each hear, what there is.
func (r *replicas) round() {
	r.t.Helper()
	for range 2 {
		for _, one := range r.all {
			if err := one.round(context.Background()); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// rows are those of the board: their texts, and how often they were written together.
func (r *replicas) rows() (texts []string, writes int64) {
	r.t.Helper()
	list, _, err := r.all[0].db.Records(context.Background(), data.System, &data.ListQuery{Collection: "_rates"})
	if err != nil {
		r.t.Fatal(err)
	}
	text, _ := r.app.Collections[len(r.app.Collections)-1].Field("text")
	for _, rec := range list {
		texts = append(texts, rec[text.Ord].Text())
		writes += rec[spec.OrdRev].Int()
	}
	return texts, writes
}

func (r *replica) asks(whom string) bool { return r.rates.take(http.Header{}, whom, time.Now()) == nil }

// A caller who asks three processes in turn is let through as often as at one. Others are not touched by it.
func TestRatesTogether(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	const most = 12
	for range 3 {
		r.start(spec.Rate{Count: most, Per: time.Hour})
	}
	for _, whom := range []string{"address:192.0.2.1", "user:ann"} {
		let := 0
		for i := range 3 * most {
			if r.all[i%3].asks(whom) {
				let++
			}
			r.round()
		}
		if let != most {
			t.Errorf("%s was let through %d times", whom, let)
		}
		h := http.Header{}
		if err := r.all[0].rates.take(h, whom, time.Now()); err == nil || h.Get("Ratelimit") != `"requests";r=0;t=300` {
			t.Errorf("%v %v", h, err)
		}
	}
	texts, _ := r.rows()
	names := map[string]bool{}
	for _, text := range texts {
		var stored row
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			t.Fatal(err)
		}
		for _, report := range stored.Reports {
			for _, e := range report.entries() {
				names[e.whom] = true
				if strings.Contains(e.whom, "192") || strings.Contains(e.whom, "ann") {
					t.Errorf("who has asked is stored: %q", e.whom)
				}
			}
		}
	}
	if len(names) == 0 || names[NewRates(spec.Rate{Count: 1, Per: 1}, []byte("another key")).name("user:ann")] {
		t.Errorf("%v", names)
	}
}

// However little each process was asked, it is known before there is too much of it.
func TestRatesOfMany(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	const most, processes = 100, 10
	for range processes {
		r.start(spec.Rate{Count: most, Per: 10 * time.Hour})
	}
	let, between := 0, 0
	for i := range 2 * most {
		if r.all[i%processes].asks("user:ann") {
			let++
		}
		if between++; between == processes {
			r.round()
			between = 0
		}
	}
	if let < most || let > most+processes {
		t.Errorf("%d were let through", let)
	}
}

// A process that begins is told what callers have used, also by one that was alone until then; what one has left behind that is
// gone is counted once.
func TestRatesOfNewcomer(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	rate := spec.Rate{Count: 10, Per: time.Hour}
	first := r.start(rate)
	for range 8 {
		first.asks("user:ann")
	}
	second := r.start(rate)
	let := 0
	for second.asks("user:ann") {
		let++
	}
	if let != 2 {
		t.Errorf("it has let through %d after 8 at another", let)
	}
	r.round()
	if first.asks("user:ann") {
		t.Error("the one that was there does not know what was used at the new one")
	}
	second.Leave()
	r.all = r.all[:1]
	third := r.start(rate)
	if texts, _ := r.rows(); len(texts) != 2 {
		t.Errorf("%d rows", len(texts))
	}
	for range 9 {
		if !third.asks("user:bob") {
			t.Fatal("a process that is gone counts")
		}
		r.round()
	}
	if third.asks("user:ann") || !first.asks("user:bob") || first.asks("user:bob") {
		t.Error("two processes do not agree")
	}
}

// Nothing is written where nobody else is, nor where nothing is to be told.
func TestRatesQuiet(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	rate := spec.Rate{Count: 1000, Per: time.Hour}
	first := r.start(rate)
	for range 900 {
		first.asks("user:ann")
	}
	for range 10 {
		r.round()
	}
	if _, writes := r.rows(); writes != 1 {
		t.Errorf("alone it has written %d times", writes)
	}
	r.start(rate)
	r.round()
	_, before := r.rows()
	for i := range 500 {
		first.asks(fmt.Sprint("user:", i))
		r.round()
	}
	if _, writes := r.rows(); writes != before {
		t.Errorf("%d writes tell of those who have asked once", writes-before)
	}
}

// Whatever comes, a row is of bounded length, and those who have used most are told of.
func TestRatesFlood(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	rate := spec.Rate{Count: 4, Per: time.Hour}
	a, b := r.start(rate), r.start(rate)
	for i := range 5000 {
		a.asks(fmt.Sprint("address:", i))
	}
	for range 4 {
		a.asks("user:ann")
	}
	for range 5 {
		r.round()
		for i := range 5000 {
			a.asks(fmt.Sprint("address:", i))
		}
	}
	texts, _ := r.rows()
	for _, text := range texts {
		if len(text) > mostRecent*60 {
			t.Errorf("a row has %d bytes", len(text))
		}
	}
	if b.asks("user:ann") {
		t.Error("the other process was not told of who has used all")
	}
}

// What is not understood is passed over, and numbers that cannot be are of no effect.
func TestRatesNonsense(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	rate := spec.Rate{Count: 10, Per: time.Hour}
	a := r.start(rate)
	stranger, err := a.db.Board("_rates")
	if err != nil {
		t.Fatal(err)
	}
	whom := a.rates.name("user:ann")
	for i, text := range []string{"", "x", "{}", "null", `{"reports":[{"n":1}]}`, `{"reports":[{"n":2,"c":{"x":[1,2,3],"AAAA":[1,1,1]}}]}`,
		`{"reports":[{"n":3,"c":{"` + encodeName(whom) + `":[-5,-5,-5]}}]}`} {
		if err := stranger.Post(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		r.round()
		if left, _, _ := a.rates.spend(a.rates.name(fmt.Sprint("user:", i)), time.Now()); left != 9 {
			t.Errorf("%s: %d left", text, left)
		}
	}
	for n, numbers := range []string{"[1000000,0,0]", "[9223372036854775807,9223372036854775807,9223372036854775807]"} {
		text := fmt.Sprintf(`{"policy":"another","reports":[{"n":%d,"c":{"%s":%s}}]}`, 4+n, encodeName(a.rates.name(numbers)), numbers)
		if err := stranger.Post(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		r.round()
		if _, back, _ := a.rates.spend(a.rates.name(numbers), time.Now()); back > rate.Per {
			t.Errorf("%s: he is to wait for %s", numbers, back)
		}
	}
	if !a.asks("user:bob") {
		t.Error("another is refused")
	}
}

// faulty is a board on which nothing can be written for a while.
type faulty struct {
	Board
	away bool
}

func (b *faulty) Post(ctx context.Context, text string) error {
	if b.away {
		return errors.New("the database is away")
	}
	return b.Board.Post(ctx, text)
}

// What could not be told at once is told later, as what is over by then.
func TestRatesToldLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReplicas(t)
		rate := spec.Rate{Count: 10, Per: 10 * time.Second}
		a, b := r.start(rate), r.start(rate)
		board := &faulty{Board: a.board}
		a.board = board
		board.away = true
		for range 10 {
			a.asks("user:ann")
		}
		for range 12 {
			if err := a.round(t.Context()); err == nil {
				t.Error("it was told")
			}
			if err := b.round(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(together)
		}
		board.away = false
		r.round()
		let := 0
		for b.asks("user:ann") {
			let++
		}
		if let != 6 { // of 10 that were used 6 s ago
			t.Errorf("%d were let through", let)
		}
	})
}

// In the long run no caller gets more than the rate, however fast and wherever he asks; who keeps to it is never refused.
func TestRatesInTheLongRun(t *testing.T) {
	t.Parallel()
	for _, rate := range []spec.Rate{{Count: 10, Per: time.Second}, {Count: 20, Per: 10 * time.Second}, {Count: 60, Per: time.Minute}} {
		for _, processes := range []int{3, 8} {
			t.Run(fmt.Sprint(rate.Count, "in", rate.Per, "at", processes), func(t *testing.T) { inTheLongRun(t, rate, processes) })
		}
	}
}

func inTheLongRun(t *testing.T, rate spec.Rate, processes int) {

	synctest.Test(t, func(t *testing.T) {
		r := newReplicas(t)
		for range processes {
			r.start(rate)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		for _, one := range r.all {
			go func() {
				for ctx.Err() == nil {
					select {
					case <-time.After(one.Round(ctx) + rand.N(50*time.Millisecond)):
					case <-ctx.Done():
					}
				}
			}()
		}
		each := rate.Per / time.Duration(rate.Count)
		long := max(time.Minute, 5*rate.Per)
		let, refused, soonest := 0, 0, time.Now()
		start := time.Now()
		for i := 0; time.Since(start) < long; i++ {
			for range 6 { // six times as fast
				if r.all[rand.IntN(processes)].asks("user:eve") {
					let++
				}
				time.Sleep(each / 6)
			}
			if !time.Now().Before(soonest) {
				soonest = soonest.Add(each + time.Microsecond)
				if !r.all[i%processes].asks("user:ann") {
					refused++
				}
			}
		}
		allowed := rate.Count + int(long/each)
		slack := (processes-1)*rate.Count + 6*int(2*together/each) // at the others, and what comes between two rounds
		if let > allowed+slack || let < allowed*9/10 {
			t.Errorf("%d were let through of %d, and %d", let, allowed, slack)
		}
		if refused > 0 {
			t.Errorf("who keeps to it was refused %d times", refused)
		}
		t.Logf("%d were let through of %d", let, allowed)
	})
}
