package plinth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const keyBytes = 32

// secret finds the app's key: the option, PLINTH_KEY, or data/key. There is no default: errNoKey.
func secret(dir string, o *options) ([]byte, error) {
	if o.key != nil {
		return longEnough(o.key, "the key")
	}
	if text, ok := o.env("PLINTH_KEY"); ok && text != "" {
		return longEnough(decodeKey(text), "PLINTH_KEY")
	}
	key, err := readKey(keyFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
	return key, err
}

var errNoKey = fault.New(fault.Invalid, "there is no key: set PLINTH_KEY, or put data/key back, where the database is used with one; for a new app set it to 32 random bytes in base64 (openssl rand -base64 32), or serve with --dev, which makes data/key")

func keyFile(dir string) string { return filepath.Join(dir, "data", "key") }

// decodeKey reads base64 of enough bytes, in any of its alphabets, else takes the text itself.
func decodeKey(text string) []byte {
	text = strings.TrimSpace(text)
	bare := strings.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(bare); err == nil && len(b) >= keyBytes {
			return b
		}
	}
	return []byte(text)
}

func longEnough(key []byte, what string) ([]byte, error) {
	if len(key) < keyBytes {
		return nil, fault.New(fault.Invalid, "%s is too short: at least 32 bytes are needed, as of openssl rand -base64 32", what)
	}
	return key, nil
}

func readKey(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, unreadableKey(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "data/key can be read by others: chmod 600 it")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadableKey(err)
	}
	return longEnough(decodeKey(string(text)), "data/key")
}

func unreadableKey(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &fault.Error{Kind: fault.Internal, Msg: "data/key cannot be read", Err: err}
}

// newKey makes a key that is kept nowhere yet.
func newKey() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails: the program ends instead
	return key
}

// keepKey puts a made key into data/key, unless the database is used with another one already.
func (p *Plinth) keepKey(ctx context.Context, app *spec.App) error {
	if _, err := data.Plan(ctx, app, p.eng, p.secret); err != nil {
		if _, other := data.Plan(ctx, app, p.eng, nil); other == nil {
			return fault.New(fault.Invalid, "the database is used with a key, and there is none here: give it, in PLINTH_KEY or data/key")
		}
		return err
	}
	name := keyFile(p.dir)
	if err := writeKey(name, p.secret); err != nil {
		return err
	}
	var err error
	p.secret, err = readKey(name)
	return err
}

// writeKey writes a key. Of two processes at once one does, and both use it.
func writeKey(name string, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return &fault.Error{Kind: fault.Internal, Msg: "the folder data cannot be made", Err: err}
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".key-*")
	if err == nil {
		defer os.Remove(f.Name())
		_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Link(f.Name(), name) // whole, or not at all; never over another
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return &fault.Error{Kind: fault.Internal, Msg: "data/key cannot be written", Err: err}
	}
	return nil
}
