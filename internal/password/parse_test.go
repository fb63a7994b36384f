package password

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/bluell/plinth/fault"
)

// What asks for too much, or too little, or is misshapen is refused; beside each is what is just allowed.
func TestLimits(t *testing.T) {
	t.Parallel()
	const (
		salt11 = "c29tZXNhbHQ"
		sum32  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		body   = "dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
		hex32  = "00000000000000000000000000000000"
	)
	a := func(params string) string { return "$argon2id$v=19$" + params + "$" + salt11 + "$" + sum32 }
	s := func(params string) string { return "$scrypt$" + params + "$" + salt11 + "$" + sum32 }
	for good, bad := range map[string][]string{
		a("m=131072,t=16,p=16"): {a("m=131073,t=1,p=1"), a("m=4194304,t=1,p=1"), a("m=131072,t=17,p=1"), a("m=64,t=1,p=17"), a("m=4294967295,t=4294967295,p=255"),
			a("m=64,t=1,p=257"), a("m=64,t=99999999999999999999,p=1")},
		a("m=8,t=1,p=1"): {a("m=7,t=1,p=1"), a("m=0,t=1,p=1"), a("m=8,t=0,p=1"), a("m=8,t=1,p=0"), a("m=15,t=1,p=2"), a("t=1,m=8,p=1"), a("m=8,t=1"),
			a("m=08,t=1,p=1"), a("m=+8,t=1,p=1"), a("m=-8,t=1,p=1"), a("m=8,t=1,p=1,keyid=x"),
			strings.Replace(a("m=8,t=1,p=1"), "v=19", "v=16", 1), strings.Replace(a("m=8,t=1,p=1"), "v=19$", "", 1), a("m=8,t=1,p=1") + "=", a("m=8,t=1,p=1") + "$",
			"$argon2id$v=19$m=8,t=1,p=1$" + salt11 + "$AAAA", "$argon2id$v=19$m=8,t=1,p=1$c29t$" + sum32, "$argon2id$v=19$m=8,t=1,p=1$" + strings.Repeat("A", 200) + "$" + sum32,
			"$argon2id$v=19$m=8,t=1,p=1$" + salt11 + "$" + strings.Repeat("A", 200), "$argon2id$v=19$m=8,t=1,p=1$" + salt11, a("m=8,t=1,p=1")[:80] + "\n" + a("m=8,t=1,p=1")[80:]},
		"$2a$15$" + body: {"$2a$16$" + body, "$2a$31$" + body, "$2a$99$" + body},
		"$2b$04$" + body: {"$2b$03$" + body, "$2b$4$" + body, "$2b$004$" + body[1:], "$2b$04$" + body[1:], "$2b$04$" + body + "x", "$2b$+4$" + body, "$2b$04$" + body[:52] + "!",
			"$2x$04$" + body, "$2$04$" + body, "$2c$04$" + body, "$2b$$" + body + "xx", "$2b$04" + body + "$", "$2b$04$" + body[:20] + "$" + body[21:]},
		s("ln=20,r=1,p=1"):           {s("ln=21,r=8,p=1"), s("ln=30,r=8,p=1"), s("ln=63,r=8,p=1"), s("ln=64,r=8,p=1"), s("ln=999999999,r=1,p=1"), s("ln=9,r=8,p=1")},
		s("ln=17,r=8,p=4"):           {s("ln=17,r=8,p=5"), s("ln=17,r=9,p=1"), s("ln=10,r=65,p=1"), s("ln=10,r=1,p=65"), s("ln=10,r=0,p=1"), s("ln=10,r=1,p=0")},
		"scrypt:1024:1:1$x$" + hex32: {"scrypt:1023:1:1$x$" + hex32, "scrypt:0:1:1$x$" + hex32, "scrypt:1025:1:1$x$" + hex32, "scrypt:536870912:1:1$x$" + hex32, "scrypt:1024:1:1$$" + hex32, "scrypt:1024:1:1$x$00"},
		"$scrypt-hex$ln=10,r=8,p=1,salt=hex$00:" + hex32: {"$scrypt-hex$ln=10,r=8,p=1$00:" + hex32, "$scrypt-hex$ln=10,r=8,p=1,salt=utf$00:" + hex32,
			"$scrypt-hex$ln=10,r=8,p=1,salt=hex$0:" + hex32, "$scrypt-hex$ln=10,r=8,p=1,salt=text$:" + hex32, "00:" + hex32},
		"pbkdf2_sha256$5000000$x$" + sum32 + "=": {"pbkdf2_sha256$5000001$x$" + sum32 + "=", "pbkdf2_sha256$1000000000$x$" + sum32 + "=", "pbkdf2_sha256$x$x$" + sum32 + "="},
		"pbkdf2_sha1$1000$x$" + sum32 + "=": {"pbkdf2_sha1$999$x$" + sum32 + "=", "pbkdf2_sha1$1000$$" + sum32 + "=", "pbkdf2_sha1$1000$x$" + sum32, "pbkdf2_sha1$1000$x$AAAA",
			"pbkdf2_md5$1000$x$" + sum32 + "=", "pbkdf2_sha1$1000$x$" + strings.Repeat("AAAA", 22), "pbkdf2_sha1$1000$" + strings.Repeat("x", 129) + "$" + sum32 + "="},
		"pbkdf2:sha512:1000$x$" + hex32:                 {"pbkdf2:md5:1000$x$" + hex32, "pbkdf2:sha256$x$" + hex32, "pbkdf2:sha256:1$x$" + hex32},
		"{pbkdf2}" + hex32 + hex32 + "0000000000000000": {"{pbkdf2}" + hex32 + hex32, "{pbkdf2}", "{pbkdf2@SpringSecurity_v5_8}" + hex32 + hex32 + "0000000000000000", "{pbkdf2@x}" + hex32},
		"{scrypt}$e0801$AA==$" + sum32 + "=":            {"{scrypt}$ff0801$AA==$" + sum32 + "=", "{scrypt}$1000e0801$AA==$" + sum32 + "=", "{scrypt}$0$AA==$" + sum32 + "=", "{scrypt}$zz$AA==$" + sum32 + "=", "{scrypt}e0801$AA==$" + sum32 + "="},
		"{argon2}" + a("m=8,t=1,p=1"):                   {"{argon2}", "{argon2}$argon2d$v=19$m=8,t=1,p=1$" + salt11 + "$" + sum32, "$argon2d$v=19$m=8,t=1,p=1$" + salt11 + "$" + sum32},
		"$fbscrypt$v=1,n=14,r=8,p=1,ss=,sk=AAAAAAAAAAAAAAAAAAAAAA==$AA==$AAAAAAAAAAAAAAAAAAAAAA": {"$fbscrypt$v=2,n=14,r=8,p=1,ss=,sk=AAAAAAAAAAAAAAAAAAAAAA==$AA==$AAAAAAAAAAAAAAAAAAAAAA",
			"$fbscrypt$v=1,n=25,r=8,p=1,ss=,sk=AAAAAAAAAAAAAAAAAAAAAA==$AA==$AAAAAAAAAAAAAAAAAAAAAA", "$fbscrypt$v=1,n=14,r=8,p=1,ss=,sk=$AA==$AAAAAAAAAAAAAAAAAAAAAA", "$fbscrypt$v=1,n=14,r=8,p=1,ss=,sk=AAAAAAAAAAAAAAAAAAAAAA==$AA==$AAAA"},
		"!": {" ", "\x00", "ü", "{", "{}", "{unknown}x", "$", "$$", "$1$x$y", strings.Repeat("x", 1025), "{noop}password", "{MD5}x", "{SHA-1}x", "{SHA-256}x", "{sha256}x", "{ldap}{SSHA}x", "md5$x$y", "sha1$x$y",
			"5f4dcc3b5aa765d61d8327deb882cf99", "plain$$x", "$P$B", "$5$x$y", "$6$x$y", "crypt$$x"},
	} {
		if _, err := Identify(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
		for _, b := range bad {
			scheme, err := Identify(b)
			if !fault.Is(err, fault.Invalid) || scheme != "" {
				t.Errorf("%q is taken for %q: %v", b, scheme, err)
			} else if len(b) > 20 && strings.Contains(err.Error(), b[12:]) {
				t.Errorf("the error repeats what is stored: %v", err)
			}
		}
	}
}

// What was too weak to stay a secret is named.
func TestWeakIsNamed(t *testing.T) {
	t.Parallel()
	for stored, name := range map[string]string{"{noop}password": "plain text", "{MD5}x": "MD5", "sha1$x$y": "SHA-1", "5f4dcc3b5aa765d61d8327deb882cf99": "digest", "$P$Bxyz": "phpass",
		"$2x$04$": "bcrypt", "$6$x$y": "crypt(3)", "{mine}x": "{id}", "hello": "no known format", "{argon2}$argon2d$v=19$m=8,t=1,p=1$x$y": "behind {argon2}", "$argon2i$m=8,t=1,p=1$x$y": "lacks v=19$"} {
		if _, err := Identify(stored); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, does not name %q", stored, err, name)
		}
	}
}

