package auth_test

import (
	"log/slog"
	"net/http/httptest"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/web"
)

// twin is another process of the site: it has the database, and remembers for itself.
func (s *site) twin() *site {
	s.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	hasher, err := password.New(password.Options{Memory: 256, Time: 1, Threads: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	other := *s
	if other.gate, err = auth.New(s.db, key, auth.Options{Clock: s.now, Log: quiet, Mail: byJob{}, Hasher: passwords{hasher}}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(other.gate.Close)
	server := httptest.NewServer(web.Guard(other.gate.Door(), s.db.App().Server, quiet))
	s.t.Cleanup(server.Close)
	other.url = server.URL
	return &other
}

// create makes a record as Plinth itself does.
func (s *site) create(collection, body string) (id string) {
	s.t.Helper()
	r, err := s.db.Create(s.t.Context(), data.System, collection, node(s.t, body), data.WriteOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.ID
}

func (s *site) remove(collection, id string) {
	s.t.Helper()
	if _, err := s.db.Delete(s.t.Context(), data.System, collection, id, data.WriteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) count(collection string) int {
	s.t.Helper()
	records, _, err := s.db.Records(s.t.Context(), data.System, &data.ListQuery{Collection: collection, Limit: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(records)
}

func (s *site) idOf(email string) string {
	s.t.Helper()
	u, err := s.gate.User(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}
