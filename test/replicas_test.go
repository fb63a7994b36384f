package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// Two processes serve one database: a server's, or one SQLite file. Thirty-two clients, half of them at each, change the
// same few records with If-Match and make records of their own: no change is lost, each record that was acknowledged is
// there once, whoever is asked, and no client sees an error but 412.
func TestReplicas(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		dir := folder(t, countersApp)
		runOn(t, db, "apply", dir)
		replicas := []*server{servingOn(t, db, dir), servingOn(t, db, dir)}
		judged := described(t)
		var ids []string
		for range 3 {
			status, b, err := ask(judged, "POST", replicas[0].url+"/api/counters", "", `{"n":0}`)
			var made struct{ ID string }
			if err != nil || status != http.StatusCreated || json.Unmarshal(b, &made) != nil {
				t.Fatalf("%d %s %v", status, b, err)
			}
			ids = append(ids, made.ID)
		}
		const clients, each = 32, 10
		var all sync.WaitGroup
		for c := range clients {
			all.Go(func() {
				url := replicas[c%len(replicas)].url
				for i := range each {
					countUp(t, judged, url+"/api/counters/"+ids[(c+i)%len(ids)])
					status, b, err := ask(judged, "POST", url+"/api/seats", "", fmt.Sprintf(`{"seat":%d,"who":"c%d"}`, c*each+i, c))
					if err != nil || status != http.StatusCreated {
						t.Errorf("%d %s %v", status, b, err)
					}
				}
			})
		}
		all.Wait()
		for i, s := range replicas {
			sum := 0
			for _, id := range ids {
				n, rev := counter(t, judged, s.url+"/api/counters/"+id)
				if sum += n; rev != n+1 {
					t.Errorf("process %d: a counter is at %d and its revision at %d", i, n, rev)
				}
			}
			if sum != clients*each {
				t.Errorf("process %d: %d of %d changes are there", i, sum, clients*each)
			}
			_, b, err := ask(judged, "GET", s.url+"/api/seats?aggregate=count,sum(seat)", "", "")
			want := fmt.Sprintf(`{"groups":[{"count":%d,"sum(seat)":%d}]}`, clients*each, clients*each*(clients*each-1)/2)
			if err != nil || string(b) != want {
				t.Errorf("process %d: %s %v, want %s", i, b, err, want)
			}
		}
		for _, s := range replicas {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}
	})
}
