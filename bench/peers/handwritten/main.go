// Command handwritten is the yardstick of Plinth's bench: the posts API of bench/app as a
// careful engineer writes it by hand, with net/http and the drivers that Plinth uses. It
// answers after the commit. It knows these two collections and nothing else.
//
// What is one for all databases is in create.go, read.go, list.go, patch.go and batch.go; store.go
// says what they ask of one. On SQLite readers are connections with statements prepared in advance;
// one goroutine writes, and the requests that wait at the same moment share one transaction and one
// sync. On PostgreSQL and MariaDB there is a pool of connections, as many as Plinth has, and the
// server groups the commits.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	db := flag.String("db", "handwritten.db", "path of the SQLite file, or postgres://… or mysql://…")
	flag.Parse()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // as Plinth does: both leave as much garbage lie
	}
	if err := run(*listen, *db); err != nil {
		log.Fatal(err)
	}
}

func run(listen, db string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	st, err := openStore(ctx, db)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           (&api{store: st}).routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	fmt.Printf("handwritten: listening on http://%s\n", ln.Addr())

	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err = srv.Shutdown(grace)
		cancel()
	}
	st.close()
	return err
}

func openStore(ctx context.Context, db string) (store, error) {
	switch scheme, rest, _ := strings.Cut(db, "://"); scheme {
	case "postgres":
		return openPostgres(ctx, db)
	case "mysql":
		return openMySQL(ctx, rest)
	default:
		return openSQLite(db)
	}
}

// api is the HTTP door: the database, and the routes in front of it.
type api struct{ store store }

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /api/posts/{id}", a.readPost)
	mux.HandleFunc("GET /api/posts", a.listPosts)
	mux.HandleFunc("POST /api/posts", a.createPost)
	mux.HandleFunc("PATCH /api/posts/{id}", a.patchPost)
	mux.HandleFunc("GET /api/authors/{id}", a.readAuthor)
	mux.HandleFunc("POST /api/authors", a.createAuthor)
	mux.HandleFunc("POST /api/batch", a.batch)
	return mux
}
