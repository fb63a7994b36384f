package sqlite

import (
	"math"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// SQLite as it is built here keeps the pages of all connections in one cache with one lock, taken twice for each page
// that is not seen through memory. This is a cache for each connection, used by one goroutine at a time as the
// connection is, with no lock: https://sqlite.org/c3ref/pcache_methods2.html says what the methods must do.
//
// Everything lies outside of Go's memory, as what SQLite reads and writes must, and is referred to by address alone: the
// garbage collector has nothing to look at.

// pageCache is the cache of one file on one connection.
type pageCache struct {
	content, extra uintptr // bytes that SQLite asks for with each page
	stride         uintptr // bytes from a page to the next in its piece
	kept           bool    // nothing else has these pages, so none is ever given up
	limit          int     // pages, PRAGMA cache_size; more are held only as long as all of them are pinned
	count, idle    int     // pages that are held, and those of them that are not pinned
	top            uint32  // no key is greater
	mask           uint32  // buckets in the table, less one: a power of two
	table          uintptr // of buckets
	order          page    // anchor of the idle pages' ring: newer is the oldest, older the newest
	free           ref     // pages of pieces that hold nothing
	fresh, end     uintptr // the part of the last piece that was never used
	pieces         uintptr // the last piece; each begins with the address of the one before
}

// page is what lies between the content and the extra bytes of a page. SQLite knows its beginning.
type page struct {
	lib.Tsqlite3_pcache_page
	key          uint32
	next         ref // in its bucket, or among the free
	newer, older ref // in the ring of idle pages; 0: it is pinned
}

// ref is the address of a page; 0 is none.
type ref uintptr

func (r ref) page() *page { return (*page)(at(uintptr(r))) }

func cacheAt(handle uintptr) *pageCache { return (*pageCache)(at(handle)) }

// at is the pointer to an address outside of Go's memory.
func at(address uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }

const (
	firstTable = 64        // buckets
	firstPiece = 7         // pages
	mostPiece  = 512 << 10 // bytes, about
	line       = 64        // bytes of a processor's cache line, on which pages begin
)

// ownPages has SQLite use these caches, if it may: not after its first use. Where something else in the program came
// before, its own cache stays, which is slower and no less right.
var ownPages = sync.OnceValue(func() bool {
	tls := libc.NewTLS()
	defer tls.Close()
	methods := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(lib.Tsqlite3_pcache_methods2{})))
	args := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(methods)))
	defer libc.Xfree(tls, methods) // SQLite makes a copy
	defer libc.Xfree(tls, args)
	if methods == 0 || args == 0 || lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_GETPCACHE2, libc.VaList(args, methods)) != lib.SQLITE_OK {
		return false
	}
	// The beginning and the end stay those of its own cache, whose memory it uses for more than pages.
	m := (*lib.Tsqlite3_pcache_methods2)(at(methods))
	m.FxCreate, m.FxDestroy = method(createCache), method(destroyCache)
	m.FxCachesize, m.FxPagecount, m.FxShrink = method(limitCache), method(countPages), method(shrinkCache)
	m.FxFetch, m.FxUnpin, m.FxRekey, m.FxTruncate = method(fetchPage), method(unpinPage), method(rekeyPage), method(truncateCache)
	return lib.Xsqlite3_config(tls, lib.SQLITE_CONFIG_PCACHE2, libc.VaList(args, methods)) == lib.SQLITE_OK
})

// method is a function, not a closure, as the C that was made Go calls it.
func method[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func createCache(tls *libc.TLS, content, extra, purgeable int32) uintptr {
	handle := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(pageCache{})))
	table := libc.Xcalloc(tls, firstTable, types.Size_t(unsafe.Sizeof(ref(0))))
	if handle == 0 || table == 0 {
		libc.Xfree(tls, table)
		libc.Xfree(tls, handle)
		return 0
	}
	c := cacheAt(handle)
	c.content, c.extra = (uintptr(content)+7)&^7, uintptr(extra)
	c.stride = (c.content + unsafe.Sizeof(page{}) + c.extra + line - 1) &^ (line - 1)
	if c.kept = purgeable == 0; c.kept {
		c.limit = math.MaxInt
	}
	c.table, c.mask = table, firstTable-1
	anchor := ref(handle + unsafe.Offsetof(c.order))
	c.order.newer, c.order.older = anchor, anchor
	return handle
}

func destroyCache(tls *libc.TLS, handle uintptr) {
	c := cacheAt(handle)
	c.empty(tls)
	libc.Xfree(tls, c.table)
	libc.Xfree(tls, handle)
}

// limitCache is told the pages of PRAGMA cache_size; its bytes are pages already.
func limitCache(tls *libc.TLS, handle uintptr, pages int32) {
	if c := cacheAt(handle); !c.kept {
		c.limit = int(pages)
		c.shed(c.limit)
	}
}

func countPages(tls *libc.TLS, handle uintptr) int32 { return int32(cacheAt(handle).count) }

// shrinkCache gives up what it can. Memory goes back when no page is held.
func shrinkCache(tls *libc.TLS, handle uintptr) {
	c := cacheAt(handle)
	if c.shed(0); c.count == 0 {
		c.empty(tls)
	}
}

