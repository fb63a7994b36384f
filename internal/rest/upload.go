package rest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Bounds of a multipart body, beside those of its record and its files.
const (
	maxUploads  = 100
	partHeaders = 8 << 10 // bytes of one part's headers and boundary, in the sum of all
)

func isMultipart(r *http.Request) bool {
	base, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(base), multipartForm[0])
}

var multipartForm = []string{"multipart/form-data"}

type writer = func(ctx context.Context, by data.Caller, collection string, body *doc.Node, o data.WriteOptions) (data.Reply, error)

// upload answers a write whose body is multipart: the part "record" (JSON) first, then a part for
// each file, named for its field. Files are stored before the write and deleted again when it is refused.
// Where the database failed it may have written all the same: then they stay, and are swept up later if
// no record refers to them.
func (d *door) upload(w http.ResponseWriter, r *http.Request, wr *write, do writer) (err error) {
	c, ok := d.store.App().Collection(wr.collection)
	if !ok || d.blobs == nil {
		return fault.New(fault.MediaType, "there are no files here: the body should be application/json")
	}
	in := &incoming{door: d, collection: c, sight: d.store.Sight(wr.by, wr.collection), sum: sha256.New()}
	keep := false
	defer func() {
		if !keep {
			in.discard(r.Context())
		}
	}()
	if err := in.read(w, r); err != nil {
		return err
	}
	wr.options.Uploads = in.uploads()
	if wr.options.Idempotency != nil {
		in.sum.Sum(wr.options.Idempotency.Fingerprint[:0])
	}
	reply, err := do(r.Context(), wr.by, wr.collection, in.record, wr.options)
	if err != nil {
		keep = web.Status(err) >= 500
		return in.refused(err)
	}
	keep = !reply.Replayed // an earlier answer refers to the files that came with it
	wr.reply(w, r, reply)
	return nil
}

// takesFiles says whether the caller may upload anything into the collection.
func (d *door) takesFiles(wr *write) bool {
	c, ok := d.store.App().Collection(wr.collection)
	if !ok || d.blobs == nil {
		return false
	}
	sight := d.store.Sight(wr.by, wr.collection)
	return slices.ContainsFunc(c.Fields, func(f *spec.Field) bool { return f.Type == spec.File && sight.Writable[f.Ord] })
}

// incoming is a multipart body as it is read.
type incoming struct {
	*door
	collection *spec.Collection
	sight      data.Sight
	record     *doc.Node
	files      map[string][]data.Upload
	rejected   []string      // names of parts that are wrong and not stored
	wrong      []fault.Field // what is wrong with each
	count      int
	sum        hash.Hash // of what was sent, without the boundary, which a client makes up anew every time
}

func (in *incoming) read(w http.ResponseWriter, r *http.Request) error {
	if err := web.ContentType(r, multipartForm); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return fault.New(fault.MediaType, "multipart/form-data needs a boundary")
	}
	if err := web.Limit(w, r, in.largest()); err != nil {
		return err
	}
	body := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := body.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return web.ReadError(err)
		}
		if in.record == nil {
			err = in.readRecord(part)
		} else {
			err = in.readFile(r.Context(), part)
		}
		if err != nil {
			return err
		}
	}
	if in.record == nil {
		return noRecordPart
	}
	return nil
}

var tooMany = fault.New(fault.TooLarge, "a request has at most %d files", maxUploads)

var noRecordPart = fault.New(fault.BadRequest, `the first part should be named "record" and hold the record as JSON`)

// largest is how large the whole body could be.
func (in *incoming) largest() int64 {
	limit := in.recordLimit() + partHeaders
	for _, f := range in.collection.Fields {
		if f.Type == spec.File {
			limit += (f.MaxSize + partHeaders) * int64(max(f.MaxFiles, 1))
		}
	}
	return limit
}

func (in *incoming) recordLimit() int64 {
	if limit := in.limit(); limit > 0 {
		return limit
	}
	return web.DefaultBody
}

func (in *incoming) readRecord(part *multipart.Part) error {
	if part.FormName() != "record" {
		return noRecordPart
	}
	if t := part.Header.Get("Content-Type"); t != "" || part.FileName() != "" {
		base, _, err := mime.ParseMediaType(t)
		if err != nil || base != "application/json" && base != "application/merge-patch+json" && base != "text/plain" {
			return fault.New(fault.MediaType, `the part "record" should be application/json`)
		}
	}
	limit := in.recordLimit()
	b, err := io.ReadAll(io.LimitReader(part, limit+1))
	if err != nil {
		return web.ReadError(err)
	}
	if int64(len(b)) > limit {
		return fault.New(fault.TooLarge, "the record may have at most %d bytes", limit)
	}
	if in.record, err = doc.Parse(b, doc.Limits{}); err != nil {
		return web.Syntax(err)
	}
	in.note("record", b)
	return nil
}

