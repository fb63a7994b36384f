package serve

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/bluell/plinth/fault"
)

// A process hands over to another by starting it with its sockets. The other opens the app, takes the sockets, answers
// requests, and says so; only then does the first stop taking new connections. So none is refused, and if the
// other does not come so far, nothing has happened.
//
// The sockets are the descriptors from firstSocket on, in the order in which handedSockets names them; the last
// descriptor is a pipe for one line: "taken", or "refused" and why.
const handedSockets = "PLINTH_HANDED_SOCKETS" // NAME=ADDRESS,…

func (s *server) handed() string {
	var parts []string
	for _, d := range s.doors {
		parts = append(parts, d.Name+"="+d.Address)
	}
	return strings.Join(parts, ",")
}

// predecessor is the pipe to the process from which this one takes over.
var predecessor struct {
	sync.Mutex
	pipe *os.File
}

// handed takes the sockets that another process has handed over.
func (s *sockets) handed(text string) error {
	fd := firstSocket
	for part := range strings.SplitSeq(text, ",") {
		name, asked, ok := strings.Cut(part, "=")
		if !ok {
			return fault.New(fault.Invalid, "%s is %q, not names of sockets and their addresses", handedSockets, text)
		}
		if err := s.add(name, asked, fd); err != nil {
			return err
		}
		fd++
	}
	predecessor.Lock()
	defer predecessor.Unlock()
	predecessor.pipe = os.NewFile(uintptr(fd), "predecessor")
	closeOnExec(fd)
	return nil
}

func taken() { answer("taken") }

// Refuse tells the process from which this one should have taken over why it does not; nothing where there is none,
// or when it has.
func Refuse(why string) { answer("refused " + strconv.Quote(why)) }

func answer(line string) {
	_, _ = givenSockets() // the pipe comes with them
	predecessor.Lock()
	defer predecessor.Unlock()
	if predecessor.pipe == nil {
		return
	}
	fmt.Fprintln(predecessor.pipe, line)
	_ = predecessor.pipe.Close()
	predecessor.pipe = nil
}

// outcome reads what the other process says; nil when it has taken over.
func outcome(pipe *os.File) error {
	line, _ := bufio.NewReader(pipe).ReadString('\n')
	word, why, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch text, err := strconv.Unquote(why); {
	case word == "taken":
		return nil
	case word == "refused" && err == nil:
		return fault.New(fault.Unavailable, "%s", text)
	}
	return fault.New(fault.Unavailable, "the new process ended before it could serve: its log says why")
}
