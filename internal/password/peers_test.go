package password

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew, of what the peers make")

// typed are the passwords that every peer hashes; the first at its default cost.
var typed = [][]byte{
	[]byte("correct horse battery staple"),
	[]byte("l\u00e8tmein, composed"),
	[]byte("le\u0300tmein, decomposed"),
	[]byte("пароль 漢字 🔑"),
	[]byte("no-break\u00a0space\u3000and ideographic"),
	[]byte(strings.Repeat("0123456789", 12)),
	[]byte("a" + strings.Repeat("ö", 35) + "é漢 whose 72nd byte is half a character"),
	[]byte(strings.Repeat("x", 72)),
	[]byte("  spaces around, and a tab\t "),
	[]byte("nul\x00inside"),
	[]byte(""),
}

const pepper = "pepper of the test" // as in peers.py

// peerHash is a hash that another system has made.
type peerHash struct {
	By       string `json:"by"`
	Scheme   string `json:"scheme"`
	Password int    `json:"password"`
	Stored   string `json:"stored"`
}

type golden struct {
	Passwords [][]byte   `json:"passwords"`
	Hashes    []peerHash `json:"hashes"`
}

// cheap is a Hasher whose parameters nobody else has.
func cheap(t testing.TB, o Options) *Hasher {
	t.Helper()
	if o.Memory == 0 {
		o.Memory, o.Time = 72, 1
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// verify is a verification that must not fail.
func verify(t testing.TB, h *Hasher, stored, password string) (ok, rehash bool) {
	t.Helper()
	h.pace.slowest.Store(0) // refusals are not held back: see TestPace
	ok, rehash, err := h.Verify(t.Context(), stored, password)
	if err != nil {
		t.Fatal(err)
	}
	return ok, rehash
}

// holds a hash to its password: it is identified, verifies, is to be replaced, and its replacement is of the whole password.
func (p peerHash) hold(t *testing.T, h *Hasher, password string) {
	t.Helper()
	if scheme, err := Identify(p.Stored); err != nil || scheme != p.Scheme {
		t.Errorf("%s's %s is taken for %q: %v", p.By, p.Scheme, scheme, err)
	}
	ok, rehash := verify(t, h, p.Stored, password)
	if password == "" {
		if ok {
			t.Errorf("%s's %s lets in without a password", p.By, p.Scheme)
		}
		return
	}
	if !ok || !rehash {
		t.Errorf("%s's %s of %q: verified %t, to be replaced %t", p.By, p.Scheme, password, ok, rehash)
	}
	if ok, _ := verify(t, h, p.Stored, "~"+password); ok {
		t.Errorf("%s's %s of %q verifies another password", p.By, p.Scheme, password)
	}
	if cut := strings.HasSuffix(p.Scheme, "bcrypt") || p.Scheme == "devise"; cut || len(password) >= 72 {
		ok, rehash = verify(t, h, p.Stored, password+"x")
		if want := cut && len(password) >= 72; ok != want || ok && !rehash {
			t.Errorf("%s's %s of %q with more behind it: verified %t", p.By, p.Scheme, password, ok)
		}
	}
	own, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if ok, rehash := verify(t, h, own, password); !ok || rehash {
		t.Errorf("our own of %q: verified %t, to be replaced %t", password, ok, rehash)
	}
	if ok, _ := verify(t, h, own, password+"x"); ok {
		t.Errorf("our own of %q verifies a longer one", password)
	}
}

// atFullCost leaves out with -short what verifies hashes one by one at what they really cost: the race detector makes that
// ten times as much, and finds nothing where nobody works beside.
func atFullCost(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT with -short: hashes at full cost, one by one")
	}
}

// What other systems made once verifies everywhere.
func TestGolden(t *testing.T) {
	t.Parallel()
	atFullCost(t)
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	h := cheap(t, Options{Pepper: pepper})
	schemes := map[string]bool{}
	for _, p := range g.Hashes {
		schemes[p.Scheme] = true
		p.hold(t, h, string(g.Passwords[p.Password]))
	}
	if len(g.Hashes) < 200 || len(schemes) != 18 {
		t.Errorf("only %d hashes of %d schemes", len(g.Hashes), len(schemes))
	}
}

// Other systems make hashes anew, which verify.
func TestPeers(t *testing.T) {
	t.Parallel()
	atFullCost(t)
	all := golden{Passwords: typed}
	for _, command := range [][]string{
		{"/usr/bin/python3", "testdata/peers/peers.py"}, // Debian's: another Python has not its packages
		{"php", "testdata/peers/peers.php"},
		{"node", "testdata/peers/peers.mjs"},
	} {
		made := ask(t, command)
		h := cheap(t, Options{Pepper: pepper})
		for _, p := range made {
			password := string(typed[p.Password])
			if ok, rehash := verify(t, h, p.Stored, password); ok != (password != "") || ok && !rehash {
				t.Errorf("%s's %s of %q: verified %t, to be replaced %t", p.By, p.Scheme, password, ok, rehash)
			}
		}
		all.Hashes = append(all.Hashes, made...)
	}
	if *update && !t.Failed() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/golden.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ask has a peer hash all passwords. Where it is missing the test is skipped, and says so; with PLINTH_TEST_ALL=1 it fails.
func ask(t *testing.T, command []string) (made []peerHash) {
	t.Helper()
	question, err := json.Marshal(golden{Passwords: typed})
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(question), &out, &said
	if err := c.Run(); err != nil {
		missing := errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) ||
			strings.Contains(said.String(), "ModuleNotFoundError") || strings.Contains(said.String(), "ERR_MODULE_NOT_FOUND")
		if missing && os.Getenv("PLINTH_TEST_ALL") != "1" {
			t.Skipf("LEFT OUT, for want of a peer: %s: %v\n%s", filepath.Base(command[1]), err, said.String())
		}
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, said.String())
	}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var p peerHash
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		made = append(made, p)
	}
	if len(made) < 3*len(typed)-2 {
		t.Fatalf("%s made only %d hashes", command[1], len(made))
	}
	return made
}

