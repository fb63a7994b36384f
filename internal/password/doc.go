// Package password keeps passwords: it hashes and verifies them within a fixed amount of memory, verifies the hashes
// of other systems so that an existing table of users can move in, and says which passwords are good enough. It knows
// no HTTP and no database.
//
// # What is stored
//
// A new password is stored as argon2id (RFC 9106) in PHC string format, with a salt of 16 random bytes and a digest of 32:
//
//	$argon2id$v=19$m=19456,t=2,p=1$SALT$DIGEST
//
// What is hashed is the password in UTF-8 with every space (Unicode's Zs) as U+0020 and in normal form C, the mapping
// of RFC 8265 (OpaqueString), which is also what NIST 800-63B-4 §3.1.1.2 recommends: the same password typed on another
// keyboard is the same password. Nothing else is changed, nothing is cut off, and, unlike RFC 8265, nothing is refused:
// not even what Unicode has not assigned yet, for that may be somebody's newest emoji.
//
// # Hashes of other systems
//
// These verify, and Verify says that they are to be replaced. B64 is standard base64 and HEX hexadecimal digits; numbers
// are decimal without leading zeros. Other systems hash what was typed, so that is tried first, and the normalised form after it.
//
//	argon2id         $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$DIGEST       PHP and Laravel, Node's argon2, libsodium (PHC string format;
//	                                                                         base64 without padding)
//	argon2i          $argon2i$v=19$…                                         PHP's PASSWORD_ARGON2I
//	bcrypt           $2a$COST$…, $2b$…, $2y$…: 60 characters                 PHP and Laravel, Node, PocketBase, Supabase, Devise without a pepper
//	devise           {devise} and a bcrypt hash                              Devise with config.pepper, which is Options.Pepper
//	scrypt           $scrypt$ln=LOG2N,r=R,p=P$SALT$DIGEST                    Node's scrypt in PHC string format, passlib (base64 without padding)
//	scrypt-hex       $scrypt-hex$ln=LOG2N,r=R,p=P,salt=text$SALT:HEX         Node's crypto.scrypt as SALT:HEX, which does not say its parameters: whoever
//	                                                                         imports writes them in front. salt=text: the salt that was hashed are the
//	                                                                         characters of SALT; salt=hex: the bytes that they stand for.
//	                                                                         Node's own defaults are ln=14,r=8,p=1
//	firebase-scrypt  $firebase-scrypt$v=1,n=MEM_COST,r=ROUNDS,p=1,ss=B64,sk=B64$B64$B64
//	                                                                         Firebase: the project's mem_cost, rounds, base64_salt_separator
//	                                                                         and base64_signer_key, then the user's salt and passwordHash.
//	                                                                         Also as $fbscrypt$…, as Supabase writes it; both alphabets of base64
//	django-pbkdf2    pbkdf2_sha256$ITERATIONS$SALT$B64, pbkdf2_sha1$…        Django: PBKDF2PasswordHasher, PBKDF2SHA1PasswordHasher
//	django-argon2    argon2$argon2id$…, argon2$argon2i$…                     Django: Argon2PasswordHasher
//	django-bcrypt    bcrypt$$2b$…                                            Django: BCryptPasswordHasher
//	django-bcrypt-sha256  bcrypt_sha256$$2b$…                                Django: BCryptSHA256PasswordHasher: bcrypt of the SHA-256 in hexadecimal
//	django-scrypt    scrypt$N$SALT$R$P$B64                                   Django 4 and later: ScryptPasswordHasher
//	werkzeug-pbkdf2  pbkdf2:sha256:ITERATIONS$SALT$HEX, also sha1, sha512    Werkzeug and Flask
//	werkzeug-scrypt  scrypt:N:R:P$SALT$HEX                                   Werkzeug 2.3 and later
//	spring-bcrypt    {bcrypt}$2a$…                                           Spring Security: DelegatingPasswordEncoder
//	spring-pbkdf2    {pbkdf2}HEX, {pbkdf2@SpringSecurity_v5_8}HEX            its defaults: 8 bytes of salt, 185,000 of HMAC-SHA-1; since 5.8
//	                                                                         16 bytes of salt, 310,000 of HMAC-SHA-256; no secret
//	spring-scrypt    {scrypt}$PARAMETERS$B64$B64, {scrypt@SpringSecurity_v5_8}…
//	                                                                         PARAMETERS: log2 N, r and p as 16, 8 and 8 bits, in hexadecimal
//	spring-argon2    {argon2}$argon2id$…, {argon2@SpringSecurity_v5_8}…
//	none             nothing, or ! and any text                              there is no password (Devise; Django's unusable password)
//
// Sources: the PHC string format's specification, RFC 9106, RFC 7914, RFC 8018; Django's auth/hashers.py and its tests;
// Werkzeug's security.py; Spring Security's reference and its tests; PHP's manual on password_hash; the README of
// firebase/scrypt; Supabase's documentation of imports.
//
// bcrypt reads at most 72 bytes. Of a foreign bcrypt hash the rest of the password is ignored, as it was where the hash was
// made; our own hash, by which it is replaced, is of the whole password. U+0000 is a byte like others: PHP before 8.0 ended a
// password there, and such a password does not verify. $2$ and $2x$, forms of bcrypt with known errors, are refused.
//
// What is too weak to have stayed a secret is refused by name, whatever its owner types: plain text ({noop}, plain), and digests that
// are computed a thousand million times a second, with or without salt (MD5, SHA-1, SHA-256, LDAP's, Spring's {sha256}, HMACs, DES
// crypt, PBKDF2 of fewer than 1,000 iterations). These users reset their password. Refused as not known are argon2d and Argon2 before
// version 19, phpass, and crypt(3)'s $1$, $5$ and $6$.
//
// # Limits
//
// A table that is imported is hostile input. What asks for more than this is refused, as is what asks for too little to be real:
//
//	argon2   128 MiB of memory; memory times passes 2 GiB; 16 lanes
//	scrypt   N from 1,024, 128 MiB of memory; memory times p 512 MiB
//	bcrypt   cost 4 to 15
//	PBKDF2   1,000 to 5,000,000 iterations
//	salts    of 1 (argon2: 8) to 128 bytes, digests of 16 to 64 (argon2, Firebase: 128), a whole hash of 1,024 visible ASCII characters
//
// # Who does not exist
//
// An account that does not exist, or that has no password, is verified against nothing (Verify of ""): it costs what a hash with
// today's parameters costs, with the same place in the queue. So does a hash that cannot be read. Every hash that is not of
// today's parameters is replaced at its owner's first sign-in, also one that is stronger: while all accounts cost the same, time tells
// nothing of them.
//
// Until then another system's hash takes a time of its own, which would tell that there is such an account. Each Hasher keeps how
// long these take, and gives no refusal sooner after its derivation began, whichever account was asked for: it waits, without
// holding memory or a processor. It learns this from verifications, so after a start the first of each kind tells;
// to close that too, verify one stored hash of each kind that is left, with any password, before serving. What remains is how much a
// derivation exceeds what is usual, and that a foreign hash that needs much memory waits longer for it when the queue is full of others. Nothing is held back from whoever signs in: he knows that he exists.
package password
