package data

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A file field is stored as JSON: {"blob","name","size","type"}, or an array of those.

// appendFile prints a file field as clients see it: without its blob, with its address.
func appendFile(dst []byte, c *spec.Collection, f *spec.Field, id, stored string) ([]byte, error) {
	files, err := storedFiles(stored)
	if err != nil {
		return dst, err
	}
	if f.MaxFiles > 1 {
		dst = append(dst, '[')
	}
	for i, file := range files {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"name":`...)
		dst = doc.AppendString(dst, file.Name)
		dst = append(dst, `,"type":`...)
		dst = doc.AppendString(dst, file.Type)
		dst = append(dst, `,"size":`...)
		dst = AppendJSON(dst, expr.IntOf(file.Size))
		dst = append(dst, `,"url":`...)
		dst = doc.AppendString(dst, "/api/files/"+c.Name+"/"+id+"/"+f.Name+"/"+url.PathEscape(file.Name))
		dst = append(dst, '}')
	}
	if f.MaxFiles > 1 {
		dst = append(dst, ']')
	}
	return dst, nil
}

// storedFiles reads what a file field holds.
func storedFiles(stored string) ([]FileInfo, error) {
	n, err := doc.Parse([]byte(stored), doc.Limits{})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "read a file field", err)
	}
	items := []doc.Node{*n}
	if n.Kind == doc.Array {
		items = n.Items
	}
	files := make([]FileInfo, len(items))
	for i := range items {
		text := func(key string) string {
			if m, ok := items[i].Get(key); ok {
				return m.Text
			}
			return ""
		}
		files[i] = FileInfo{Name: text("name"), Type: text("type"), Blob: text("blob"), Size: wholeOrZero(text("size"))}
	}
	return files, nil
}

// storeFiles prints files as a file field holds them.
func storeFiles(f *spec.Field, files []FileInfo) Value {
	var dst []byte
	for i, file := range files {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"blob":`...)
		dst = doc.AppendString(dst, file.Blob)
		dst = append(dst, `,"name":`...)
		dst = doc.AppendString(dst, file.Name)
		dst = append(dst, `,"size":`...)
		dst = AppendJSON(dst, expr.IntOf(file.Size))
		dst = append(dst, `,"type":`...)
		dst = doc.AppendString(dst, file.Type)
		dst = append(dst, '}')
	}
	if f.MaxFiles > 1 {
		return expr.JSONOf("[" + string(dst) + "]")
	}
	return expr.JSONOf(string(dst))
}

// File finds a stored file by the address that its record shows. It obeys the read rules of the
// record and of the field.
func (db *DB) File(ctx context.Context, by Caller, collection, id, field, name string) (FileInfo, error) {
	notFound := fault.New(fault.NotFound, "there is no such file")
	c, err := db.collection(by, collection)
	if err != nil {
		return FileInfo{}, err
	}
	f, ok := c.Field(field)
	if !ok || f.Type != spec.File {
		return FileInfo{}, notFound
	}
	rec, readable, err := db.readable(ctx, &by, c, id)
	if err != nil {
		return FileInfo{}, err
	}
	if !readable[f.Ord] || rec[f.Ord].IsNull() {
		return FileInfo{}, notFound
	}
	files, err := storedFiles(rec[f.Ord].Text())
	if err != nil {
		return FileInfo{}, err
	}
	for _, file := range files {
		if file.Name == name {
			return file, nil
		}
	}
	return FileInfo{}, notFound
}

// files makes a file field's value of files that were uploaded for it.
func (p *problems) files(f *spec.Field, uploads []Upload) Value {
	pointer := fault.Pointer(f.Name)
	if f.Type != spec.File {
		p.add(pointer, "type", "is not a file field")
		return Value{}
	}
	if len(uploads) > max(f.MaxFiles, 1) {
		p.add(pointer, "max", "takes at most "+strconv.Itoa(max(f.MaxFiles, 1))+" files")
		return Value{}
	}
	files := make([]FileInfo, len(uploads))
	for i, u := range uploads {
		for _, before := range files[:i] {
			if before.Name == u.Name {
				p.add(pointer+"/"+strconv.Itoa(i), "unique", "has the name of another file")
				return Value{}
			}
		}
		files[i] = FileInfo(u)
	}
	return storeFiles(f, files)
}

// keepFiles reads a file field of a patch that is neither null nor an upload: the files that stay, as
// the record shows them.
func (w *work) keepFiles(k *kind, f *spec.Field, old, rec Record, n *doc.Node, p *problems) error {
	pointer := fault.Pointer(f.Name)
	items := []doc.Node{*n}
	if several := f.MaxFiles > 1; several && n.Kind == doc.Array {
		items = n.Items
	} else if several || n.Kind != doc.Object {
		p.add(pointer, "type", "takes null, what the record shows of its files, or files as parts of multipart/form-data")
		return nil
	}
	var stored []FileInfo
	if !old[f.Ord].IsNull() {
		var err error
		if stored, err = storedFiles(old[f.Ord].Text()); err != nil {
			return err
		}
	}
	var kept []FileInfo
	for i := range items {
		name, _ := items[i].Get("name")
		at := -1
		for j := range stored {
			if name != nil && stored[j].Name == name.Text {
				at = j
			}
		}
		if at < 0 {
			p.add(pointer, "type", "names a file that is not there: send new files as parts of multipart/form-data")
			return nil
		}
		if slices.Contains(kept, stored[at]) {
			p.add(pointer+"/"+strconv.Itoa(i), "unique", "is in the list twice")
			return nil
		}
		kept = append(kept, stored[at])
	}
	v := Value{}
	if len(kept) > 0 || f.MaxFiles > 1 {
		v = storeFiles(f, kept)
	}
	return w.change(f, old, rec, v, p)
}

// dropBlobs removes, once the transaction has committed, the files of old that rec (nil: deleted) no
// longer has. What a crash leaves behind is found by the sweep of orphans.
func (w *work) dropBlobs(k *kind, old, rec Record) {
	if w.db.blobs == nil {
		return
	}
	for _, f := range k.Fields {
		if f.Type != spec.File || old[f.Ord].IsNull() || rec != nil && same(old[f.Ord], rec[f.Ord]) {
			continue
		}
		gone, err := storedFiles(old[f.Ord].Text())
		if err != nil {
			continue
		}
		var stays []FileInfo
		if rec != nil && !rec[f.Ord].IsNull() {
			if stays, err = storedFiles(rec[f.Ord].Text()); err != nil {
				continue
			}
		}
		for _, file := range gone {
			if slices.ContainsFunc(stays, func(s FileInfo) bool { return s.Blob == file.Blob }) {
				continue
			}
			w.after = append(w.after, func(ctx context.Context) {
				if err := w.db.blobs.Delete(ctx, file.Blob); err != nil {
					w.db.log.Warn("a file that is no longer needed could not be removed", "collection", k.Name, "error", err)
				}
			})
		}
	}
}
