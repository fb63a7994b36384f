package sqlite

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"modernc.org/libc"
	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/expr"
)

// modelCache says what a cache must hold: what each page was filled with, and which are idle, the oldest first.
type modelCache struct {
	pages map[uint32]*modelPage
	idle  []uint32
	limit int
	kept  bool
	most  int          // pages that were held at a time
	used  map[ref]bool // where they were
}

type modelPage struct {
	at     ref
	pinned bool
	fill   byte
}

// TestPageCacheModel holds the methods to the model.
func TestPageCacheModel(t *testing.T) {
	t.Parallel()
	steps := 30_000
	if testing.Short() {
		steps = 5_000
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			tls := libc.NewTLS()
			defer tls.Close()
			r := rand.New(rand.NewPCG(seed, 1))
			content, extra, kept := int32(512), int32(r.IntN(200)+8), seed%4 == 3
			h := createCache(tls, content, extra, map[bool]int32{false: 1, true: 0}[kept])
			defer destroyCache(tls, h)
			m := &modelCache{pages: map[uint32]*modelPage{}, kept: kept, used: map[ref]bool{}}
			keys := 1 + r.Uint32N(600)
			key := func() uint32 { return 1 + r.Uint32N(keys) }
			pinned := func() (uint32, *modelPage) {
				for k := range m.pages { // in any order
					if m.pages[k].pinned {
						return k, m.pages[k]
					}
				}
				return 0, nil
			}
			for step := range steps {
				what := r.IntN(1000)
				switch {
				case what < 550:
					m.fetch(t, tls, h, key(), int32(r.IntN(3)), byte(step))
				case what < 930:
					if k, p := pinned(); p != nil {
						discard := r.IntN(8) == 0
						unpinPage(tls, h, uintptr(p.at), map[bool]int32{true: 1}[discard])
						switch {
						case discard || !m.kept && len(m.pages) > m.limit:
							m.drop(k)
						case !m.kept:
							p.pinned = false
							m.idle = append(m.idle, k)
						}
					}
				case what < 975:
					from, p := pinned()
					to := key() + r.Uint32N(5)
					if q := m.pages[to]; p != nil && (q == nil || !q.pinned && to != from) {
						m.drop(to)
						rekeyPage(tls, h, uintptr(p.at), from, to)
						delete(m.pages, from)
						m.pages[to] = p
					}
				case what < 985:
					from := r.Uint32N(2*keys + 2)
					if from > 3 || r.IntN(10) == 0 {
						truncateCache(tls, h, from)
						for k := range maps.Clone(m.pages) {
							if k >= from {
								m.drop(k)
							}
						}
					}
				case what < 997:
					n := r.IntN(300)
					limitCache(tls, h, int32(n))
					if m.limit = n; !kept {
						m.shed(n)
					}
				default:
					shrinkCache(tls, h)
					if m.shed(0); len(m.pages) == 0 {
						m.most, m.used = 0, map[ref]bool{}
					}
				}
				m.check(t, cacheAt(h), step%16 == 0)
				if t.Failed() {
					t.Fatalf("step %d, %d", step, what)
				}
			}
		})
	}
}

