package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// logged is a row of a server's log of changes.
type logged struct {
	Collection, Record, Op string
	Rev                    float64
	Old, New               map[string]any // nil is none
}

// checkLog makes sure that a server which keeps a log leaves in it what the others leave: a row for each record
// that a create, a patch or a batch writes. The new image is the answer without what is null, the old one what
// was different in the answer before.
func (s *site) checkLog() error {
	if s.log == "" {
		return nil
	}
	before, err := s.logCount()
	if err != nil {
		return err
	}
	var want []logged
	note := func(op string, old, is map[string]any) {
		l := logged{Collection: "posts", Record: is["id"].(string), Op: op, Rev: is["rev"].(float64), New: maps.Clone(is)}
		maps.DeleteFunc(l.New, func(_ string, v any) bool { return v == nil })
		if old != nil {
			l.Old = map[string]any{}
			for name, was := range old {
				if was != is[name] {
					l.Old[name] = was
				}
			}
		}
		want = append(want, l)
	}
	write := func(method, path string, body []byte, status int) (is map[string]any, err error) {
		answer, err := s.send(method, path, body, status)
		if err == nil {
			err = json.Unmarshal(answer, &is)
		}
		return is, err
	}

	created, err := write(http.MethodPost, s.api.posts, s.post(s.posts+10).json(), s.api.created) // its text has to be escaped
	if err != nil {
		return err
	}
	note("create", nil, created)
	for _, patch := range []string{`{"title":"Patched","views":7}`, `{"body":null}`, `{"body":"again","status":"archived"}`, `{"status":"archived"}`} {
		is, err := write(http.MethodPatch, s.api.posts+"/"+created["id"].(string), []byte(patch), http.StatusOK)
		if err != nil {
			return err
		}
		if is["rev"] != created["rev"] { // the last patch changes nothing
			note("update", created, is)
		}
		created = is
	}
	answer, err := s.send(http.MethodPost, "/api/batch", s.api.batch("posts", [][]byte{s.post(s.posts + 2).json(), s.post(s.posts + 3).json()}), http.StatusOK)
	if err != nil {
		return err
	}
	records, err := s.api.results(answer)
	if err != nil {
		return err
	}
	for _, record := range records {
		var is map[string]any
		if err := json.Unmarshal(record, &is); err != nil {
			return err
		}
		note("create", nil, is)
	}

	after, err := s.logCount()
	if err != nil {
		return err
	}
	if after-before != len(want) || len(want) != 6 {
		return fmt.Errorf("%d rows for %d changes", after-before, len(want))
	}
	for _, w := range want {
		rows, err := s.logRows("collection, record, op, rev, old, new", fmt.Sprintf("WHERE record = '%s' AND rev = %v", w.Record, w.Rev))
		if err != nil {
			return err
		}
		var got []logged
		for _, row := range rows {
			l, err := readLogged(row)
			if err != nil {
				return err
			}
			got = append(got, l)
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0], w) {
			return fmt.Errorf("%+v instead of %+v", got, w)
		}
	}
	return nil
}

func readLogged(row []byte) (l logged, err error) {
	var old, is *string
	if err := json.Unmarshal(row, &[]any{&l.Collection, &l.Record, &l.Op, &l.Rev, &old, &is}); err != nil {
		return l, err
	}
	for _, image := range []struct {
		text *string
		into *map[string]any
	}{{old, &l.Old}, {is, &l.New}} {
		if image.text != nil {
			if err := json.Unmarshal([]byte(*image.text), image.into); err != nil {
				return l, err
			}
		}
	}
	return l, nil
}

func (s *site) logCount() (int, error) {
	rows, err := s.logRows("count(*)", "")
	if err != nil {
		return 0, err
	}
	var n int
	return n, json.Unmarshal(rows[0], &[]any{&n})
}

// logRows asks the database behind the server's back, and gives each row as a JSON array.
func (s *site) logRows(columns, where string) ([][]byte, error) {
	array := "json_array"
	if s.engine != nil && s.engine.name == "postgres" {
		array = "json_build_array"
	}
	return s.ask("SELECT " + array + "(" + columns + ") FROM " + s.log + " " + where)
}

func (s *site) ask(query string) (rows [][]byte, err error) {
	if s.engine != nil {
		out, err := s.engine.query(context.Background(), s.peer.name, query)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(out) {
			rows = append(rows, bytes.TrimSpace(line))
		}
		return rows, nil
	}
	conn, err := sqlite.OpenConn(filepath.Join(s.dir, s.file), sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		rows = append(rows, []byte(strings.Clone(stmt.ColumnText(0))))
		return nil
	}})
	return rows, err
}
