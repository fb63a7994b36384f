//go:build unix

package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
)

// TestHandOverRefused: a program that hangs is not waited for without end, and said to hang; why one cannot be started is said once. It
// changes what the program is, so nothing is beside it.
func TestHandOverRefused(t *testing.T) {
	was := program
	defer func() { program = was }()
	for name, c := range map[string]struct{ text, says string }{
		"hangs":   {"#!/bin/sh\nexec sleep 600\n", "the new process could not serve within 500ms, and was ended: its log says what it did"},
		"ends":    {"#!/bin/sh\nexit 1\n", "the new process ended before it could serve: its log says why"},
		"is none": {"\x00\x01 no program", "cannot be started: exec format error"},
	} {
		program = filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(program, []byte(c.text), 0o700); err != nil {
			t.Fatal(err)
		}
		s := &server{o: Options{Log: quiet}}
		patience := 20 * time.Second
		if name == "hangs" {
			patience = 500 * time.Millisecond
		}
		began := time.Now()
		_, err := s.handOver(t.Context(), patience)
		if !fault.Is(err, fault.Unavailable) || !strings.HasSuffix(err.Error(), c.says) || strings.Count(err.Error(), "exec format error") > 1 {
			t.Errorf("what %s: %v", name, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("what %s was waited for, %s", name, took)
		}
	}
}