// Vectors that the makers of formats have published.
func TestPublished(t *testing.T) {
	t.Parallel()
	atFullCost(t)
	h := cheap(t, Options{})
	for _, p := range []struct{ source, scheme, password, stored string }{
		{"Django, tests/auth_tests/test_hashers.py", "django-pbkdf2", "lètmein", "pbkdf2_sha256$390000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c="},
		{"Django, tests/auth_tests/test_hashers.py", "django-scrypt", "lètmein", "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw=="},
		{"Django, tests/auth_tests/test_hashers.py", "django-argon2", "secret", "argon2$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$YC9+jJCrQhs5R6db7LlN8Q"},
		{"Django, tests/auth_tests/test_hashers.py", "django-argon2", "secret", "argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw"},
		{"Spring Security, PasswordEncoderFactoriesTests", "spring-bcrypt", "password", "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"},
		{"Spring Security, PasswordEncoderFactoriesTests", "spring-pbkdf2", "password", "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc"},
		{"Spring Security, PasswordEncoderFactoriesTests", "spring-scrypt", "password", "{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc="},
		{"Spring Security, Argon2PasswordEncoderTests", "spring-argon2", "sometestpassword", "{argon2}$argon2id$v=19$m=4096,t=3,p=1$QUFBQUFBQUFBQUFBQUFBQQ$hmmTNyJlwbb6HAvFoHFWF+u03fdb0F2qA+39oPlcAqo"},
		{"Spring Security, Argon2PasswordEncoderTests", "spring-argon2", "sometestpassword", "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=512,t=5,p=4$QUFBQUFBQUFBQUFBQUFBQQ$PNv4C3K50bz3rmON+LtFpdisD7ePieLNq+l5iUHgc1k"},
		{"firebase/scrypt, README", "firebase-scrypt", "user1password", "$firebase-scrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="},
		{"firebase/scrypt, README, as Supabase writes it", "firebase-scrypt", "user1password", "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="},
		{"RFC 7914 §12", "scrypt", "pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"},
	} {
		peerHash{By: p.source, Scheme: p.scheme, Stored: p.stored}.hold(t, h, p.password)
	}
}
