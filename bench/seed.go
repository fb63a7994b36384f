package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The data is a function of the record's number, so that every server can be checked
// against it and none has an easier set.

const authorCount = 200

var statuses = []string{"draft", "published", "archived"}

type author struct {
	Name string `json:"name"`
	Bio  string `json:"bio"`
}

type post struct {
	Title  string `json:"title"`
	Body   string `json:"body"`
	Status string `json:"status"`
	Views  int    `json:"views"`
	Author string `json:"author"`
}

func seedAuthor(n int) author {
	return author{Name: fmt.Sprintf("Author %d", n), Bio: words(n, 8)}
}

func authorOf(n int) int { return int(scatter(n)>>8) % authorCount }

func seedPost(n int, authorID string) post {
	ending := ""
	if n%10 == 0 { // what must be escaped, and what is not ASCII
		ending = ` in the "café"`
	}
	return post{
		Title:  fmt.Sprintf("Post %d: %s%s", n, words(n, 4), ending),
		Body:   words(n+7, 30),
		Status: statuses[n%len(statuses)],
		Views:  int(scatter(n) % 100_000),
		Author: authorID,
	}
}

func (p post) json() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return b
}

var vocabulary = strings.Fields(`plinth column garden river stone window paper light copper bridge
	harbour letter winter orchard signal meadow thread lantern market anchor timber canvas
	mirror valley compass feather granite ribbon`)

func words(n, count int) string {
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(vocabulary[scatter(n*31+i)%uint64(len(vocabulary))])
	}
	return b.String()
}

// scatter is the finaliser of splitmix64: far apart for neighbours, the same on every run.
func scatter(n int) uint64 {
	z := uint64(n) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
