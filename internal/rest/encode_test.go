package rest_test

import (
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// TestTagOfACoding: what a client was told of a record that came encoded is good for all that a tag is good for.
func TestTagOfACoding(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	a := s.ask("POST /api/posts", "Accept-Encoding: gzip", `{"title":"Hello","meta":{"note":"`+strings.Repeat("a", 17_000)+`"}}`).want(201)
	id := a.json()["id"].(string)
	if a.header.Get("ETag") != `"1"` || a.header.Get("Content-Encoding") != "" {
		t.Errorf("a write: %v", a.header)
	}
	one := "/api/posts/" + id
	for _, coding := range []string{"gzip", "zstd"} {
		tag := `"1-` + coding + `"`
		a := s.ask("GET "+one, "Accept-Encoding: "+coding, "").want(200)
		if a.header.Get("Content-Encoding") != coding || a.header.Get("ETag") != tag || strings.Join(a.header["Vary"], ", ") != "Authorization, Cookie, Accept-Encoding" {
			t.Errorf("%v", a.header)
		}
		if head := s.ask("HEAD "+one, "Accept-Encoding: "+coding, "").want(200); head.header.Get("ETag") != tag || head.body != "" || head.header.Get("Content-Length") != "" {
			t.Errorf("HEAD: %v", head.header)
		}
		if a := s.ask("GET "+one, "Accept-Encoding: "+coding+"\nIf-None-Match: "+tag, "").want(304); a.header.Get("ETag") != tag || len(a.header["Vary"]) != 2 {
			t.Errorf("304: %v", a.header)
		}
		s.ask("GET "+one, "Accept-Encoding: "+coding+"\nIf-Match: "+tag, "").want(200)
		s.ask("PATCH "+one, `If-Match: "2-`+coding+`"`, `{"title":"Again"}`).want(412)
		s.ask("PATCH "+one, `If-Match: W/`+tag, `{"title":"Again"}`).want(412)
		s.ask("PATCH "+one, "If-Match: "+tag, `{"title":"Hello"}`).want(200)
		s.ask("PUT "+one, "If-None-Match: "+tag, `{"title":"Hello"}`).want(412)
	}
	s.ask("PATCH "+one, `If-Match: "1-zstd"`, `{"title":"Again"}`).want(200)
	s.ask("GET "+one, "Accept-Encoding: zstd\nIf-None-Match: "+`"1-zstd"`, "").want(200)
	s.ask("DELETE "+one, "Authorization: Bearer staff\n"+`If-Match: "1-gzip"`, "").want(412)
	s.ask("DELETE "+one, "Authorization: Bearer staff\n"+`If-Match: "2-gzip"`, "").want(204)
}

// TestListsAreEncoded: lists, by either way to ask, and the description; not what is short, and no stream.
func TestListsAreEncoded(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	s.create(`{"title":"Hello"}`)
	short := s.ask("GET /api/posts", "Accept-Encoding: gzip", "").want(200)
	if short.header.Get("Content-Encoding") != "" || len(short.header["Vary"]) != 1 {
		t.Errorf("a short one: %v", short.header)
	}
	for range 30 {
		s.create(`{"title":"Hello again"}`)
	}
	for line, body := range map[string]string{"GET /api/posts": "", "POST /api/posts/query": "{}", "GET /api/openapi.json": ""} {
		plain := s.ask(line, "", body).want(200)
		if plain.header.Get("Content-Encoding") != "" || len(plain.header["Vary"]) != 2 {
			t.Errorf("%s: %v", line, plain.header)
		}
		small := s.ask(line, "Accept-Encoding: zstd, gzip;q=0.9", body).want(200)
		z, err := zstd.NewReader(strings.NewReader(small.body))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != plain.body || small.header.Get("Content-Encoding") != "zstd" || len(small.body) > len(plain.body)/3 {
			t.Errorf("%s: %v %v, %d bytes of %d", line, err, small.header, len(small.body), len(plain.body))
		}
		z.Close()
		small = s.ask(line, "Accept-Encoding: gzip", body).want(200)
		g, err := gzip.NewReader(strings.NewReader(small.body))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(g); err != nil || string(b) != plain.body {
			t.Errorf("%s: %v", line, err)
		}
	}
}
