package data

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Collections are what package data keeps for itself, in the words of an app file.
const Collections = `
_answers:
  fields:
    key: {type: text, max: 64, required: true, unique: true}
    body: {type: text, max: 64, required: true}
    answer: {type: text, encrypted: true}
  indexes:
    - [created]
_changes:
  fields:
    collection: {type: text, max: 40, required: true}
    record: {type: text, max: 36, required: true}
    op: {type: enum, values: [create, update, delete], required: true}
    old: {type: text}
    new: {type: text}
_log:
  fields:
    epoch: {type: text, max: 36, required: true}
    model: {type: text, max: 64, required: true}
    floor: {type: int, required: true}
_leases:
  fields:
    name:   {type: text, max: 120, required: true, unique: true}
    holder: {type: text, max: 120, required: true}
    term:   {type: int, required: true}
    until:  {type: time, required: true}
    note:   {type: text, max: 200}
_jobs:
  fields:
    kind:     {type: text, max: 60, required: true}
    state:    {type: enum, values: [held, later, waiting, running, done, dead, cancelled], required: true}
    priority: {type: int, required: true}
    due:      {type: time, required: true}
    attempt:  {type: int, required: true}
    attempts: {type: int, required: true}
    timeout:  {type: int, required: true}
    key:      {type: text, max: 200}
    payload:  {type: text, encrypted: true}
    error:    {type: text, encrypted: true}
    steps:    {type: list, of: text}
    worker:   {type: text, max: 120}
    cancel:   {type: bool}
    batch:    {type: text, max: 36}
    left:     {type: int}
    trace:    {type: text, max: 55}
  indexes:
    - [state, kind, priority]
    - [state, due]
    - {fields: [key], unique: true, where: 'state in ["held", "later", "waiting", "running"]', name: one_key}
_schedules:
  fields:
    name: {type: text, max: 120, required: true, unique: true}
    last: {type: time, required: true}
_processes: {fields: {}}
_messages:
  fields:
    to: {type: text, max: 36, required: true}
    from: {type: text, max: 36, required: true}
    body: {type: text, required: true}
  indexes:
    - [to]
_rates: {fields: {text: {type: text}}}
`

// keepAnswers is how long an Idempotency-Key is remembered.
const keepAnswers = 24 * time.Hour

