package main

import (
	"bytes"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/bson"
)

// narrowed is an update with a shorter filter that finds the same. FerretDB 1 has one index, that of _id, and uses it only
// where a filter names nothing else: for any other it reads the whole collection. Where an update names an id and a
// revision the document is asked for by its id, and the revision is compared here; nobody changes it until the update
// is done, for who calls this holds the lock of the collection. Other messages stay as they are.
func narrowed(m []byte, ask func([]byte) ([]byte, error)) ([]byte, error) {
	command, at, update, ok := single(m)
	if !ok {
		return m, nil
	}
	q, ok := update.Lookup("q").DocumentOK()
	if !ok {
		return m, nil
	}
	id, rev := q.Lookup("_id"), q.Lookup("rev")
	named, err := q.Elements()
	upsert, _ := update.Lookup("upsert").BooleanOK()
	if err != nil || len(named) != 2 || id.Type != bson.TypeString || rev.Type != bson.TypeInt64 || upsert {
		return m, nil
	}
	find, err := bson.Marshal(bson.D{{Key: "find", Value: command.Lookup("update")}, {Key: "filter", Value: bson.D{{Key: "_id", Value: id}}},
		{Key: "limit", Value: int64(1)}, {Key: "singleBatch", Value: true}, {Key: "$db", Value: command.Lookup("$db")}})
	if err != nil {
		return nil, err
	}
	answer, err := ask(sized(append(bytes.Clone(m[:bodyAt]), find...)))
	if err != nil {
		return nil, err
	}
	found := bson.Raw(answer[min(bodyAt, len(answer)):])
	if ok, _ := found.Lookup("ok").DoubleOK(); ok != 1 {
		return m, nil
	}
	which := bson.D{{Key: "_id", Value: id}}
	if !found.Lookup("cursor", "firstBatch", "0", "rev").Equal(rev) {
		which[0].Value = id.StringValue() + " of another revision" // which no document has
	}
	elements, err := update.Elements()
	if err != nil {
		return nil, err
	}
	changed := bson.D{}
	for _, e := range elements {
		if e.Key() == "q" {
			changed = append(changed, bson.E{Key: "q", Value: which})
		} else {
			changed = append(changed, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	doc, err := bson.Marshal(changed)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32(bytes.Clone(m[:at]), uint32(4+len(updates)+len(doc)))
	return sized(append(append(out, updates...), doc...)), nil
}

// bodyAt is where the command of an OP_MSG begins, behind the head, the flags and the kind of its section.
const bodyAt = 16 + 4 + 1

// updates is the name of the section that has the updates of a command.
const updates = "updates\x00"

// single reads an OP_MSG that is one update, and where the size of its section of updates stands.
func single(m []byte) (command bson.Raw, at int, update bson.Raw, ok bool) {
	if !bytes.HasPrefix(m[min(16, len(m)):], make([]byte, 5)) || len(m) < bodyAt+4 { // no flags; a command comes first
		return nil, 0, nil, false
	}
	size := int(binary.LittleEndian.Uint32(m[bodyAt:]))
	at = bodyAt + size + 1
	docAt := at + 4 + len(updates)
	if size < 5 || len(m) < docAt+5 {
		return nil, 0, nil, false
	}
	command, update = m[bodyAt:bodyAt+size], m[docAt:]
	ok = m[at-1] == 1 && string(m[at+4:docAt]) == updates && command.Validate() == nil && command.Index(0).Key() == "update" &&
		int(binary.LittleEndian.Uint32(update)) == len(update) && update.Validate() == nil // the one update is the rest
	return command, at, update, ok
}

// sized is a message whose head says how long it is.
func sized(m []byte) []byte {
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	return m
}