// Whatever is stored is read or refused, and what is read asks for no more than is allowed.
func FuzzParse(f *testing.F) {
	if text, err := os.ReadFile("testdata/golden.json"); err == nil {
		var g golden
		if err := json.Unmarshal(text, &g); err != nil {
			f.Fatal(err)
		}
		for _, p := range g.Hashes {
			f.Add(p.Stored)
		}
	}
	for _, s := range []string{"", "!", "{noop}x", "$2a$04$", "pbkdf2:sha256:", "{scrypt}$", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$"} {
		f.Add(s)
	}
	h := cheap(f, Options{Pepper: pepper})
	f.Fuzz(func(t *testing.T, stored string) {
		form, err := parse(stored)
		scheme, other := Identify(stored)
		if (err == nil) != (other == nil) || scheme != form.scheme {
			t.Fatalf("parse: %v, Identify: %q, %v", err, scheme, other)
		}
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if form.empty != (form.digest == nil) {
			t.Fatal("there is a digest of no password, or none of one")
		}
		if form.empty {
			return
		}
		work := int64(0) // in about a millisecond
		switch d := form.digest.(type) {
		case argon2Digest:
			work = d.bytes() * int64(d.time) >> 20
			if d.wrong() != "" {
				t.Fatal(d.wrong())
			}
			if back, err := parse(d.String()); err != nil || back.digest != form.digest {
				t.Fatalf("%s is read as another: %v", d, err)
			}
		case scryptDigest:
			work = d.bytes() * int64(d.p) >> 18
			if d.bytes() > maxMemory+1<<20 || work > 2100 {
				t.Fatalf("it asks for %d bytes", d.bytes())
			}
		case pbkdf2Digest:
			work = int64(d.iterations) >> 11
			if d.iterations > maxIterations {
				t.Fatalf("it asks for %d iterations", d.iterations)
			}
		case bcryptDigest:
			cost := (d.hash[4]-'0')*10 + d.hash[5] - '0'
			if cost > maxCost {
				t.Fatalf("it asks for a cost of %d", cost)
			}
			work = 1 << cost >> 4
		default:
			t.Fatalf("%T", d)
		}
		if work > 10 {
			return // the next are faster
		}
		h.pace.slowest.Store(0) // nobody is to wait here
		if ok, rehash, err := h.Verify(t.Context(), stored, "another password than any"); ok || rehash || err != nil {
			t.Fatal(ok, rehash, err)
		}
	})
}
