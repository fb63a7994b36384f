package certs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Collections is what is kept of certificates by ACME, for apps that have domains: certificates, their keys, accounts with issuers, and
// what issuers have asked. Values are sealed with the app's key, as all encrypted fields are.
func Collections(app *spec.App) string {
	if len(app.Server.Domains) == 0 {
		return ""
	}
	return `
_certificates:
  fields:
    key:   {type: text, max: 500, required: true}
    value: {type: text, required: true, encrypted: true}
`
}

// collection is the one that keeps them.
const collection = "_certificates"

// store is certmagic's storage on the app's database. A record's id is made of its key, so that two processes that write one key
// write one record.
type store struct {
	db func() *data.DB // another after each reload
	*locks
}

func newStore(db func() *data.DB, log *slog.Logger) *store {
	return &store{db: db, locks: &locks{db: db, log: log}}
}

// recordID is a UUIDv7 of the year 1970.
func recordID(key string) string {
	sum := sha256.Sum256([]byte("certificate\x00" + key))
	id := sum[:16]
	clear(id[:6])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	s := hex.EncodeToString(id)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Store writes a value.
func (s *store) Store(ctx context.Context, key string, value []byte) error {
	body := doc.NewObject()
	body.Set("key", doc.NewString(key))
	body.Set("value", doc.NewString(base64.StdEncoding.EncodeToString(value)))
	var err error
	for range 3 {
		_, err = s.db().Put(ctx, data.System, collection, recordID(key), body, data.WriteOptions{Minimal: true})
		if !fault.Is(err, fault.Conflict) {
			break // else another process was the first to make it
		}
	}
	return err
}

// entry is a record of the collection.
type entry struct {
	key   string
	value []byte
	at    time.Time
}

// read reads records: one by its key, or, with "", the keys of all.
func (s *store) read(ctx context.Context, key string) (all []entry, err error) {
	db := s.db()
	c, ok := db.App().Collection(collection)
	if !ok {
		return nil, fault.New(fault.Internal, "the app has no %s", collection)
	}
	keyField, _ := c.Field("key")
	valueField, _ := c.Field("value")
	q := &data.ListQuery{Collection: collection, Limit: 100, Sort: "id", Fields: "key,updated"}
	if key != "" {
		q = &data.ListQuery{Collection: collection, Limit: 1, Filter: "id == param.id", Params: map[string]*doc.Node{"id": doc.NewString(recordID(key))}}
	}
	for {
		records, next, err := db.Records(ctx, data.System, q)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			e := entry{key: r[keyField.Ord].Text(), at: time.UnixMilli(r[spec.OrdUpdated].Int())}
			if key != "" {
				if e.value, err = base64.StdEncoding.DecodeString(r[valueField.Ord].Text()); err != nil {
					return nil, fault.Wrap(fault.Internal, "read "+key, err)
				}
			}
			all = append(all, e)
		}
		if next == "" {
			return all, nil
		}
		q.Cursor = next
	}
}

// Load reads a value.
func (s *store) Load(ctx context.Context, key string) ([]byte, error) {
	all, err := s.read(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return all[0].value, nil
}

// below are the keys at or below a path.
func (s *store) below(ctx context.Context, at string) (all []entry, err error) {
	all, err = s.read(ctx, "")
	return slices.DeleteFunc(all, func(e entry) bool {
		return at != "" && e.key != at && !strings.HasPrefix(e.key, at+"/")
	}), err
}

// Delete removes a key, and all below it.
func (s *store) Delete(ctx context.Context, key string) error {
	all, err := s.below(ctx, key)
	if err != nil {
		return err
	}
	for _, e := range all {
		if _, err := s.db().Delete(ctx, data.System, collection, recordID(e.key), data.WriteOptions{Minimal: true}); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// Exists says whether there is something at or below a key.
func (s *store) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List lists the keys at a path: with recursive all below it, else its direct children.
func (s *store) List(ctx context.Context, at string, recursive bool) (names []string, err error) {
	all, err := s.below(ctx, at)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		name := e.key
		for !recursive && name != at && path.Dir(name) != path.Clean(at) && strings.Contains(name, "/") {
			name = path.Dir(name)
		}
		if name != at && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	}
	return names, nil
}

// Stat tells of a key.
func (s *store) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	all, err := s.read(ctx, key)
	if err != nil {
		return info, err
	}
	if len(all) == 1 {
		return certmagic.KeyInfo{Key: key, Modified: all[0].at, Size: int64(len(all[0].value)), IsTerminal: true}, nil
	}
	if all, err = s.below(ctx, key); err != nil {
		return info, err
	}
	if len(all) == 0 {
		return info, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return certmagic.KeyInfo{Key: key}, nil
}
