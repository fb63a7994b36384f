// Package files keeps the bytes of uploaded files in a folder of the local disk. A file is named
// by a random key that says nothing about it; what it is called, what type it has and who may
// read it is in the record that refers to it.
package files

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bluell/plinth/fault"
)

// Disk stores files in a folder: FOLDER/ab/cd/abcd…, where abcd… is the key. It satisfies data.Blobs.
type Disk struct {
	dir string
}

// Open makes the folder if it is not there, so that it is there after a loss of power too.
func Open(dir string) (*Disk, error) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = Sync(filepath.Dir(dir))
	}
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "open the folder of uploads", err)
	}
	return &Disk{dir: dir}, nil
}

const (
	keyLength = 26    // 130 bits of base32
	unwritten = "new" // the folder, beside the others, where files grow until they are whole
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newKey() string {
	var b [17]byte
	_, _ = rand.Read(b[:]) // never fails: the program ends instead
	return encoding.EncodeToString(b[:])[:keyLength]
}

// path is where a key's file is; "" for what is no key.
func (d *Disk) path(key string) string {
	if len(key) != keyLength || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return ""
	}
	return filepath.Join(d.dir, key[:2], key[2:4], key)
}

// Put stores what r has, which may be limit bytes at most (else fault.TooLarge). When it returns, the
// file is on disk; when it fails, nothing is left.
func (d *Disk) Put(ctx context.Context, r io.Reader, limit int64) (key string, size int64, err error) {
	key = newKey()
	growing := filepath.Join(d.dir, unwritten, key)
	if size, err = d.write(ctx, growing, r, limit); err == nil {
		err = d.place(growing, d.path(key))
	}
	if err != nil {
		_ = os.Remove(growing)
		_ = os.Remove(d.path(key))
		return "", 0, diskError("store a file", err)
	}
	return key, size, nil
}

func (d *Disk) write(ctx context.Context, name string, r io.Reader, limit int64) (int64, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
			f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		}
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := io.Copy(f, io.LimitReader(&cancellable{ctx, r}, limit+1))
	switch {
	case err != nil:
		return size, err
	case size > limit:
		return size, fault.New(fault.TooLarge, "the file may have at most %d bytes", limit)
	}
	if err := f.Sync(); err != nil {
		return size, err
	}
	return size, f.Close()
}

// place moves a whole file to its place, so that it is there after a loss of power.
func (d *Disk) place(from, to string) error {
	inner := filepath.Dir(to)
	outer := filepath.Dir(inner)
	if err := os.MkdirAll(inner, 0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	for _, folder := range []string{inner, outer, d.dir} {
		if err := Sync(folder); err != nil {
			return err
		}
	}
	return nil
}

// Sync makes a change of what is in a folder outlast a loss of power.
func Sync(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Open opens a file for reading; fault.NotFound when there is none.
func (d *Disk) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := d.path(key)
	if name == "" {
		return nil, fault.New(fault.NotFound, "there is no such file")
	}
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "there is no such file")
	case err != nil:
		return nil, diskError("open a file", err)
	}
	return f, nil
}

// Delete removes a file; one that is not there is no error.
func (d *Disk) Delete(_ context.Context, key string) error {
	name := d.path(key)
	if name == "" {
		return nil
	}
	if err := removeFile(name); err != nil {
		return diskError("delete a file", err)
	}
	return nil
}

// removeFile removes a file that may be gone already.
func removeFile(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Older calls yield with the key of each file that was stored before the time, and removes what was
// left half written then. With it a caller finds the files that no record refers to. An error of
// yield ends it and is returned as it is.
func (d *Disk) Older(ctx context.Context, than time.Time, yield func(key string) error) error {
	return filepath.WalkDir(d.dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			return err
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(than) {
			return nil
		}
		if err != nil {
			return err
		}
		if filepath.Base(filepath.Dir(name)) == unwritten {
			return removeFile(name) // its upload may have ended this moment
		}
		if d.path(entry.Name()) != name {
			return nil // not ours
		}
		return yield(entry.Name())
	})
}

// cancellable ends a copy when its context ends.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// diskError gives an error of the disk its kind. What is ours already, and errors of whoever is
// read from, stay as they are.
func diskError(op string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &fault.Error{Kind: fault.Full, Msg: "there is no space left for files", Op: op, Err: err}
	case errors.As(err, &path), errors.As(err, &link):
		return fault.Wrap(fault.Internal, op, err)
	}
	return err
}
