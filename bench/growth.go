package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Growth: how many times slower a big table may be than one of ten thousand rows.
var growthLines = []line{
	{name: "read", title: "read one", requests: reads, goals: slower(1.3)},
	{name: "list", title: "first page of 30", requests: lists(false), goals: slower(1.3)},
	{name: "deep", title: "a page deep in the list", requests: deepPages, goals: slower(1.3)},
	{name: "create", title: "create", creates: true, requests: creates, goals: slower(2)},
}

const smallest = 10_000

var sizes = []int{smallest, 100_000, 1_000_000, 10_000_000}

func slower(times float64) map[string]float64 {
	goals := map[string]float64{}
	for _, rows := range sizes[1:] {
		goals[sizeName(rows)] = times
	}
	return goals
}

func sizeName(rows int) string {
	if rows >= 1_000_000 {
		return fmt.Sprintf("%dM", rows/1_000_000)
	}
	return fmt.Sprintf("%dk", rows/1000)
}

// grow starts one server several times, each on a table of another size, and measures them
// in alternation.
func grow(ctx context.Context, o options) error {
	if len(o.only) == 0 {
		o.only = []string{"plinth"}
	}
	lines, err := chosen(growthLines, o)
	if err != nil {
		return err
	}
	peers, err := build(ctx, o)
	if err != nil {
		return err
	}
	if len(peers) != 1 || peers[0].file == "" {
		return fmt.Errorf("-growth measures plinth or handwritten, one at a time")
	}
	data, err := os.MkdirTemp(o.work, "growth-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer os.RemoveAll(data)
	}

	var sites []*site
	defer func() { stopAll(sites) }()
	for _, rows := range sizes {
		if rows > o.max {
			break
		}
		s, err := openSite(ctx, peers[0], filepath.Join(data, sizeName(rows)))
		if err != nil {
			return err
		}
		s.name = sizeName(rows)
		sites = append(sites, s)
		if err := s.growTo(ctx, rows); err != nil {
			return err
		}
	}
	if len(sites) < 2 {
		return fmt.Errorf("-max must be at least %d", sizes[1])
	}
	r := newReport("growth of "+peers[0].name, o, sites)
	r.atMost = true
	if err := measure(ctx, o, lines, sites, r); err != nil {
		return err
	}
	fmt.Printf("\n%s on growing tables; a ratio is how many times slower, a goal is the most allowed\n", peers[0].name)
	r.print(os.Stdout)
	return r.save(o.json)
}

// growTo lets the server make its tables and authors, fills the posts behind its back and
// starts it again.
func (s *site) growTo(ctx context.Context, rows int) error {
	if err := s.loadAuthors(); err != nil {
		return err
	}
	s.stop()
	progress("filling %s posts", s.name)
	if err := fill(ctx, filepath.Join(s.dir, s.file), rows, s.authors); err != nil {
		return err
	}
	s.posts, s.postID = rows, filledID
	if err := s.start(ctx); err != nil {
		return err
	}
	for _, n := range []int{0, rows / 2, rows - 1} {
		if a, err := s.read(s.postID(n)); err != nil || a.post != s.post(n) {
			return fmt.Errorf("row %d of %s reads %+v (%v)", n, s.name, a, err)
		}
	}
	if err := s.checkList(false); err != nil {
		return err
	}
	progress("walking into the list of %s posts", s.name)
	var err error
	if s.deep, err = s.walk(ctx); err != nil {
		return err
	}
	return s.warm()
}

// settling is how long a table is asked before its first round of a line: the pages of a large one are new to the
// server's memory at first, each once, which is not how the database grows.
const settling = 5 * time.Second

// warm reads the file once, so that the system has it in memory: what is measured is how the database
// grows, not how fast the disk is.
func (s *site) warm() error {
	f, err := os.Open(filepath.Join(s.dir, s.file))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// deepest is how many cursors are kept of a walk to the middle of the list.
const deepest = 16

// walk follows the cursors to the middle of the published posts and returns the last pages
// on the way there.
func (s *site) walk(ctx context.Context) (paths []string, err error) {
	cursor, seen := "", 0
	for seen < s.posts/len(statuses)/2 {
		body, err := s.get(s.api.list("published", 100, false, cursor))
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		if page.Next == "" {
			return nil, fmt.Errorf("the list ends after %d of about %d", seen, s.posts/len(statuses))
		}
		seen += len(page.Items)
		cursor = page.Next
		paths = append(paths, s.api.list("published", 30, false, cursor))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return paths[max(0, len(paths)-deepest):], nil
}

func deepPages(s *site) requests {
	return func(b []byte, rng *rand.Rand) []byte {
		return appendGet(b, s.deep[rng.IntN(len(s.deep))], "")
	}
}
