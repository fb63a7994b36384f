package plinth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/bluell/plinth/fault"
)

const keyBytes = 32

// secret finds the app's key: the option, PLINTH_KEY, or data/key. With Dev one is made in data/key.
// There is no default.
func secret(dir string, o *options) ([]byte, error) {
	if o.key != nil {
		return longEnough(o.key, "the key")
	}
	if text, ok := o.env("PLINTH_KEY"); ok && text != "" {
		return longEnough(decodeKey(text), "PLINTH_KEY")
	}
	name := filepath.Join(dir, "data", "key")
	key, err := readKey(name)
	if errors.Is(err, fs.ErrNotExist) && o.dev {
		if err := makeKey(name); err != nil {
			return nil, err
		}
		key, err = readKey(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "there is no key: set PLINTH_KEY to 32 random bytes in base64 (openssl rand -base64 32), or serve once with --dev, which makes data/key")
	}
	return key, err
}

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

// makeKey writes a new key. Of two processes at once one does, and both use it.
func makeKey(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return &fault.Error{Kind: fault.Internal, Msg: "the folder data cannot be made", Err: err}
	}
	var b [keyBytes]byte
	_, _ = rand.Read(b[:]) // never fails: the program ends instead
	f, err := os.CreateTemp(filepath.Dir(name), ".key-*")
	if err == nil {
		defer os.Remove(f.Name())
		_, err = f.WriteString(base64.StdEncoding.EncodeToString(b[:]) + "\n")
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
