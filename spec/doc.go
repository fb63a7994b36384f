// Package spec is the app file: read with positions, checked, and described as a JSON Schema.
//
// It is pure: it reads files of the app's folder and nothing else. What it makes is an *App
// in which every name is resolved and every expression compiled; nothing after it asks
// whether the app makes sense. All that is wrong comes back at once, as *Problems.
//
// Order to read in: model.go (the nouns), keys.go (the one table of keys, which drives both the
// reader and the JSON Schema), load.go (the path), yaml.go (YAML to a tree, the environment),
// check.go (a tree against the table), collection.go, field.go, reference.go, index.go, users.go,
// teams.go, server.go, rule.go (last, when everything has its place). quote.go finds expressions that YAML
// cut or changed, syntax.go says what YAML could not read, synonym.go knows the words of other products,
// source.go the column of a byte inside a scalar.
//
// What docs/app-file.md leaves open is decided so:
//
//   - An included file holds sections of the app file, each of which stands in one file only, and
//     collections, which add up; or, where no key is a section's, a map of collections. It includes
//     nothing itself. A pattern that finds no file is an error.
//   - The environment is put into values, not into keys; $${ is a ${ that stays. ${NAME:-default}
//     stands for the default where NAME is not set or empty. No message shows what came from it.
//   - In access, a rule of its own counts before write.
//   - A unique text without max, and a unique or indexed url, has at most 255 characters; another
//     indexed text must say max: 255 or less. Items of an indexed list of text have at most 255.
//   - encrypted fits text, email and url. An encrypted ci field has no fold, which would show its
//     text: its keyed hash is that of the fold.
//   - A comment right behind an expression without quotes inside { } is an error, unless the
//     expression is true or false.
//   - decimal: precision is 18 and scale 0 when absent. A file has maxSize 10MB when absent.
//   - auth: roles is [user], register is closed, verify is required when absent. Where the app
//     gives email, verified and role no rules of its own, nobody but operators writes them (role:
//     whom roleBy names) and nobody but the user reads them, unless they are exposed.
//   - auth.teams: roles is [member, owner], collection is teams, memberships is memberships when absent. Where the app
//     gives teams no access section they have the rules that docs/identity.md names.
//   - spa stands at the top or in server.
package spec