func (m *modelCache) fetch(t *testing.T, tls *libc.TLS, h uintptr, key uint32, create int32, fill byte) {
	at := ref(fetchPage(tls, h, key, create))
	p := m.pages[key]
	if p != nil {
		if at != p.at {
			t.Errorf("page %d is at %#x, not %#x", key, at, p.at)
		}
		p.pinned = true
		m.idle = slices.DeleteFunc(m.idle, func(k uint32) bool { return k == key })
		return
	}
	hard := len(m.pages)-len(m.idle) >= m.limit-m.limit/10 && !m.kept
	if want := create == 2 || create == 1 && !hard; want != (at != 0) {
		t.Errorf("create %d of %d among %d of %d, %d idle: %#x", create, key, len(m.pages), m.limit, len(m.idle), at)
	}
	if at == 0 {
		return
	}
	if !m.kept && len(m.pages) >= m.limit && len(m.idle) > 0 {
		m.drop(m.idle[0])
	}
	for k, p := range m.pages {
		if p.at == at {
			t.Errorf("page %d is where page %d is", key, k)
		}
	}
	c, buf, extra := memory(cacheAt(h), at)
	for i, b := range extra {
		if b != 0 {
			t.Errorf("byte %d beside a fresh page is %d", i, b)
			break
		}
	}
	if uintptr(unsafe.Pointer(&buf[0]))%8 != 0 || uintptr(unsafe.Pointer(&extra[0]))%8 != 0 || c.FpBuf+512 > uintptr(at) {
		t.Errorf("page %d lies badly: %#v at %#x", key, c, at)
	}
	m.pages[key] = &modelPage{at: at, pinned: true, fill: fill}
	for i := range buf {
		buf[i] = fill
	}
	for i := range extra {
		extra[i] = ^fill
	}
	m.used[at] = true
	m.most = max(m.most, len(m.pages))
}

func (m *modelCache) drop(key uint32) {
	delete(m.pages, key)
	m.idle = slices.DeleteFunc(m.idle, func(k uint32) bool { return k == key })
}

func (m *modelCache) shed(n int) {
	for len(m.pages) > n && len(m.idle) > 0 {
		m.drop(m.idle[0])
	}
}

// check compares; everything means that every byte is.
func (m *modelCache) check(t *testing.T, c *pageCache, everything bool) {
	if c.count != len(m.pages) || c.idle != len(m.idle) {
		t.Errorf("%d pages, %d idle; want %d, %d", c.count, c.idle, len(m.pages), len(m.idle))
	}
	if c.count > int(c.mask)+1 {
		t.Errorf("%d pages in %d buckets", c.count, c.mask+1)
	}
	if len(m.used) > m.most {
		t.Errorf("%d places for %d pages", len(m.used), m.most)
	}
	if !everything {
		return
	}
	for key, p := range m.pages {
		if at := c.find(key); at != p.at {
			t.Errorf("page %d is at %#x, not %#x", key, at, p.at)
			continue
		}
		_, buf, extra := memory(c, p.at)
		if bytes.Count(buf, []byte{p.fill}) != len(buf) || bytes.Count(extra, []byte{^p.fill}) != len(extra) {
			t.Errorf("page %d has changed", key)
		}
	}
	at := c.order.newer
	for _, key := range m.idle {
		if at.page().key != key {
			t.Errorf("page %d is the next to go, not %d", at.page().key, key)
			return
		}
		at = at.page().newer
	}
}

func memory(c *pageCache, r ref) (p *page, buf, extra []byte) {
	p = r.page()
	return p, unsafe.Slice((*byte)(at(p.FpBuf)), c.content), unsafe.Slice((*byte)(at(p.FpExtra)), c.extra)
}