// answerKey is what an answer is found by: who asked, what, and the key.
func answerKey(by *Caller, i *Idempotency) string {
	h := sha256.New()
	for _, s := range []string{by.Scope, i.Method, i.Path, i.Key} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// replay looks for an answer that was given before, outside of a transaction.
func (db *DB) replay(ctx context.Context, by *Caller, i *Idempotency) (Reply, error) {
	return db.answer(ctx, db.eng, by, i)
}

func (w *work) replay(i *Idempotency) (Reply, error) { return w.db.answer(w.ctx, w.tx, w.by, i) }

// answer finds the answer that was given to this request before; Replayed says whether there is one. The
// same key with another body is refused.
func (db *DB) answer(ctx context.Context, rd driver.Reader, by *Caller, i *Idempotency) (Reply, error) {
	k := db.kinds["_answers"]
	rec, err := k.unique(ctx, rd, "key", answerKey(by, i))
	if err != nil || rec == nil || db.expired(rec) {
		return Reply{}, err
	}
	if err := db.keys.open(k.Collection, rec); err != nil {
		return Reply{}, err
	}
	if subtle.ConstantTimeCompare([]byte(k.text(rec, "body")), []byte(hex.EncodeToString(i.Fingerprint[:]))) == 0 {
		return Reply{}, fault.New(fault.Reused, "this Idempotency-Key was used with another body")
	}
	n, err := doc.Parse([]byte(k.text(rec, "answer")), doc.Limits{Depth: 128})
	if err != nil {
		return Reply{}, fault.Wrap(fault.Internal, "read a kept answer", err)
	}
	number := func(key string) int64 {
		m, ok := n.Get(key)
		if !ok {
			return 0
		}
		return wholeOrZero(m.Text)
	}
	r := Reply{Replayed: true, Status: int(number("status")), Rev: number("rev")}
	if id, ok := n.Get("id"); ok {
		r.ID = id.Text
	}
	if body, ok := n.Get("body"); ok && body.Text != "" {
		r.Body = []byte(body.Text)
	}
	return r, nil
}

// keepAnswer stores an answer with the write that it is about. Where the same request was answered since this one
// looked for an answer, nothing of this one stays: it is run again, and given that answer.
func (w *work) keepAnswer(i *Idempotency, r Reply) error {
	k := w.db.kinds["_answers"]
	key := answerKey(w.by, i)
	if old, err := k.unique(w.ctx, w.tx, "key", key); err != nil {
		return err
	} else if old != nil && !w.db.expired(old) {
		return errAnswered
	} else if old != nil {
		if _, err := w.tx.Delete(k.Collection, []string{old[spec.OrdID].Text()}); err != nil {
			return err
		}
	}
	answer := append([]byte(`{"status":`), strconv.Itoa(r.Status)...)
	answer = append(append(answer, `,"rev":`...), strconv.FormatInt(r.Rev, 10)...)
	answer = doc.AppendString(append(answer, `,"id":`...), r.ID)
	answer = append(doc.AppendText(append(answer, `,"body":`...), r.Body), '}')
	rec := k.fresh(w)
	k.put(rec, "key", expr.TextOf(key))
	k.put(rec, "body", expr.TextOf(hex.EncodeToString(i.Fingerprint[:])))
	k.put(rec, "answer", expr.TextOf(string(answer)))
	if err := w.db.keys.companions(k.Collection, rec); err != nil {
		return err
	}
	if w.held != nil { // what it is about is judged first, and by itself
		if err := w.held.store(); err != nil {
			return err
		}
	}
	err := w.insert(k, rec)
	if err == nil && w.held != nil {
		err = w.held.store()
	}
	if fault.Is(err, fault.Conflict) {
		err = errAnswered
	}
	return err
}

var errAnswered = fault.New(fault.Retry, "the same request was answered meanwhile")

// expired says whether an answer is given no more.
func (db *DB) expired(answer Record) bool {
	return answer[spec.OrdCreated].Int() < db.now().Add(-keepAnswers).UnixMilli()
}

// Sweep removes what has expired. It is called from time to time while the server runs.
func (db *DB) Sweep(ctx context.Context) error {
	return db.SweepOf(ctx, "_answers", "created", db.now().Add(-keepAnswers))
}

// SweepOf removes the records of a collection that Plinth keeps for itself, and to which nothing refers, whose time in a
// field has passed.
func (db *DB) SweepOf(ctx context.Context, collection, field string, before time.Time) error {
	k := db.kinds[collection]
	if k == nil || !k.System || len(k.referrers) > 0 {
		return fault.New(fault.Internal, "%s is not swept", collection)
	}
	for {
		old, _, err := db.Records(ctx, System, &ListQuery{Collection: k.Name, Limit: maxLimit, Fields: "id",
			Filter: field + " < param.before", Params: map[string]*doc.Node{"before": {Kind: doc.String, Text: plain(expr.TimeOf(before.UnixMilli()))}}})
		if err != nil || len(old) == 0 {
			return err
		}
		ids := make([]string, len(old))
		for i, r := range old {
			ids[i] = r[spec.OrdID].Text()
		}
		err = db.commit(ctx, &System, func(w *work) error {
			_, err := w.tx.Delete(k.Collection, ids)
			return err
		})
		if err != nil || len(old) < maxLimit {
			return err
		}
	}
}

// unique reads the whole record whose unique text field has a value; nil when there is none.
func (k *kind) unique(ctx context.Context, rd driver.Reader, field, value string) (rec Record, err error) {
	err = rd.Rows(ctx, k.byUnique[field], []Value{expr.TextOf(value)}, func(cols driver.Columns) error {
		rec = k.copy(cols)
		return nil
	})
	return rec, err
}

// fresh is a new record with its system fields.
func (k *kind) fresh(w *work) Record {
	rec := make(Record, len(k.Fields))
	ms := expr.TimeOf(w.now.UnixMilli())
	rec[spec.OrdID] = expr.TextOf(w.db.ids.next(w.now))
	rec[spec.OrdCreated], rec[spec.OrdUpdated], rec[spec.OrdRev] = ms, ms, expr.IntOf(1)
	return rec
}

func (k *kind) put(rec Record, field string, v Value) {
	f, _ := k.Field(field)
	rec[f.Ord] = v
}

func (k *kind) text(rec Record, field string) string {
	f, _ := k.Field(field)
	return rec[f.Ord].Text()
}
