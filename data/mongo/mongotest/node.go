package mongotest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Node is a process of Node's that has databases whose language is mingo's (test/mingo). It does one thing after the
// other. It is safe for concurrent use.
type Node struct {
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

// StartNode installs what test/mingo needs, if it is not there, and starts a process, which runs until Stop.
func StartNode() (*Node, error) {
	dir := beside("mingo")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "mingo")); err != nil {
		install := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund")
		install.Dir = dir
		if said, err := install.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("npm ci: %w: %s", err, said)
		}
	}
	cmd := exec.Command("node", "server.mjs")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &Node{in: in, out: bufio.NewReaderSize(out, 1<<16), cmd: cmd}, cmd.Start()
}

// Stop ends the process.
func (n *Node) Stop() {
	_ = n.in.Close() // it ends with its input
	_ = n.cmd.Wait()
}

// Answer is what a Node says: rows or a number, the index that refused a document ("id" for its _id), or what went wrong.
type Answer struct {
	Rows  []bson.Raw `bson:"rows"`
	N     int64      `bson:"n"`
	Index string     `bson:"index"`
	Error string     `bson:"error"`
}

// Ask sends a request, as test/mingo/server.mjs reads it. An error is one of the process.
func (n *Node) Ask(request bson.D) (a Answer, err error) {
	text, err := bson.MarshalExtJSON(request, true, false)
	if err != nil {
		return a, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := n.in.Write(append(text, '\n')); err != nil {
		return a, err
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("mingo ended: %w", err)
	}
	if err := bson.UnmarshalExtJSON(line, false, &a); err != nil {
		return a, fmt.Errorf("%w in %s", err, line)
	}
	return a, nil
}
