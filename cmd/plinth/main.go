// Command plinth makes, checks and serves an app. Each command has a file of its name.
package main

import (
	"context"
	"os"

	"github.com/bluell/plinth"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

// run is the program; it returns the exit code: 0, 1 failure, 2 wrong usage, 3 the app file is wrong.
func run(ctx context.Context, args []string) int {
	c := &cli{out: os.Stdout, err: os.Stderr}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitCode(err, c.began)
	plinth.Refuse(plain(err))
	c.report(err, code)
	return code
}
