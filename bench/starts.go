package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// start is the time from the start of a process to its first good answer, and its memory
// at that moment.
type start struct {
	App      string  `json:"app"`
	FirstMs  float64 `json:"firstAnswerMs"` // the least of several: others only add
	MedianMs float64 `json:"medianMs"`
	Resident float64 `json:"residentMB"`
}

// measureStarts starts each server several times, in alternation, on data that is there
// already: Plinth on the example app, the others on the posts.
func measureStarts(ctx context.Context, o options, peers []peer, data string) map[string]*start {
	var sites []*site
	starts := map[string]*start{}
	for _, p := range peers {
		s := &site{peer: p, name: p.name, dir: filepath.Join(data, p.name)}
		app := "bench"
		if p.name == "plinth" {
			agency, err := agencySite(p, filepath.Join(data, "agency"))
			if err != nil {
				progress("start    plinth on its bench app: %v", err)
			} else {
				s, app = agency, "agency"
			}
		}
		// the first start makes the database and warms the files
		if _, _, err := s.startOnce(ctx); err != nil {
			progress("start    left out: %v", err)
			continue
		}
		sites = append(sites, s)
		starts[p.name] = &start{App: app}
	}

	times, memory := map[string][]float64{}, map[string][]float64{}
	for range o.starts {
		for _, s := range sites {
			took, mb, err := s.startOnce(ctx)
			if err != nil {
				progress("start    %v", err)
				continue
			}
			times[s.peer.name] = append(times[s.peer.name], took)
			memory[s.peer.name] = append(memory[s.peer.name], mb)
		}
	}
	for name, st := range starts {
		if len(times[name]) == 0 {
			delete(starts, name)
			continue
		}
		st.FirstMs, st.MedianMs = slices.Min(times[name]), median(times[name])
		st.Resident = slices.Min(memory[name])
		progress("start    %-14s %.1f ms (median %.1f)  %.1f MB", name, st.FirstMs, st.MedianMs, st.Resident)
	}
	return starts
}

func (s *site) startOnce(ctx context.Context) (ms, mb float64, err error) {
	defer s.stop()
	took, err := s.launch(ctx)
	if err != nil {
		return 0, 0, err
	}
	return float64(took) / float64(time.Millisecond), resident(s.cmd.Process.Pid), nil
}

// agencySite is Plinth on a copy of examples/agency.
func agencySite(p peer, dir string) (*site, error) {
	source := filepath.Join("..", "examples", "agency")
	if _, err := os.Stat(filepath.Join(source, "plinth.yaml")); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return nil, err
	}
	for _, e := range entries { // but data: somebody may serve it at the moment
		switch from := filepath.Join(source, e.Name()); {
		case e.Name() == "data":
			continue
		case e.IsDir():
			err = os.CopyFS(filepath.Join(dir, e.Name()), os.DirFS(from))
		default:
			var b []byte
			if b, err = os.ReadFile(from); err == nil {
				err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, e.Name()), b, 0o644))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return &site{peer: p, name: "plinth agency", dir: dir}, nil
}
