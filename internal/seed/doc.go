// Package seed loads records from files into an app: the few that an app begins with, or the tables of
// real data that it is about. The files of the folder seed are read in the order of their names.
//
// YAML, or JSON with an object, names its collection and lists records:
//
//	collection: cases
//	by: slug                                   # a unique field: a record with this slug is updated
//	records:
//	  - {slug: clinic, title: The rota, service: {by: slug, value: care}}
//
// A reference names a record by one of its unique fields. Records of a file may refer to each other in
// any order.
//
// A source is a JSON file that was made for something else. path leads to the list in it; map says what
// makes which field: a key, text with {key} and {key before X} in it, or a value; of a list of
// them the first that is complete (of a reference: that leads somewhere) counts:
//
//	collection: subdivisions
//	by: code
//	source: /usr/share/iso-codes/json/iso_3166-2.json
//	path: "3166-2"
//	map:
//	  code: code
//	  country: {from: "{code before -}", ref: {by: alpha2}}
//	  parent: {from: ["{parent}", "{code before -}-{parent}"], ref: {by: code}}
//	  origin: {value: iso}
//
// A JSON array, NDJSON and CSV take the name of the file as the collection (a number before it, as in
// 2-posts.csv, only orders). They find records again by their id, or by the first unique field
// that all of them have, or need; without one they are loaded only into a collection that is empty. The first line
// of CSV names the fields; a column author.email refers to the author with that email; an empty cell is
// absent; a list is items between semicolons or a JSON array, also of keys: editors.email.
package seed