// TestPageCacheDatabase changes files that are much larger than the cache in transactions that are too, goes back to
// savepoints, and looks whether everything is there that should be.
func TestPageCacheDatabase(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	for name, setup := range map[string]string{
		"log":     "PRAGMA journal_mode = WAL; PRAGMA cache_size = 20",
		"journal": "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 20",
		"tiny":    "PRAGMA journal_mode = WAL; PRAGMA cache_size = 1",
		"moving":  "PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL; PRAGMA cache_size = 30",
		"large":   "PRAGMA page_size = 16384; PRAGMA journal_mode = DELETE; PRAGMA cache_size = 20",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "test.db")
			d := &cachedTable{t: t, r: rand.New(rand.NewPCG(1, uint64(len(name)))), rows: map[int64]string{}}
			var err error
			if d.conn, err = connect(path, sqlite.OpenReadWrite|sqlite.OpenCreate, 0); err != nil {
				t.Fatal(err)
			}
			defer d.conn.close()
			if !ownPages() {
				t.Fatal("SQLite has kept its own cache")
			}
			d.do(setup + "; PRAGMA synchronous = OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX v ON t (v)")
			d.do("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY, v TEXT)")
			for range rounds {
				before := maps.Clone(d.rows)
				d.do("BEGIN")
				for range d.r.IntN(6) + 1 {
					saved := maps.Clone(d.rows)
					d.do("SAVEPOINT s")
					for range d.r.IntN(150) {
						d.change()
					}
					if d.r.IntN(3) == 0 {
						d.do("ROLLBACK TO s")
						d.rows = saved
					}
					d.do("RELEASE s")
				}
				if d.r.IntN(4) == 0 {
					d.do("ROLLBACK")
					d.rows = before
				} else {
					d.do("COMMIT")
				}
				switch d.r.IntN(8) {
				case 0:
					d.do("VACUUM")
				case 1:
					d.do("PRAGMA shrink_memory")
				case 2:
					d.do("PRAGMA wal_checkpoint(TRUNCATE)")
				}
				d.check()
			}
			// From the start of a transaction on, all of the file cannot have stayed in memory.
			d.do("BEGIN; UPDATE t SET v = v || 'x'")
			for _, log := range []string{"-wal", "-journal"} {
				if info, err := os.Stat(path + log); err == nil && info.Size() < 100_000 {
					t.Errorf("%s has %d bytes: nothing was written before the commit", log, info.Size())
				}
			}
			d.do("ROLLBACK")
			d.check()
		})
	}
}

type cachedTable struct {
	t    *testing.T
	conn *conn
	r    *rand.Rand
	rows map[int64]string
}

func (d *cachedTable) do(sql string) {
	d.t.Helper()
	if err := d.conn.script(sql); err != nil {
		d.t.Fatal(sql, err)
	}
}

// change makes, changes or deletes a row; some are larger than a page.
func (d *cachedTable) change() {
	id := d.r.Int64N(1500)
	sql, args := "DELETE FROM t WHERE id = ?1", []expr.Value{expr.IntOf(id)}
	if d.r.IntN(5) == 0 {
		delete(d.rows, id)
	} else {
		n := d.r.IntN(400)
		if d.r.IntN(10) == 0 {
			n = d.r.IntN(30_000)
		}
		d.rows[id] = fmt.Sprintf("%0*d", n, d.r.Uint64())
		sql, args = "INSERT INTO t VALUES (?1, ?2) ON CONFLICT DO UPDATE SET v = excluded.v", append(args, expr.TextOf(d.rows[id]))
	}
	if err := d.conn.run(sql, args...); err != nil {
		d.t.Fatal(err)
	}
}

// check compares the table and a copy of it in memory with the model, and asks SQLite whether the file is sound.
func (d *cachedTable) check() {
	d.t.Helper()
	d.do("DELETE FROM seen; INSERT INTO seen SELECT id, v FROM t ORDER BY v")
	for _, from := range []string{"t", "seen"} {
		n := 0
		err := d.conn.each("SELECT id, v FROM "+from, func(s *sqlite.Stmt) error {
			n++
			if v, ok := d.rows[s.ColumnInt64(0)]; !ok || v != s.ColumnText(1) {
				d.t.Errorf("%s: row %d is another", from, s.ColumnInt64(0))
			}
			return nil
		})
		if err != nil || n != len(d.rows) {
			d.t.Fatalf("%s: %d rows, want %d (%v)", from, n, len(d.rows), err)
		}
	}
	err := d.conn.each("PRAGMA integrity_check", func(s *sqlite.Stmt) error {
		if s.ColumnText(0) != "ok" {
			d.t.Error(s.ColumnText(0))
		}
		return nil
	})
	if err != nil || d.t.Failed() {
		d.t.Fatal(err)
	}
}
