package mail

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	nm "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/fault"
)

// mostKept is how many mails are kept: the last ones.
const mostKept = 200

const keptEnd = ".eml"

// keep puts a letter into the folder, under its job's id: when it is sent a second time it is there once. The ids of jobs
// sort by time.
func (r *Room) keep(id string, l *letter) error {
	if err := r.store(id, l.message); err != nil {
		return &fault.Error{Kind: fault.Internal, Msg: "a mail could not be kept", Err: err}
	}
	if r.o.Kept != nil {
		r.o.Kept()
	}
	return nil
}

func (r *Room) store(id string, message []byte) error {
	if err := os.MkdirAll(r.o.Folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.o.Folder, ".mail-*")
	if err != nil {
		return err
	}
	_, err = f.Write(message)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(r.o.Folder, id+keptEnd))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	ids, err := r.ids()
	if err != nil {
		return err
	}
	for _, old := range ids[min(mostKept, len(ids)):] {
		if err := os.Remove(filepath.Join(r.o.Folder, old+keptEnd)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ids are those of the mails that are kept, the newest first.
func (r *Room) ids() ([]string, error) {
	entries, err := os.ReadDir(r.o.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), keptEnd); ok && !strings.HasPrefix(id, ".") {
			ids = append(ids, id)
		}
	}
	slices.Reverse(ids)
	return ids, err
}

// kept is a mail that was kept, read as its receiver would.
type kept struct {
	ID      string    `json:"id"`
	Date    time.Time `json:"date"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Lang    string    `json:"lang"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
}

// open reads a mail that was kept; fs.ErrNotExist where it is not there any more.
func (r *Room) open(id string) (*kept, []byte, error) {
	if id == "" || strings.HasPrefix(id, ".") || strings.ContainsAny(id, `/\`) {
		return nil, nil, fs.ErrNotExist
	}
	raw, err := os.ReadFile(filepath.Join(r.o.Folder, id+keptEnd))
	if err != nil {
		return nil, nil, err
	}
	k, err := readKept(raw)
	if err != nil {
		return nil, nil, err
	}
	k.ID = id
	return k, raw, nil
}

func readKept(raw []byte) (*kept, error) {
	m, err := nm.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var words mime.WordDecoder
	k := &kept{Lang: m.Header.Get("Content-Language")}
	if k.Date, err = m.Header.Date(); err != nil {
		return nil, err
	}
	for _, h := range []struct {
		into *string
		name string
	}{{&k.From, "From"}, {&k.To, "To"}, {&k.Subject, "Subject"}} {
		if *h.into, err = words.DecodeHeader(m.Header.Get(h.name)); err != nil {
			return nil, err
		}
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return k, nil
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return nil, err
		}
		text := strings.ReplaceAll(string(body), "\r\n", "\n")
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			k.HTML = text
		} else {
			k.Text = text
		}
	}
}
