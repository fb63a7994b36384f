package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// answered is a post as any of the servers shows it.
type answered struct {
	post
	ID      string `json:"id"`
	Created string `json:"created"`
	Expand  struct {
		Author struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"author"`
	} `json:"expand"`
}

// check makes sure that the server does the work it is measured at: same records, same
// order, same expansion, and that what it acknowledged can be read.
func (s *site) check() error {
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"read", s.checkRead},
		{"list", func() error { return s.checkList(false) }},
		{"expand", func() error { return s.checkList(true) }},
		{"create", s.checkCreate},
		{"patch", s.checkPatch},
		{"refuse", s.checkRefusals},
		{"log", s.checkLog},
	} {
		if err := step.run(); err != nil {
			return fmt.Errorf("%s does not %s as it should: %w", s.name, step.name, err)
		}
	}
	return nil
}

func (s *site) read(id string) (a answered, err error) {
	body, err := s.plainly(s.get(s.api.posts + "/" + id))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(body, &a)
}

// plainly gives an answer the form of Plinth's.
func (s *site) plainly(body []byte, err error) ([]byte, error) {
	if err != nil || s.api.plain == nil {
		return body, err
	}
	return s.api.plain(body)
}

func (s *site) checkRead() error {
	for n := 0; n < s.posts; n += 1 + s.posts/50 {
		a, err := s.read(s.postID(n))
		if err != nil {
			return err
		}
		if a.post != s.post(n) {
			return fmt.Errorf("post %d is %+v", n, a)
		}
	}
	return nil
}

func (s *site) checkList(expand bool) error {
	for _, status := range statuses {
		body, err := s.plainly(s.get(s.api.list(status, 30, expand, "")))
		if err != nil {
			return err
		}
		var page struct {
			Items []answered
			Next  string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		if len(page.Items) != 30 || s.api.pages && page.Next == "" {
			return fmt.Errorf("%d items, next %q", len(page.Items), page.Next)
		}
		for i, a := range page.Items {
			if a.Status != status || i > 0 && a.Created > page.Items[i-1].Created {
				return fmt.Errorf("item %d has status %s, created %s", i, a.Status, a.Created)
			}
			if err := s.checkItem(a, expand); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
		}
	}
	return nil
}

// checkItem compares a listed post with the seed; its title tells its number.
func (s *site) checkItem(a answered, expand bool) error {
	var n int
	if _, err := fmt.Sscanf(a.Title, "Post %d:", &n); err != nil || a.post != s.post(n) {
		return fmt.Errorf("not what was stored: %+v", a)
	}
	if expand && (a.Expand.Author.ID != a.Author || a.Expand.Author.Name != seedAuthor(authorOf(n)).Name) {
		return fmt.Errorf("the wrong author: %+v", a.Expand.Author)
	}
	if !expand && a.Expand.Author.ID != "" {
		return fmt.Errorf("expanded without being asked")
	}
	return nil
}

func (s *site) checkCreate() error {
	want := s.post(s.posts + 1)
	body, err := s.plainly(s.send(http.MethodPost, s.api.posts, want.json(), s.api.created))
	if err != nil {
		return err
	}
	var a answered
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	back, err := s.read(a.ID)
	if err == nil && (a.post != want || back.post != want) {
		err = fmt.Errorf("answered %+v, reads %+v", a, back)
	}
	return err
}

func (s *site) checkPatch() error {
	id := s.postID(0)
	before := s.post(0)
	for _, patch := range []string{
		`{"title":"Patched","views":123456}`,
		fmt.Sprintf(`{"title":%q,"views":%d}`, before.Title, before.Views),
	} {
		if _, err := s.send(http.MethodPatch, s.api.posts+"/"+id, []byte(patch), http.StatusOK); err != nil {
			return err
		}
		want := before
		if err := json.Unmarshal([]byte(patch), &want); err != nil {
			return err
		}
		if a, err := s.read(id); err != nil || a.post != want {
			return fmt.Errorf("reads %+v after %s (%v)", a, patch, err)
		}
	}
	return nil
}

// checkRefusals: a server that checks less has less to do.
func (s *site) checkRefusals() error {
	good := s.post(0)
	for what, spoil := range map[string]func(p *post){
		"an author that does not exist": func(p *post) { p.Author = s.postID(0) },
		"a status that does not exist":  func(p *post) { p.Status = "lost" },
		"negative views":                func(p *post) { p.Views = -1 },
		"no title":                      func(p *post) { p.Title = "" },
	} {
		bad := good
		spoil(&bad)
		body := bad.json()
		if what == "no title" {
			body = []byte(fmt.Sprintf(`{"author":%q}`, good.Author))
		}
		status, _, err := s.client.ask(appendSend(nil, http.MethodPost, s.api.posts, body), true)
		if err != nil {
			return err
		}
		if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
			return fmt.Errorf("%s is answered with status %d", what, status)
		}
	}
	return nil
}
