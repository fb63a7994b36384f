package spec

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mistakes are files and all that is said about them.
var mistakes = []struct{ file, want string }{
	{`schedules:
  a: {every: 1h, delete: {collection: notes, filter: "n == 1 / 0"}}
  b: {every: 1h, delete: {collection: notes, filter: "n == 1 || n == 2 % (1 - 1)"}}
  c: {every: 1h, delete: {collection: notes, filter: "n == 9007199254740991 * 2"}}
  d: {every: 1h, delete: {collection: notes, filter: created < now - duration("2500000h") - duration("2500000h") - duration("2500000h") - duration("2500000h")}}
  e: {every: 1h, delete: {collection: notes, filter: "n == 1 / 2"}}
collections: {notes: {fields: {n: {type: int}}}}
`, `plinth.yaml:2:62: division by zero
plinth.yaml:3:72: division by zero
plinth.yaml:4:77: the result is too large for int
plinth.yaml:5:137: the result is outside the years 1000-9999`},
	{`schedules:
  a: {every: 1h, delete: {collection: posts, filter: 'at < now - duration("9999999999h")'}}
  b: {every: 1h, delete: {collection: posts, filter: 'at < "2026-13-01"'}}
  c: {every: 1h, delete: {collection: posts, filter: 'at < now - duration("720h") && kind == "a"'}}
  d: {every: 1h, delete: {collection: posts, filter: 'kind == "nope"'}}
  e: {every: 1h, create: {collection: posts, body: {text: ` + strings.Repeat("x", 50_000) + `}}}
  f:
    every: 1h
    create:
      collection: posts
      body:
        text: ` + strings.Repeat("x", 40_000) + `
        more: ` + strings.Repeat("x", 40_000) + `
collections: {posts: {fields: {at: {type: time}, kind: {type: enum, values: [a, b]}, text: {type: text}, more: {type: text}}}}
`, `plinth.yaml:2:75: must be a duration like 90s, 24h or 1h30m
plinth.yaml:3:60: must be a time like 2026-01-31T12:00:00Z
plinth.yaml:5:63: "nope" is not one of "a", "b"
plinth.yaml:12:9: it has 80021 bytes as JSON: a schedule takes at most 65024`},
	{`schedules:
  a: {cron: "0 0 30 2 *", job: x}
  b: {cron: "0 3 * * *", zone: Europe/Berln, job: x}
  c: {every: 10ms, job: x}
  d: {cron: "0 3 * *", every: 1h, job: x}
  e: {job: x}
  f: {every: 1h}
  g: {every: 1h, job: x, create: {collection: posts}}
  h: {every: 1h, zone: UTC, job: Report Me}
  i: {every: 1h, job: plinth.create, payload: {a: 1}}
  j: {every: 1h, delete: {collection: post, filter: "true"}}
  k: {every: 1h, delete: {collection: posts, filter: 'titel == "a"'}}
  l: {every: 1h, delete: {collection: posts, filter: 'id == auth.id || title == param.t'}}
  m: {every: 1h, create: {collection: posts, body: {titel: a}}}
  n: {every: 1h, create: {collection: posts, body: {title: abcdef, n: x}}}
  o: {every: 1h, delete: {collection: posts}, payload: {}}
  p: {evry: 1h, job: x}
  q: {every: 1h, job: x, missed: twice}
collections: {posts: {fields: {title: {type: text, required: true, max: 5}, n: {type: int}}}}
`, `plinth.yaml:2:13: "0 0 30 2 *" is no schedule: it never fires: none of its months has a day 30
plinth.yaml:3:32: there is no time zone "Europe/Berln": it is a name like Europe/Berlin or UTC
plinth.yaml:4:14: every is from 1s to 366d in whole seconds, not "10ms"
plinth.yaml:5:6: cron does not go with every: remove one of the two
plinth.yaml:5:13: "0 3 * *" is no schedule: it has five fields: minute, hour, day of the month, month, day of the week; there are 4
plinth.yaml:6:6: when does it fire? Add cron: "0 3 * * *", or every: 10m
plinth.yaml:7:6: what does it do? Add create: {collection, body}, delete: {collection, filter}, or job: KIND
plinth.yaml:8:6: a schedule does one thing: remove all but one of job create
plinth.yaml:8:34: title is missing in body: posts requires it
plinth.yaml:9:24: zone is for cron: every counts from 1970-01-01T00:00:00Z, wherever
plinth.yaml:9:34: a kind of job is 1 to 60 of a-z, 0-9, _, - and ., not "Report Me"
plinth.yaml:10:23: a kind of job is 1 to 60 of a-z, 0-9, _, - and ., not "plinth.create"
plinth.yaml:11:39: there is no collection "post" (did you mean "posts"?)
plinth.yaml:12:55: the name titel does not exist (did you mean "title"?)
plinth.yaml:13:54: param.t is given by nobody: write its value
plinth.yaml:13:66: nobody asks this: a schedule has no auth
plinth.yaml:14:52: title is missing in body: posts requires it
plinth.yaml:14:53: posts has no field "titel" (did you mean "title"?)
plinth.yaml:15:60: title has more than 5 characters
plinth.yaml:15:71: n is a whole number within ±(2^53−1), not "x"
plinth.yaml:16:26: filter is missing in delete
plinth.yaml:16:56: payload is for job
plinth.yaml:17:7: unknown key "evry" in a schedule (did you mean "every"?)
plinth.yaml:18:34: missed is one of once skip, not "twice"`},
	{`nam: agency
`, `plinth.yaml:1:1: unknown key "nam" in the app file (did you mean "name"?)`},
	{`name: a
name: b
`, `plinth.yaml:2:1: the key "name" is there already, on line 1`},
	{`roles: [staff]
cors: {origins: ["*"]}
`, `plinth.yaml:1:1: unknown key "roles" in the app file: it stands in auth
plinth.yaml:2:1: unknown key "cors" in the app file: it stands in server`},
	{`- a
`, `plinth.yaml:1:1: the app file is a map with keys like name, not a list`},
	{`a
`, `plinth.yaml:1:1: the app file is a map with keys like name, not "a"`},
	{`name: a
---
name: b
`, `plinth.yaml:1:1: holds more than one document; remove what follows the line ---`},
	{`name: [a
`, `plinth.yaml:1:7: this [ is not closed: a ], or a comma between two values, is missing`},
	{`collections: {posts: {fields: {title: {type: text}}, acess: {read: true}}}
`, `plinth.yaml:1:54: unknown key "acess" in a collection (did you mean "access"?)`},
	{`collections: {Posts: {fields: {a: {type: text}}}}
`, `plinth.yaml:1:15: "Posts" is not a name for a collection: lower-case letters, digits and _, a letter first, at most 40 (did you mean "posts"?)`},
	{`collections: {live: {fields: {a: {type: text}}}, _posts: {}, while: {}}
`, `plinth.yaml:1:15: "live" is reserved: give a collection another name
plinth.yaml:1:50: "_posts" is not a name for a collection: lower-case letters, digits and _, a letter first, at most 40
plinth.yaml:1:62: "while" is reserved: give a collection another name`},
	{`collections: {posts: {fields: {id: {type: text}, in: {type: int}, Title: {type: text}}}}
`, `plinth.yaml:1:32: "id" is reserved: give a field another name
plinth.yaml:1:50: "in" is reserved: give a field another name
plinth.yaml:1:67: "Title" is not a name for a field: lower-case letters, digits and _, a letter first, at most 40 (did you mean "title"?)`},
	{`collections: {posts: {fields: {title: {type: txt}}}}
`, `plinth.yaml:1:46: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "txt" (did you mean "text"?)`},
	{`collections: {posts: {fields: {title: {requierd: true, type: text}}}}
`, `plinth.yaml:1:40: unknown key "requierd" in a field (did you mean "required"?)`},
	{`collections: {posts: {fields: {title: {required: true}}}}
`, `plinth.yaml:1:39: type is missing in a field`},
	{`collections: {posts: {fields: {title: text}}}
`, `plinth.yaml:1:39: a field is a map with keys like type, not "text"`},
	{`collections: {posts: {fields: {title: }}}
`, `plinth.yaml:1:39: a field is empty: give it a value or remove it`},
	{`collections: {posts: {fields: {title: {type: text, required: yes}}}}
`, `plinth.yaml:1:62: required is true or false, not "yes" (did you mean "true"?)`},
	{`collections: {posts: {fields: {title: {type: text, required: maybe}}}}
`, `plinth.yaml:1:62: required is true or false, not "maybe"`},
	{`collections: {posts: {fields: {done: {type: bool, min: 1}, n: {type: int, pattern: x, ci: true}}}}
`, `plinth.yaml:1:51: min does not fit type bool; it fits text int bigint float decimal time date
plinth.yaml:1:75: pattern does not fit type int; it fits text
plinth.yaml:1:87: ci does not fit type int; it fits text email url`},
	{`collections: {posts: {fields: {tags: {type: list}, more: {type: list, of: json}, refs: {type: list, of: ref}}}}
`, `plinth.yaml:1:38: of is missing: a list is of text int float enum ref
plinth.yaml:1:75: of is one of text int float enum ref, not "json"
plinth.yaml:1:88: to is missing: a reference names its collection`},
	{`collections: {posts: {fields: {tags: {type: list, of: text, to: posts, values: [a]}}}}
`, `plinth.yaml:1:61: to does not fit a list of text
plinth.yaml:1:72: values does not fit a list of text`},
	{`collections: {posts: {fields: {n: {type: int, min: 5, max: 1}, m: {type: int, default: 20, max: 10}}}}
`, `plinth.yaml:1:52: min is larger than max
plinth.yaml:1:88: default is above max`},
	{`collections: {posts: {fields: {n: {type: int, default: a}, b: {type: bool, default: yes}, d: {type: date, default: 2026-02-30}, t: {type: time, min: today}}}}
`, `plinth.yaml:1:56: default is a whole number within ±(2^53−1), not "a"
plinth.yaml:1:85: default is true or false, not "yes"
plinth.yaml:1:116: default is a date like 2026-01-31, not "2026-02-30"
plinth.yaml:1:150: min is a time like 2026-01-31T12:00:00Z, not "today"`},
	{`collections: {posts: {fields: {p: {type: decimal, precision: 4, scale: 2, default: 1.234}, q: {type: decimal, precision: 19}, r: {type: decimal, precision: 4, scale: 5}, s: {type: decimal, precision: 4, scale: 2, default: 123.00}}}}
`, `plinth.yaml:1:84: default is a decimal with at most 4 digits, 2 digits behind the point, not "1.234"
plinth.yaml:1:122: precision is from 1 to 18
plinth.yaml:1:167: scale is from 0 to the precision, 4
plinth.yaml:1:223: default is a decimal with at most 4 digits, 2 digits behind the point, not "123.00"`},
	{`collections: {posts: {fields: {e: {type: enum}, f: {type: enum, values: []}, g: {type: enum, values: [a, a]}, h: {type: enum, values: [open, closed], default: opne}}}}
`, `plinth.yaml:1:35: values is missing: an enum has values
plinth.yaml:1:73: values is empty: an enum has values
plinth.yaml:1:106: the value "a" stands twice
plinth.yaml:1:160: default is one of open closed, not "opne" (did you mean "open"?)`},
	{`collections: {posts: {fields: {t: {type: text, pattern: "["}, u: {type: text, pattern: "^[a-z]+$", default: A}, v: {type: text, max: 2, default: abc}}}}
`, `plinth.yaml:1:57: pattern is not a regular expression (RE2): missing closing ]
plinth.yaml:1:109: default does not match the pattern
plinth.yaml:1:146: default has more than 2 characters`},
	{`collections: {posts: {fields: {t: {type: text, min: 5, max: 4}, u: {type: text, max: 0}, v: {type: text, max: lots}}}}
`, `plinth.yaml:1:53: min is larger than max
plinth.yaml:1:86: max is a whole number from 1 to 1073741824, not "0"
plinth.yaml:1:111: max is a whole number from 1 to 1073741824, not "lots"`},
	{`collections: {posts: {fields: {mail: {type: email, default: nobody}, site: {type: url, default: "ftp://x"}}}}
`, `plinth.yaml:1:61: default is an e-mail address, not "nobody"
plinth.yaml:1:97: default is an http or https address, not "ftp://x"`},
	{`collections: {posts: {fields: {f: {type: file, accept: [image], maxSize: big}, g: {type: file, max: 1000}, h: {type: file, default: x}}}}
`, `plinth.yaml:1:57: "image" is not a media type like image/png or image/*
plinth.yaml:1:74: maxSize is a size like 500KB or 1MB, not "big"
plinth.yaml:1:101: max is a whole number from 1 to 100, not "1000"
plinth.yaml:1:124: default does not fit type file; it fits text email url int bigint float decimal bool time date enum ref list json`},
	{`collections: {posts: {fields: {author: {type: ref, to: people}, editor: {type: ref}, b: {type: ref, to: post}}}}
`, `plinth.yaml:1:56: there is no collection "people"
plinth.yaml:1:73: to is missing: a reference names its collection
plinth.yaml:1:105: there is no collection "post" (did you mean "posts"?)`},
	{`collections: {posts: {fields: {by: {type: flot, to: authors, inverse: posts}, of: {type: reff, to: authros}}, access: {read: by.name == "x"}}, authors: {fields: {name: {type: text}}, access: {read: 'posts.exists(p, p.of == "x")'}}}
`, `plinth.yaml:1:43: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "flot" (did you mean "float"?)
plinth.yaml:1:90: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "reff" (did you mean "ref"?)
plinth.yaml:1:100: there is no collection "authros" (did you mean "authors"?)`},
	{`collections: {posts: {fields: {by: {type: reff, to: users}}}}
`, `plinth.yaml:1:43: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "reff" (did you mean "ref"?)`},
	{`collections: {a: {fields: {title: {type: txt}}}, b: {fields: {title: {type: text}, a: {type: ref, to: a}}, access: {read: title == "x" && nosuch == 3, create: a.title == "x"}}}
`, `plinth.yaml:1:42: type is one of text email url int bigint float decimal bool time date enum ref list json file, not "txt" (did you mean "text"?)
plinth.yaml:1:139: the name nosuch does not exist`},
	{`collections: {posts: {fields: {a: {type: ref, to: posts, onDelete: clear, required: true}, b: {type: ref, to: posts, onDelete: remove}, c: {type: ref, to: posts, onDelete: clear, fixed: true}}}}
`, `plinth.yaml:1:68: onDelete: clear does not go with required: it cannot become null; use restrict or cascade
plinth.yaml:1:128: onDelete is one of restrict cascade clear, not "remove"
plinth.yaml:1:173: onDelete: clear does not go with fixed: it never changes; use restrict or cascade`},
	{`collections: {posts: {fields: {a: {type: ref, to: posts, inverse: b}, b: {type: text}, c: {type: ref, to: posts, inverse: kids}, d: {type: ref, to: posts, inverse: kids}, e: {type: ref, to: posts, inverse: rev}}}}
`, `plinth.yaml:1:67: posts has a field "b" already: give the inverse another name
plinth.yaml:1:165: posts has an inverse "kids" already, by posts.c: give this one another name
plinth.yaml:1:207: "rev" is reserved: give an inverse another name`},
	{`collections: {posts: {fields: {a: {type: text, searchable: true}, b: {type: int, encrypted: true}}}}
`, `plinth.yaml:1:60: searchable is for encrypted fields; others can always be searched
plinth.yaml:1:82: encrypted does not fit type int; it fits text email url`},
	{`collections: {posts: {fields: {a: {type: text, unique: true, max: 300}, b: {type: json, unique: true}, c: {type: list, of: text, unique: true}}}}
`, `plinth.yaml:1:67: a unique text has max: 255 at most
plinth.yaml:1:89: unique does not fit type json; it fits text email url int bigint float decimal bool time date enum ref
plinth.yaml:1:130: unique does not fit type list; it fits text email url int bigint float decimal bool time date enum ref`},
	{`collections: {posts: {fields: {a: {type: int, set: "1", init: "2"}, b: {type: int, set: "1", default: 2, write: "true"}, c: {type: int, set: "1", fixed: true}}}}
`, `plinth.yaml:1:63: init does not go with set: set decides on every write
plinth.yaml:1:103: default does not go with set: set decides on every write
plinth.yaml:1:113: write does not go with set: nobody writes it
plinth.yaml:1:154: fixed does not go with set: it is set on every write`},
	{`collections: {posts: {label: titel, fields: {title: {type: text}, j: {type: json}}}, notes: {label: j, fields: {j: {type: json}}}}
`, `plinth.yaml:1:30: posts has no field "titel" (did you mean "title"?)
plinth.yaml:1:101: the field "j" cannot name a record to people: it is of type json`},
	{`collections: {posts: {was: Articles, fields: {a: {type: int, was: b}, b: {type: int}, c: {type: int, was: old}, d: {type: int, was: old}}}, notes: {was: posts}}
`, `plinth.yaml:1:28: "Articles" was never the name of a collection
plinth.yaml:1:67: was: b is still there: remove one of the two
plinth.yaml:1:107: was: old stands twice
plinth.yaml:1:133: was: old stands twice
plinth.yaml:1:154: was: posts is still there: remove one of the two`},
	{`collections: {posts: {fields: {title: {type: text}}, indexes: [[title], [titel], [], [created, created]]}}
`, `plinth.yaml:1:65: an indexed text is bounded: add max: 255 or less to the field "title"
plinth.yaml:1:74: posts has no field "titel" to index (did you mean "title"?)
plinth.yaml:1:82: an index has at least one field
plinth.yaml:1:96: "created" stands twice in this index`},
	{`collections: {posts: {fields: {t: {type: text, max: 256}, s: {type: text, encrypted: true}, j: {type: json}, l: {type: list, of: int}}, indexes: [[t], [s], [j], [l, created], {fields: [l], unique: true}]}}
`, `plinth.yaml:1:148: an indexed text has max: 255 at most; the field "t" has 256
plinth.yaml:1:153: "s" cannot be indexed: it is encrypted; add searchable: true to ask for equality
plinth.yaml:1:158: "j" cannot be indexed: it is of type json
plinth.yaml:1:163: "l" is a list: index it alone, and not as unique
plinth.yaml:1:186: "l" is a list: index it alone, and not as unique`},
	{`collections: {posts: {fields: {a: {type: text, max: 255}, b: {type: text, max: 255}, c: {type: text, max: 255}}, indexes: [[a, b, c]]}}
`, `plinth.yaml:1:124: this index may take 3060 bytes a record, and databases take 2600: give its texts a smaller max`},
	{`collections: {posts: {fields: {a: {type: text, max: 255, ci: true}, b: {type: ref, to: posts}}, indexes: [[a], [a, b]]}}
`, `plinth.yaml:1:112: this index may take 3204 bytes a record, and databases take 2600: give its texts a smaller max`},
	{`collections: {posts: {fields: {a: {type: int}}, indexes: [{fields: [a], where: a > 1}, {fields: [a], unique: true, name: A}, {unique: true}]}}
`, `plinth.yaml:1:80: where is for unique indexes: add unique: true or remove it
plinth.yaml:1:122: "A" is not a name for an index: lower-case letters, digits and _, a letter first, at most 40 (did you mean "a"?)
plinth.yaml:1:126: fields is missing in an index`},
	{`collections: {posts: {fields: {a: {type: int, unique: true}}, indexes: [{fields: [a], unique: true}, {fields: [a], name: a_unique}, a]}}
`, `plinth.yaml:1:73: posts has an index "a_unique" already: give this one another name
plinth.yaml:1:122: posts has an index "a_unique" already: give this one another name
plinth.yaml:1:133: an index is a map with keys like fields, not "a"`},
	{`collections: {posts: {fields: {a: {type: int}}, validate: [{rule: a > 1, field: b}, {field: a}, {rule: a + 1}]}}
`, `plinth.yaml:1:81: posts has no field "b"
plinth.yaml:1:85: rule is missing in a validation
plinth.yaml:1:106: a condition is needed here, not an int`},
	{`collections:
  posts:
    fields: {title: {type: text}}
    access:
      read: titel == "a"
      create: title
      update: 'input.title != titl'
      delete: "\"a\" == titlle"
`, `plinth.yaml:5:13: the name titel does not exist (did you mean "title"?)
plinth.yaml:6:15: a condition is needed here, not a text
plinth.yaml:7:31: the name titl does not exist (did you mean "title"?)
plinth.yaml:8:25: the name titlle does not exist (did you mean "title"?)`},
	{`collections:
  posts:
    fields: {title: {type: text}}
    access:
      read: |
        title == "a" &&
          titel == "b"
      create: >-
        title == "a"
        || titel == "b"
      update: title == "a" ||
        titel == "b"
      delete: 'title == ''a'' || titel == "b"'
`, `plinth.yaml:7:11: the name titel does not exist (did you mean "title"?)
plinth.yaml:10:12: the name titel does not exist (did you mean "title"?)
plinth.yaml:12:9: the name titel does not exist (did you mean "title"?)
plinth.yaml:13:34: the name titel does not exist (did you mean "title"?)`},
	{`collections: {posts: {fields: {title: {type: text}}, access: {read: [true], create: {a: b}, update: , delete: ""}}}
`, `plinth.yaml:1:69: read is an expression, not a list: quote it
plinth.yaml:1:85: create is an expression, not a map: quote it
plinth.yaml:1:101: update is empty: give it a value or remove it
plinth.yaml:1:111: delete is empty: give it an expression or remove it`},
	{`collections:
  posts:
    access:
      read: !auth.signedIn
`, `plinth.yaml:4:13: YAML reads what begins with ! as a tag: quote it`},
	{`collections:
  posts:
    access: {read: !auth.signedIn, create: true}
`, `plinth.yaml:3:20: YAML reads what begins with ! as a tag: quote it`},
	{`collections:
  posts:
    access:
      read: !auth.has("staff") && true
      create: "a" == "b"
      update: *all
      delete: [1][0] == 1
`, `plinth.yaml:4:13: YAML has its own use for a leading !: quote it
plinth.yaml:5:15: YAML ends this expression at the second ": quote the whole of it
plinth.yaml:6:15: YAML has its own use for a leading *: quote it
plinth.yaml:7:15: YAML has its own use for a leading [: quote it`},
	{`auth: {roles: [staff]}
collections:
  posts:
    fields: {status: {type: text}}
    access: {read: status in ["a", "b"], create: auth.has("staff")}
`, `plinth.yaml:5:20: YAML has its own use for [ inside { }: quote this expression`},
	{`auth: {roles: [staff]}
collections:
  posts:
    fields: {status: {type: text}, tags: {type: list, of: text}}
    access: {read: tags.exists(t, t == status), create: true}
`, `plinth.yaml:5:20: YAML cuts this value at the comma: quote it`},
	{`collections:
  posts:
    fields: {status: {type: text}}
    access:
      read: status == "a #b"
      create: status == "a" # a comment
`, `plinth.yaml:5:13: YAML ends this expression at the #: quote it`},
	{`collections:
  posts:
    fields: {status: {type: text}}
    access: {read: status == "a" # || status == "b"
      , create: true}
`, `plinth.yaml:4:20: YAML ends this expression at the #: quote it`},
	{`collections:
  posts:
    fields: {status: {type: text}}
    access: {read: status == "a #b", create: true}
`, `plinth.yaml:4:20: YAML ends this expression at the #: quote it`},
	{`collections:
  posts:
    fields: {status: {type: text}}
    access:
      read: status == "a" ? true : false
`, `plinth.yaml:5:13: YAML takes the colon in this expression for its own: quote it`},
	{`collections:
  posts:
    fields: {a: {type: int}}
    validate:
      - {rule: a > 1, message: one, two}
`, `plinth.yaml:5:32: YAML cuts this value at the comma: quote it`},
	{`collections: {posts: {fields: {a: {type: int, max: !!int 3}}}}
`, `plinth.yaml:1:52: YAML reads what begins with ! as a tag: quote it`},
	{`collections: {posts: &p {fields: {a: {type: int}}}, notes: {<<: *p}}
`, `plinth.yaml:1:61: << is not understood here: give the whole value by its alias, or write it out`},
	{`name: ${MISSING}
mail: {smtp: "x${NEVER_SET:-}", from: a@b.c}
`, `plinth.yaml:1:7: the environment variable MISSING is not set
plinth.yaml:2:14: smtp is an address like smtp://user:password@host:587 or smtps://host`},
	{`name: "a ${MISSING} b"
server: {url: "${", limits: {body: "${GOOGLE_SECRET}"}}
`, `plinth.yaml:1:10: the environment variable MISSING is not set
plinth.yaml:2:16: ${ is not closed: write ${NAME}, or $${ for the characters themselves
plinth.yaml:2:36: body is a size like 500KB or 1MB, not the value of ${GOOGLE_SECRET}`},
	{`server: {spa: "${GOOGLE_SECRET}", trustedProxies: ["${GOOGLE_SECRET}"], operator: {listen: "${GOOGLE_SECRET}"}}
collections: {"${GOOGLE_SECRET}": {}, b: {fields: {"${GOOGLE_SECRET}": {type: "${GOOGLE_SECRET}"}}, access: {read: "x == '${GOOGLE_SECRET}'"}}}
`, `plinth.yaml:1:15: spa is true or false, not the value of ${GOOGLE_SECRET}
plinth.yaml:1:52: the value of ${GOOGLE_SECRET} is not an address or a range like 10.0.0.0/8
plinth.yaml:1:92: listen is an address like 127.0.0.1:9090 or :443, not the value of ${GOOGLE_SECRET}
plinth.yaml:2:15: "${GOOGLE_SECRET}" is not a name for a collection: lower-case letters, digits and _, a letter first, at most 40
plinth.yaml:2:52: "${GOOGLE_SECRET}" is not a name for a field: lower-case letters, digits and _, a letter first, at most 40
plinth.yaml:2:116: with the value of ${GOOGLE_SECRET}, this expression is not valid`},
	{`auth: {roles: [], register: opne, verify: yes, expose: [emial], password: {minLength: 7}}
`, `plinth.yaml:1:15: roles is empty: there is at least one
plinth.yaml:1:29: register is one of open invite closed, not "opne" (did you mean "open"?)
plinth.yaml:1:43: verify is one of required optional, not "yes"
plinth.yaml:1:57: "emial" is not one of email verified role (did you mean "email"?)
plinth.yaml:1:87: minLength is from 8 to 64`},
	{`auth: {roles: [member, operator]}
`, `plinth.yaml:1:24: "operator" is no role of an app: an operator passes every rule; give the role another name`},
	{`auth: {roles: [staff, Staff, staff], collection: auth}
`, `plinth.yaml:1:23: "Staff" is not a name for a role: lower-case letters, digits and _, a letter first, at most 40 (did you mean "staff"?)
plinth.yaml:1:30: the role "staff" stands twice
plinth.yaml:1:50: "auth" is reserved: give a collection another name`},
	{`auth: {roles: [member, staff], mfa: {required: [staf, member]}, passkeys: {domain: other.com, origins: ["http://example.com", "https://www.example.com", "https://example.com.evil.com", "https://app.example.com/x", "https://x.app.example.com"]}}
server: {url: "https://app.example.com"}
collections: {users: {fields: {mfa: {type: bool}}, access: {read: auth.mfaa}}}
`, `plinth.yaml:1:49: "staf" is not one of the roles: member staff (did you mean "staff"?)
plinth.yaml:1:84: "other.com" is neither the host of server.url (app.example.com) nor a domain above it
plinth.yaml:1:105: "http://example.com" is not an origin like https://www.example.com
plinth.yaml:1:127: "https://www.example.com" is not within app.example.com: browsers let no page of it use these passkeys
plinth.yaml:1:154: "https://example.com.evil.com" is not within app.example.com: browsers let no page of it use these passkeys
plinth.yaml:1:186: "https://app.example.com/x" is not an origin like https://www.example.com
plinth.yaml:3:32: auth.mfa is whether somebody signed in with a second factor: give the field another name
plinth.yaml:3:72: the name auth.mfaa does not exist (did you mean "mfa"?)`},
	{`auth: {mfa: {}, passkeys: {domain: example.com, origins: ["https://example.com"]}}
server: {url: "http://127.0.0.1:8080"}
`, `plinth.yaml:1:13: required is missing in mfa
plinth.yaml:1:36: domain is the host of server.url or a domain above it, and server.url has none: write server: {url: https://app.example.com}
plinth.yaml:1:59: nothing says which domain passkeys belong to: write server: {url: https://app.example.com}`},
	{`auth: {providers: {google: {clientId: a, clientSecret: "${EMPTY}", issuer: "https://x.y"}, okta: {clientId: a, clientSecret: b}, company: {kind: oidc, clientId: a, clientSecret: b}, other: {kind: oidc, issuer: "http://x.y", clientId: a}}}
`, `plinth.yaml:1:56: clientSecret is empty
plinth.yaml:1:76: issuer is for kind: oidc; that of google is known
plinth.yaml:1:92: kind is missing: "okta" is not a provider that Plinth knows; write kind: oidc and its issuer
plinth.yaml:1:130: issuer is missing: the provider's https address
plinth.yaml:1:190: clientSecret is missing in a provider
plinth.yaml:1:211: issuer is an https address, not "http://x.y"`},
	{`auth:
  roles: [member, staff]
  providers:
    apple: {clientId: a, clientSecret: b, keyId: k, key: "no key"}
    microsoft: {clientId: a, clientSecret: b, tenant: "a/b", issuer: "https://x.y"}
    github: {clientId: a, clientSecret: b, team: x, scopes: ["a b", read:user]}
    gitlab: {clientId: a, clientSecret: b, issuer: "http://x.y"}
    token: {kind: github, clientId: a, clientSecret: b}
    oidc: {clientId: a, clientSecret: b}
  profile: {name: nmae, rank: name, photo: picture}
  trust:
    - {issuer: "https://x.y", audience: a, role: stfaf}
    - {issuer: "https://x.y", audience: "", type: at}
    - {audience: a, roleClaim: ""}
collections: {users: {fields: {name: {type: text}, rank: {type: int}}}}
`, `plinth.yaml:4:5: team is missing: Apple takes no clientSecret, but a signature with a key of the team
plinth.yaml:4:40: clientSecret is not for apple: it is made of team, keyId and key
plinth.yaml:4:58: key is not the text of a .p8 file: there is no PEM block in it, as -----BEGIN PRIVATE KEY-----
plinth.yaml:5:55: tenant is common, organizations, consumers, or the id or domain of one tenant, not "a/b"
plinth.yaml:5:70: issuer is for kind: oidc; that of microsoft is known
plinth.yaml:6:50: team is for apple
plinth.yaml:6:62: a scope is one word, not "a b"
plinth.yaml:7:52: issuer is an https address, not "http://x.y"
plinth.yaml:8:5: "token" is reserved: give a provider another name
plinth.yaml:9:5: kind is missing: "oidc" is not a provider that Plinth knows; write kind: oidc and its issuer
plinth.yaml:10:19: "nmae" is not one of name given_name family_name nickname preferred_username picture website locale zoneinfo (did you mean "name"?)
plinth.yaml:10:25: "rank" cannot take what a provider says: it is a text or url that can be written
plinth.yaml:10:37: users has no field "photo"
plinth.yaml:12:50: the role "stfaf" does not exist (did you mean "staff"?)
plinth.yaml:13:16: the issuer "https://x.y" stands twice
plinth.yaml:13:41: audience is empty
plinth.yaml:13:51: type is one of at+jwt jwt, not "at"
plinth.yaml:14:7: issuer is missing in a trusted issuer
plinth.yaml:14:32: roleClaim is empty`},
	{`auth: {providers: {company: {kind: oidc, issuer: "https://x.y", clientId: a, clientSecret: b}}, trust: [{issuer: "https://x.y", audience: a, type: jwt}]}
`, `plinth.yaml:1:139: the ID tokens of a provider have this audience: with type: jwt they would be taken for access tokens; give the app an audience of its own`},
	{`auth: {roles: [member, staff], invite: auth.has("admin") && rol == "member", anonymous: true, anonymousFor: 10m}
collections: {users: {fields: {email: {type: email, unique: true, ci: true, required: true}, disabled: {type: time}, anonymous: {type: text}}}}
`, `plinth.yaml:1:40: auth.invite says who may invite, and register is closed: write register: invite, or open
plinth.yaml:1:49: the role admin does not exist
plinth.yaml:1:109: anonymousFor is at least 1h
plinth.yaml:2:32: an anonymous user has no email, and it is required here: remove required, or auth.anonymous
plinth.yaml:2:94: the field disabled of users has type bool: change it, or remove it and Plinth makes it
plinth.yaml:2:118: the field anonymous of users has type bool: change it, or remove it and Plinth makes it`},
	{`auth: {register: invite, invite: auth.has("user") && rol == "user", anonymousFor: 24h}
`, `plinth.yaml:1:54: the name rol does not exist (did you mean "role"?)
plinth.yaml:1:83: anonymousFor says how long anonymous users are kept, and there are none: write anonymous: true`},
	{`auth: {roles: [user]}
collections: {users: {fields: {email: {type: text}, role: {type: enum, values: [a]}, password: {type: text}, verified: {type: bool}}}}
`, `plinth.yaml:2:32: the field email of users has type email: change it, or remove it and Plinth makes it
plinth.yaml:2:32: people sign in by email: it is unique: true, ci: true and not encrypted
plinth.yaml:2:53: the role "user" is missing among the values of role: add it, or remove the field and Plinth makes it
plinth.yaml:2:86: password is kept by Plinth itself, out of reach: remove the field`},
	{`auth: {roles: [user]}
collections: {users: {fields: {email: {type: email, unique: true}}}}
`, `plinth.yaml:2:32: people sign in by email: it is unique: true, ci: true and not encrypted`},
	{`auth: {roles: [member, staff]}
collections: {users: {fields: {email: {type: email, unique: true, ci: true, write: id == auth.id},
  verified: {type: bool, default: true, write: "false"}, role: {type: enum, values: [member, staff], write: auth.signedIn}}, access: {update: id == auth.id}}}
`, `plinth.yaml:2:32: email is changed under /api/auth/, and by operators: remove write and set
plinth.yaml:3:3: verified is changed under /api/auth/, and by operators: remove write and set
plinth.yaml:3:3: nobody has proven his address when he becomes a user: remove default
plinth.yaml:3:58: role is changed by operators, and by whom auth.roleBy lets: remove write and set, and write auth: {roleBy: …}`},
	{`auth: {roles: [user], roleBy: auth.has("admin")}
collections:
  users: {fields: {team: {type: text}, boss: {type: text, write: 'auth.has("user")'}}}
  posts:
    fields: {team: {type: text}}
    access: {read: team == auth.team, create: auth.boss == "x", update: auth.tema == "x"}
`, `plinth.yaml:1:40: the role admin does not exist
plinth.yaml:6:33: auth.team is asked here, so the field team of users must carry a write rule: else users set it themselves
plinth.yaml:6:78: the name auth.tema does not exist (did you mean "team"?)`},
	{`server: {url: app.example.com, domains: ["http://x"], http: "80", https: "localhost:https", cors: {origins: ["*", "https://a.b/"], credentials: true}}
`, `plinth.yaml:1:15: url is an address like https://app.example.com, not "app.example.com"
plinth.yaml:1:42: "http://x" is not a domain like app.example.com
plinth.yaml:1:61: http is an address like 127.0.0.1:9090 or :443, not "80"
plinth.yaml:1:74: https is an address like 127.0.0.1:9090 or :443, not "localhost:https"
plinth.yaml:1:110: * does not go with credentials: name the origins
plinth.yaml:1:115: "https://a.b/" is not an origin like https://app.example.com: as browsers write it, without a path, a pattern and the port that is the scheme's own`},
	{`server: {url: "https://a.b:99999", domains: [a.b, A.b], https: ":80", operator: {listen: ":80"}, cors: {origins: ["https://*.a.b", "https://a.b:443", "http://a.b:0"]}}
`, `plinth.yaml:1:15: url is an address like https://app.example.com, not "https://a.b:99999"
plinth.yaml:1:51: "A.b" is there already
plinth.yaml:1:64: :80 is the address of http already: give each one of its own
plinth.yaml:1:81: :80 is the address of http already: give each one of its own
plinth.yaml:1:81: :80 is the address of https already: give each one of its own
plinth.yaml:1:115: "https://*.a.b" is not an origin like https://app.example.com: as browsers write it, without a path, a pattern and the port that is the scheme's own
plinth.yaml:1:132: "https://a.b:443" is not an origin like https://app.example.com: as browsers write it, without a path, a pattern and the port that is the scheme's own
plinth.yaml:1:151: "http://a.b:0" is not an origin like https://app.example.com: as browsers write it, without a path, a pattern and the port that is the scheme's own`},
	{`server: {domains: []}
`, `plinth.yaml:1:19: domains is empty: name one, or remove it`},
	{`server: {limits: {body: 1XB, header: 10, timeout: 30, requests: fast}, trustedProxies: [10.0.0.0/33], operator: {}, tls: {cert: ../c.pem}}
`, `plinth.yaml:1:25: body is a size like 500KB or 1MB, not "1XB"
plinth.yaml:1:38: header is from 1KB to 1MB
plinth.yaml:1:51: timeout is a time like 30s or 5m, not "30"
plinth.yaml:1:65: requests is a rate like 100/s, not "fast"
plinth.yaml:1:89: "10.0.0.0/33" is not an address or a range like 10.0.0.0/8
plinth.yaml:1:113: listen is missing in operator
plinth.yaml:1:122: key is missing in tls
plinth.yaml:1:129: cert is a file in the folder, or an absolute path, not "../c.pem"`},
	{`server: {limits: {body: "255", timeout: 1us, requests: 5/1ms}}
`, `plinth.yaml:1:25: body is from 256 to 1GB
plinth.yaml:1:41: timeout is from 100ms to 7d
plinth.yaml:1:56: requests is up to 1000000 in a time from 1s to 1d`},
	{`server: {limits: {body: 2GB, timeout: 8d, requests: 1000001/s}}
`, `plinth.yaml:1:25: body is from 256 to 1GB
plinth.yaml:1:39: timeout is from 100ms to 7d
plinth.yaml:1:53: requests is up to 1000000 in a time from 1s to 1d`},
	{`server: {domains: [a.b], tls: {cert: a, key: b}}
`, `plinth.yaml:1:31: tls does not go with domains: a certificate of one's own, or certificates by ACME`},
	{`server: {acme: {issuer: "http://a.b", email: x}, https: ":443"}
`, `plinth.yaml:1:16: acme is for domains: add domains: [app.example.com]
plinth.yaml:1:25: issuer is an https address, not "http://a.b"
plinth.yaml:1:46: email is an e-mail address, not "x"
plinth.yaml:1:57: https needs a certificate: add domains or tls`},
	{`server: {http3: true}
`, `plinth.yaml:1:17: http3 needs a certificate: add domains or tls`},
	{`server: {domains: [a.b], acme: {account: {id: "", key: "no base64!"}, fallback: {roots: ../x, account: {key: x}}}}
`, `plinth.yaml:1:47: id is empty
plinth.yaml:1:56: key is in base64url, as issuers give it
plinth.yaml:1:81: issuer is missing in fallback
plinth.yaml:1:89: roots is a file in the folder, or an absolute path, not "../x"
plinth.yaml:1:104: id is missing in account
plinth.yaml:1:110: key is in base64url, as issuers give it`},
	{`mail: {from: nobody, smtp: "http://x"}
`, `plinth.yaml:1:14: from is a sender like Agency <hello@example.com>, not "nobody"
plinth.yaml:1:28: smtp is an address like smtp://user:password@host:587 or smtps://host`},
	{`mail: {smtp: "smtp://user:sec#ret@host", from: a@b.c}
`, `plinth.yaml:1:14: smtp is an address like smtp://user:password@host:587 or smtps://host; in a user and a password @ : / ? # and % are written %40 %3A %2F %3F %23 and %25`},
	{`mail: {smtp: "smtp://user:secret@host/x", from: a@b.c}
`, `plinth.yaml:1:14: smtp is an address like smtp://user:password@host:587 or smtps://host`},
	{`mail: {smtp: "smtp://user@host", from: a@b.c}
`, `plinth.yaml:1:14: smtp is an address like smtp://user:password@host:587 or smtps://host: a user has a password`},
	{`mail: {smtp: "smtp://host?tls=no", from: a@b.c}
`, `plinth.yaml:1:14: behind the ? of smtp stands tls=offered, tls=required or tls=never`},
	{`mail: {smtp: "smtps://host?tls=required", from: a@b.c}
`, `plinth.yaml:1:14: tls does not go with smtps, which is TLS from the first byte`},
	{`mail: {smtp: "smtp://user:secret@host"}
`, `plinth.yaml:1:14: from is missing: whom mails are from`},
	{`files: {store: s3}
`, `plinth.yaml:1:16: s3 is missing: {endpoint, bucket, key, secret}`},
	{`files: {store: disk, s3: {endpoint: x, bucket: b, key: k}}
`, `plinth.yaml:1:16: store: disk does not go with s3: remove one of the two
plinth.yaml:1:26: secret is missing in s3
plinth.yaml:1:37: endpoint is an http or https address, not "x"`},
	{`files: {store: dsk}
`, `plinth.yaml:1:16: store is one of disk s3, not "dsk" (did you mean "disk"?)`},
	{`jobs: {}
webhooks: {}
`, `plinth.yaml:1:1: unknown key "jobs" in the app file
plinth.yaml:2:1: unknown key "webhooks" in the app file`},
	{`collections: [a]
`, `plinth.yaml:1:14: collections is a map, not a list`},
	{`collections: {posts: {fields: [a], indexes: {a: b}, access: true}}
`, `plinth.yaml:1:31: fields is a map, not a list
plinth.yaml:1:45: indexes is a list, not a map
plinth.yaml:1:61: access is a map, not "true"`},
	{`include: [../other.yaml, nothing.yaml, "[", /etc/passwd]
`, `plinth.yaml:1:11: "../other.yaml" does not stay inside the folder: an include is relative to it
plinth.yaml:1:26: "nothing.yaml" finds no file
plinth.yaml:1:40: "[" is not a pattern for files
plinth.yaml:1:45: "/etc/passwd" does not stay inside the folder: an include is relative to it`},
	{`collections: {posts: {fields: {a: {type: json, default: {a: 0x1F}}, b: {type: list, of: int, default: [1, x]}, c: {type: ref, to: posts, default: x}}}}
`, `plinth.yaml:1:61: "0x1F" is not a number as JSON writes it: quote it if it is a text
plinth.yaml:1:107: default is a whole number within ±(2^53−1), not "x"
plinth.yaml:1:147: default is an id, not "x"`},
	{`collections: {posts: {fields: {a: {type: text, default: "a\0b"}}}}
`, `plinth.yaml:1:57: the character U+0000 stands in this value`},
	{`collections: {posts: {fields: {a: {type: text, init: "1"}, b: {type: int, init: slug(a)}, c: {type: ref, to: posts, init: auth.idd}}}}
`, `plinth.yaml:1:55: a text is needed here, not a whole number
plinth.yaml:1:85: the answer is a text, the field is an int
plinth.yaml:1:128: the name auth.idd does not exist (did you mean "id"?)`},
	{`collections: {posts: {fields: {a: {type: int, min: 9007199254740992}, b: {type: bigint, max: 9223372036854775808}, c: {type: float, max: .inf}, d: {type: int, default: 1.5}}}}
`, `plinth.yaml:1:52: min is a whole number within ±(2^53−1), not "9007199254740992"
plinth.yaml:1:94: max is a whole number of 64 bits, not "9223372036854775808"
plinth.yaml:1:138: max is a number, not ".inf"
plinth.yaml:1:169: default is a whole number within ±(2^53−1), not "1.5"`},
	{`collections: {posts: {fields: {a: {type: text, label: {x: y}, max: }}}}
`, `plinth.yaml:1:55: label is a text, not a map
plinth.yaml:1:68: max is a whole number from 1 to 1073741824, not nothing`},
	{`spa: true
auth: {roleBy: }
`, `plinth.yaml:2:16: roleBy is empty: give it a value or remove it`},
	{`collections: {posts: {fields: {t: {type: text}}, access: {read: 'a	b', create: "t == \u0022x\u0022 && ttt"}}}
`, `plinth.yaml:1:68: unexpected token after expression
plinth.yaml:1:103: the name ttt does not exist (did you mean "t"?)`},
	{`collections:
  posts:
    fields: {t: {type: text}, "${GOOGLE_SECRET}": {type: int}}
    access:
      read: t == "é" && tt == "x"
      create: "t == \"é\" &&
        tt == \"x\""
`, `plinth.yaml:3:31: "${GOOGLE_SECRET}" is not a name for a field: lower-case letters, digits and _, a letter first, at most 40
plinth.yaml:5:25: the name tt does not exist (did you mean "t"?)
plinth.yaml:7:9: the name tt does not exist (did you mean "t"?)`},
	{`collections:
  posts:
    fields: {t: {type: text}}
    access: {
      read: true,   # everyone
      create: t == "a"   # or not
    }
`, `plinth.yaml:6:15: YAML ends this expression at the #: quote it`},
	{`collections: {posts: {fields: {t: {type: text, read: t.size() > 5 || , write: (t == "a"}}}}
`, `plinth.yaml:1:69: the expression ends too early
plinth.yaml:1:88: expected ')'`},
	{`auth: {roles: [a], colection: users, roles: [b]}
`, `plinth.yaml:1:20: unknown key "colection" in auth (did you mean "collection"?)
plinth.yaml:1:38: the key "roles" is there already, on line 1`},
	{`collections:
  posts:
    fields:
      title: {type: text, max: 10
      body: {type: text}
`, `plinth.yaml:4:14: this { is not closed: a }, or a comma between two values, is missing`},
	{`collections:
	posts: {}
`, `plinth.yaml:2:1: a tab stands here: YAML is indented with spaces`},
	{`collections: {posts: {fields: {t: {type: text, default: a, b}}}}
`, `plinth.yaml:1:57: YAML cuts this value at the comma: quote it`},
	{`collections: {posts: {fields: {[a]: {type: text}}}}
`, `plinth.yaml:1:32: a key is a word, not a list`},
	{`collections: {posts: {fields: {t: {type: text}}, access: {read: null, create: ~}}}
`, `plinth.yaml:1:65: read is empty: give it a value or remove it
plinth.yaml:1:79: create is empty: give it a value or remove it`},
	{`collections: {posts: {fields: {f: {type: float, default: 1e400}, d: {type: decimal, default: 1e3}, i: {type: int, default: 1_000}}}}
`, `plinth.yaml:1:58: default is a number, not "1e400"
plinth.yaml:1:94: default is a decimal with at most 18 digits, 0 digits behind the point, not "1e3"
plinth.yaml:1:124: default is a whole number within ±(2^53−1), not "1_000"`},
	{`collections:
  posts:
    fields: {t: {type: text}}
    access: {
      read: t in ["a"],
      create: true,
    }
`, `plinth.yaml:5:13: YAML has its own use for [ inside { }: quote this expression`},
	{`collections: {posts: {fields: {a: {type: enum, values: x}, b: {type: enum, values: [[a], "", c: C]}, c: {type: enum, values: {d: [e]}}}}}
`, `plinth.yaml:1:56: values is a list or a map of value: label, not "x"
plinth.yaml:1:85: a value is a text, or value: label
plinth.yaml:1:90: a value is not empty
plinth.yaml:1:127: a value is a text, or value: label`},
	{`collections:
  posts:
    fields: {a: {type: enum, values: [x: X, y]}, secret: {type: text, hidden: true}}
    label: secret
    access:
      read: 'a' == "b"
      create: "it is \"a\"" # fine
      update: 'it''s' == a
      write: > 3
      delete: %a
`, `plinth.yaml:6:13: YAML ends this expression at the second ': quote the whole of it
plinth.yaml:8:15: YAML ends this expression at the second ': quote the whole of it
plinth.yaml:9:14: YAML has its own use for a leading >: quote it
plinth.yaml:10:15: YAML has its own use for a leading %: quote it`},
	{`channels: {room: {read: true}, typing: {write: 'false'}, Hall: {read: true, write: true}, list: , cafe: {read: true, write: true, presense: true}}
`, `plinth.yaml:1:18: write is missing in a channel: who may send? write write: auth.signedIn, or 'false' for operators only
plinth.yaml:1:40: read is missing in a channel: who may listen? write read: auth.signedIn, or true for everyone
plinth.yaml:1:58: "Hall" is not a name for a channel: lower-case letters, digits and _, a letter first, at most 40 (did you mean "hall"?)
plinth.yaml:1:97: a channel is empty: give it a value or remove it
plinth.yaml:1:131: unknown key "presense" in a channel (did you mean "presence"?)`},
	{`collections: {rooms: {fields: {name: {type: text}}}}
channels:
  a: {to: room, read: true, write: true}
  b: {to: rooms, read: key.nam == "x", write: kay == null}
  c: {read: key.name == "x", write: input.x == 1}
  d: {read: ye == key, write: auth.team == key}
`, `plinth.yaml:3:11: there is no collection "room" (did you mean "rooms"?)
plinth.yaml:4:28: the name nam does not exist (did you mean "name"?)
plinth.yaml:4:47: the name kay does not exist (did you mean "key"?)
plinth.yaml:5:13: key is a text and has no fields
plinth.yaml:5:37: input is known in update rules only
plinth.yaml:6:13: the name ye does not exist
plinth.yaml:6:36: the name auth.team does not exist`},
	{`include: 5.yaml
collections: {a: {was: a}, b: {fields: {c: {type: text, label: }}}}
`, `plinth.yaml:1:10: "5.yaml" finds no file
plinth.yaml:2:24: was: a is still there: remove one of the two
plinth.yaml:2:64: label is empty: give it a value or remove it`},
	{`collections: {posts: {fields: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {type: text}}}}
`, `plinth.yaml:1:32: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…" is not a name for a field: lower-case letters, digits and _, a letter first, at most 40`},
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		_, err := load(m.file)
		if err == nil {
			t.Errorf("loads:\n%s", m.file)
			continue
		}
		if d := cmp.Diff(m.want, err.Error()); d != "" {
			t.Errorf("%s\n%s", m.file, d)
		}
		var p *Problems
		if !errors.As(err, &p) || len(p.List) == 0 || p.List[0].Code == "" {
			t.Errorf("%s\nis not *Problems with codes: %#v", m.file, err)
		}
	}
}