// fetchPage pins a page. One that is not there is made if create is 2, or is 1 and that is easy: while a tenth of the
// limit can still be given up. When it is not, SQLite writes out what is dirty, and asks again with 2.
func fetchPage(tls *libc.TLS, handle uintptr, key uint32, create int32) uintptr {
	c := cacheAt(handle)
	if r := c.find(key); r != 0 {
		if p := r.page(); p.newer != 0 {
			c.pin(p)
		}
		return uintptr(r)
	}
	if create == 0 || create == 1 && c.count-c.idle >= c.limit-c.limit/10 {
		return 0
	}
	var r ref
	if c.count < c.limit || c.idle == 0 {
		r = c.unused(tls)
	}
	if r == 0 && c.idle > 0 {
		r = c.order.newer
		c.remove(r)
	}
	if r == 0 {
		return 0
	}
	p := r.page()
	*p = page{key: key}
	p.FpBuf, p.FpExtra = uintptr(r)-c.content, uintptr(r)+unsafe.Sizeof(*p)
	clear(unsafe.Slice((*byte)(at(p.FpExtra)), c.extra))
	if c.count > int(c.mask) {
		c.widen(tls)
	}
	c.add(r)
	return uintptr(r)
}

// unpinPage lets a page be given up; with discard it is at once.
func unpinPage(tls *libc.TLS, handle, address uintptr, discard int32) {
	c, r := cacheAt(handle), ref(address)
	switch {
	case discard != 0 || c.count > c.limit:
		c.drop(r)
	case !c.kept:
		p := r.page()
		p.older, p.newer = c.order.older, c.order.older.page().newer
		p.older.page().newer, p.newer.page().older = r, r
		c.idle++
	}
}

// rekeyPage gives a page another key; the page that has it already, which nobody has pinned, goes.
func rekeyPage(tls *libc.TLS, handle, address uintptr, from, to uint32) {
	c, r := cacheAt(handle), ref(address)
	if other := c.find(to); other != 0 && other != r {
		c.drop(other)
	}
	c.unlink(r)
	r.page().key = to
	c.add(r)
}

// truncateCache discards every page with this key or a greater one, pinned or not. That happens often for no page and
// seldom for some. The memory stays: a reader's pages are all discarded whenever others have written.
func truncateCache(tls *libc.TLS, handle uintptr, from uint32) {
	c := cacheAt(handle)
	if from > c.top {
		return
	}
	for b := range c.mask + 1 {
		for r := *c.bucket(b); r != 0; {
			next := r.page().next
			if r.page().key >= from {
				c.drop(r)
			}
			r = next
		}
	}
	c.top = max(from, 1) - 1
}

// find is the page with a key.
func (c *pageCache) find(key uint32) ref {
	r := *c.bucket(key)
	for r != 0 && r.page().key != key {
		r = r.page().next
	}
	return r
}

func (c *pageCache) bucket(key uint32) *ref {
	return (*ref)(at(c.table + uintptr(key&c.mask)*unsafe.Sizeof(ref(0))))
}

// add puts a page under its key, unlink takes it away.
func (c *pageCache) add(r ref) {
	p := r.page()
	b := c.bucket(p.key)
	p.next, *b = *b, r
	c.count++
	c.top = max(c.top, p.key)
}

func (c *pageCache) unlink(r ref) {
	b := c.bucket(r.page().key)
	for *b != r {
		b = &b.page().next
	}
	*b = r.page().next
	c.count--
}

// pin takes a page out of the ring.
func (c *pageCache) pin(p *page) {
	p.newer.page().older, p.older.page().newer = p.older, p.newer
	p.newer, p.older = 0, 0
	c.idle--
}

// remove takes a page out of the cache, drop lets its place be used for another.
func (c *pageCache) remove(r ref) {
	if p := r.page(); p.newer != 0 {
		c.pin(p)
	}
	c.unlink(r)
}

func (c *pageCache) drop(r ref) {
	c.remove(r)
	r.page().next, c.free = c.free, r
}

// shed gives up the oldest idle pages until no more than these are held.
func (c *pageCache) shed(pages int) {
	for c.count > pages && c.idle > 0 {
		c.drop(c.order.newer)
	}
}

// unused is a place for a page; 0: there is no more memory.
func (c *pageCache) unused(tls *libc.TLS) ref {
	if r := c.free; r != 0 {
		c.free = r.page().next
		return r
	}
	if c.fresh == c.end {
		// As many pages as there are, but neither more than will be used nor too much at once.
		n := min(max(c.count, firstPiece), mostPiece/int(c.stride), c.limit-c.count)
		size := uintptr(max(n, 1)) * c.stride
		piece := libc.Xmalloc(tls, types.Size_t(size+2*line))
		if piece == 0 {
			return 0
		}
		*(*uintptr)(at(piece)), c.pieces = c.pieces, piece
		c.fresh = (piece + 2*line - 1) &^ (line - 1)
		c.end = c.fresh + size
	}
	r := ref(c.fresh + c.content)
	c.fresh += c.stride
	return r
}

// widen doubles the table. Without memory for it the chains grow longer.
func (c *pageCache) widen(tls *libc.TLS) {
	table := libc.Xcalloc(tls, types.Size_t(c.mask+1), 2*types.Size_t(unsafe.Sizeof(ref(0))))
	if table == 0 {
		return
	}
	old := *c
	c.table, c.mask, c.count = table, 2*c.mask+1, 0
	for b := range old.mask + 1 {
		for r := *old.bucket(b); r != 0; {
			next := r.page().next
			c.add(r)
			r = next
		}
	}
	libc.Xfree(tls, old.table)
}

// empty gives back all memory of pages.
func (c *pageCache) empty(tls *libc.TLS) {
	for c.pieces != 0 {
		piece := c.pieces
		c.pieces = *(*uintptr)(at(piece))
		libc.Xfree(tls, piece)
	}
	c.free, c.fresh, c.end = 0, 0, 0
}