// note adds to the sum, each piece with its length.
func (in *incoming) note(pieces ...any) {
	for _, p := range pieces {
		switch p := p.(type) {
		case string:
			in.sum.Write(append(strconv.AppendInt(nil, int64(len(p)), 10), ':'))
			in.sum.Write([]byte(p))
		case []byte:
			in.sum.Write(append(strconv.AppendInt(nil, int64(len(p)), 10), ':'))
			in.sum.Write(p)
		}
	}
}

func (in *incoming) readFile(ctx context.Context, part *multipart.Part) error {
	name := part.FormName()
	f, wrong := in.field(name)
	if wrong != nil {
		return in.reject(name, *wrong)
	}
	body := bufio.NewReaderSize(part, 512)
	head, err := body.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return web.ReadError(err)
	}
	raw := rawFileName(part)
	if raw == "" && len(head) == 0 {
		return nil // a form sends this for a file that was not chosen
	}
	if in.count++; in.count > maxUploads {
		return tooMany
	}
	if len(in.files[name]) >= max(f.MaxFiles, 1) {
		return in.reject(name, fault.Field{Code: "max", Message: "has more files than the field takes: " + strconv.Itoa(max(f.MaxFiles, 1))})
	}
	media, ok := mediaType(part.Header.Get("Content-Type"), head)
	if !ok {
		return in.reject(name, fault.Field{Code: "type", Message: "is not what its content type says"})
	}
	if !accepted(f.Accept, media) {
		return in.reject(name, fault.Field{Code: "type", Message: "should be " + strings.Join(f.Accept, " or ") + ", not " + media})
	}
	in.note(name, raw, media)
	content := sha256.New()
	key, size, err := in.blobs.Put(ctx, io.TeeReader(body, content), f.MaxSize)
	if fault.Is(err, fault.TooLarge) {
		most := "may have at most " + strconv.FormatInt(f.MaxSize, 10) + " bytes"
		return &fault.Error{Kind: fault.TooLarge, Msg: "the file " + name + " " + most,
			Fields: []fault.Field{{Pointer: fault.Pointer(name), Code: "max", Message: most}}}
	}
	if err != nil {
		return web.ReadError(err)
	}
	in.note(content.Sum(nil))
	if in.files == nil {
		in.files = map[string][]data.Upload{}
	}
	in.files[name] = append(in.files[name], data.Upload{Name: distinct(fileName(raw), in.files[name]), Type: media, Blob: key, Size: size})
	return nil
}

// field finds the file field that a part is for. What the caller may not write is not stored first.
func (in *incoming) field(name string) (*spec.Field, *fault.Field) {
	f, ok := in.collection.Field(name)
	switch {
	case !ok || !in.sight.Writable[f.Ord] && !in.sight.Readable[f.Ord]:
		return nil, &fault.Field{Code: "unknown", Message: "is not a field"}
	case !in.sight.Writable[f.Ord]:
		return nil, &fault.Field{Code: "readonly", Message: "cannot be written"}
	case f.Type != spec.File:
		return nil, &fault.Field{Code: "type", Message: `is not a file field: it belongs into the part "record"`}
	}
	if _, twice := in.record.Get(name); twice {
		return nil, &fault.Field{Code: "type", Message: `is in the part "record" too`}
	}
	return f, nil
}

// reject notes what is wrong with a part, once for each name. The body is read on, for what else is wrong.
func (in *incoming) reject(name string, wrong fault.Field) error {
	in.note("rejected", name)
	if slices.Contains(in.rejected, name) {
		return nil
	}
	if len(in.rejected) == maxUploads {
		return tooMany
	}
	wrong.Pointer = fault.Pointer(name)
	in.wrong, in.rejected = append(in.wrong, wrong), append(in.rejected, name)
	return nil
}

// uploads are the files as the write is told of them. For each name that was rejected it is told of more than any
// field takes: so it cannot succeed, and says what is wrong with the record.
func (in *incoming) uploads() map[string][]data.Upload {
	if len(in.rejected) == 0 {
		return in.files
	}
	all := maps.Clone(in.files)
	if all == nil {
		all = map[string][]data.Upload{}
	}
	for _, name := range in.rejected {
		all[name] = make([]data.Upload, maxUploads+1)
	}
	return all
}

// refused puts what is wrong with the parts into the place of what the write says of them.
func (in *incoming) refused(err error) error {
	e, ok := err.(*fault.Error)
	if !ok || e.Kind != fault.Invalid || len(in.wrong) == 0 {
		return err
	}
	told := *e
	told.Fields = slices.Clone(in.wrong)
	for _, f := range e.Fields {
		if !slices.ContainsFunc(in.wrong, func(w fault.Field) bool { return web.Within(f.Pointer, w.Pointer) }) {
			told.Fields = append(told.Fields, f)
		}
	}
	return &told
}

// discard deletes what was stored, whether or not the client is still there.
func (in *incoming) discard(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for _, files := range in.files {
		for _, f := range files {
			_ = in.blobs.Delete(ctx, f.Blob) // what remains is swept up later: no record refers to it
		}
	}
}
