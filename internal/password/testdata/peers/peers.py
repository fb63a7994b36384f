"""Hashes of passwords, made by Django's and Werkzeug's own code, and by OpenSSL's functions where the code that
made them is not to be had in Debian 12 (Django's scrypt is of 4.0, Werkzeug's of 2.3, Spring is Java, Devise Ruby).

Reads {"passwords": [base64, ...]} and writes a line of JSON for each hash: who made it, and of which password, by number.
The first password is hashed at the cost that is the maker's default, the others at a low one. What a maker refuses is left out.
"""
import base64, binascii, hashlib, json, os, sys

import argon2
import bcrypt
import django
import werkzeug
from django.conf import settings

settings.configure(PASSWORD_HASHERS=[
    "django.contrib.auth.hashers." + name for name in (
        "PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher",
        "BCryptSHA256PasswordHasher", "BCryptPasswordHasher")])
django.setup()
from django.contrib.auth import hashers
from werkzeug.security import generate_password_hash

passwords = [base64.b64decode(p).decode() for p in json.load(sys.stdin)["passwords"]]


def hexed(b):
    return binascii.hexlify(b).decode()


def b64(b):
    return base64.b64encode(b).decode()


def low(**costs):
    def lower(hasher):
        for name, value in costs.items():
            setattr(hasher, name, value)
    return lower


def with_django(algorithm, lower):
    def make(password, first):
        hasher = hashers.get_hasher(algorithm)
        kept = dict(hasher.__dict__)
        if not first:
            lower(hasher)
        try:
            return hasher.encode(password, hasher.salt())
        finally:
            hasher.__dict__.clear()
            hasher.__dict__.update(kept)
    return make


def django_scrypt(password, first):
    n, salt = 2 ** 14 if first else 2 ** 10, hexed(os.urandom(8))
    sum = hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=8, p=1, maxmem=2 ** 28, dklen=64)
    return "scrypt$%d$%s$8$1$%s" % (n, salt, b64(sum))


def werkzeug_scrypt(password, first):
    n, salt = 2 ** 15 if first else 2 ** 10, hexed(os.urandom(8))
    sum = hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=8, p=1, maxmem=2 ** 28, dklen=64)
    return "scrypt:%d:8:1$%s$%s" % (n, salt, hexed(sum))


def spring_pbkdf2(name, hash, iterations, size):
    def make(password, first):
        salt = os.urandom(size)
        return "{%s}%s" % (name, hexed(salt + hashlib.pbkdf2_hmac(hash, password.encode(), salt, iterations, 32)))
    return make


def spring_scrypt(name, log, size):
    def make(password, first):
        n, salt = log if first else 10, os.urandom(size)
        sum = hashlib.scrypt(password.encode(), salt=salt, n=2 ** n, r=8, p=1, maxmem=2 ** 28, dklen=32)
        return "{%s}$%x$%s$%s" % (name, n << 16 | 8 << 8 | 1, b64(salt), b64(sum))
    return make


def spring_argon2(name, log, passes):
    def make(password, first):
        sum = argon2.low_level.hash_secret(password.encode(), os.urandom(16), passes, 2 ** log if first else 64, 1, 32, argon2.Type.ID)
        return "{%s}%s" % (name, sum.decode())
    return make


def with_bcrypt(mark, after=b""):
    def make(password, first):
        return mark + bcrypt.hashpw(password.encode() + after, bcrypt.gensalt(10 if first else 4, b"2a")).decode()
    return make


def with_werkzeug(method):
    def make(password, first):
        return generate_password_hash(password, method if first else method + ":1000")
    return make


makers = [
    ("Django " + django.__version__, "django-pbkdf2", with_django("pbkdf2_sha256", low(iterations=1000))),
    ("Django " + django.__version__, "django-pbkdf2", with_django("pbkdf2_sha1", low(iterations=1000))),
    ("Django " + django.__version__, "django-argon2", with_django("argon2", low(time_cost=1, memory_cost=64, parallelism=2))),
    ("Django " + django.__version__, "django-bcrypt-sha256", with_django("bcrypt_sha256", low(rounds=4))),
    ("Django " + django.__version__, "django-bcrypt", with_django("bcrypt", low(rounds=4))),
    ("OpenSSL, as Django 4", "django-scrypt", django_scrypt),
    ("Werkzeug " + werkzeug.__version__, "werkzeug-pbkdf2", with_werkzeug("pbkdf2:sha256")),
    ("Werkzeug " + werkzeug.__version__, "werkzeug-pbkdf2", with_werkzeug("pbkdf2:sha512")),
    ("Werkzeug " + werkzeug.__version__, "werkzeug-pbkdf2", with_werkzeug("pbkdf2:sha1")),
    ("OpenSSL, as Werkzeug 2.3", "werkzeug-scrypt", werkzeug_scrypt),
    ("OpenSSL, as Spring Security", "spring-pbkdf2", spring_pbkdf2("pbkdf2", "sha1", 185000, 8)),
    ("OpenSSL, as Spring Security 5.8", "spring-pbkdf2", spring_pbkdf2("pbkdf2@SpringSecurity_v5_8", "sha256", 310000, 16)),
    ("OpenSSL, as Spring Security", "spring-scrypt", spring_scrypt("scrypt", 14, 64)),
    ("OpenSSL, as Spring Security 5.8", "spring-scrypt", spring_scrypt("scrypt@SpringSecurity_v5_8", 16, 16)),
    ("Python's argon2, as Spring Security", "spring-argon2", spring_argon2("argon2", 12, 3)),
    ("Python's argon2, as Spring Security 5.8", "spring-argon2", spring_argon2("argon2@SpringSecurity_v5_8", 14, 2)),
    ("Python's bcrypt, as Spring Security", "spring-bcrypt", with_bcrypt("{bcrypt}")),
    ("Python's bcrypt, as Devise", "devise", with_bcrypt("{devise}", b"pepper of the test")),
    ("Python's bcrypt, as PocketBase and Supabase", "bcrypt", with_bcrypt("")),
]
for who, scheme, make in makers:
    for i, password in enumerate(passwords):
        try:
            stored = make(password, i == 0)
        except ValueError:  # NUL in bcrypt
            continue
        print(json.dumps({"by": who, "scheme": scheme, "password": i, "stored": stored}))
