// Command ferretdb is FerretDB 1 on SQLite, for the tests of data/mongo: it prints the address of a free port of
// the loopback and runs until its standard input ends. Its databases are in the folder that it is given.
//
// FerretDB 1 reads the documents that a command changes and writes them in a second step, so that of two changes of
// one document at one moment one can be lost. MongoDB changes a document at once. So whoever comes to the port meets a
// door first (door.go), which lets in one command that changes documents at a time. It also compares the revision that an
// update names (revision.go), for which FerretDB 1 would read the whole collection.
//
// It is a module of its own: what FerretDB needs is none of Plinth's.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/?_pragma=synchronous(off)",
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go func() {
		inside, err := url.Parse(f.MongoDBURI())
		if err != nil {
			panic(err)
		}
		fmt.Println("mongodb://" + listener.Addr().String() + "/")
		(&door{inside: inside.Host}).serve(listener)
	}()
	return f.Run(ctx)
}
