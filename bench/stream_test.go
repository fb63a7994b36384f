package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestStreamIsReadInAnyPieces(t *testing.T) {
	want := []string{`ready {"position":"a.1"}`, `create {"title":"Live 1"}`, `create {"title":"Live 2"}`}
	events := "retry: 1000\n\nevent: ready\nid: a.1\ndata: {\"position\":\"a.1\"}\n\n:\n\n" +
		"event: create\nid: a.2\ndata: {\"title\":\"Live 1\"}\n\nid:x\nevent:create\ndata:{\"title\":\"Live 2\"}\n\n"
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	answers := map[string]string{
		"plain":   head + "Connection: close\r\n\r\n" + events,
		"chunked": head + "Transfer-Encoding: chunked\r\n\r\n",
	}
	for rest := events; len(rest) > 0; {
		n := min(len(rest), 17)
		answers["chunked"] += fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	for name, answer := range answers {
		for size := 1; size <= len(answer); size++ {
			var s stream
			var got []string
			for b := []byte(answer); len(b) > 0; {
				n := min(len(b), size)
				if err := s.feed(b[:n], func(name, data []byte) error {
					got = append(got, string(name)+" "+string(data))
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				b = b[n:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s, %d bytes at once: %q", name, size, got)
			}
		}
	}
}

func TestStreamEnds(t *testing.T) {
	var s stream
	if err := s.feed([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), nil); !errors.Is(err, errEnded) {
		t.Errorf("the last chunk: %v", err)
	}
	if err := new(stream).feed([]byte("HTTP/1.1 503 Service Unavailable\r\n"), nil); err == nil {
		t.Error("a refused stream is no error")
	}
}

func TestLiveNumber(t *testing.T) {
	for data, want := range map[string]int64{
		`{"action":"create","record":{"id":"x","title":"Live 12","views":3}}`: 12,
		`{"title":"Post 12: Live 3"}`:                                         -1,
		`{"title":"Live 12`:                                                   -1,
		`{"id":"x"}`:                                                          -1,
	} {
		if n, ok := liveNumber([]byte(data)); ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d, %v", data, n, ok)
		}
	}
}
