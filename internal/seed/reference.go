package seed

import (
	"context"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// reference is a field that names another record by one of its unique fields.
type reference struct {
	field  *spec.Field
	by     string
	values []string // the first that is there counts
}

// place is a record by a unique field.
type place struct{ collection, by, value string }

// references finds what a value refers to: {by: FIELD, value: V}, or a list that holds such. Another
// value is returned as it is.
func references(f *spec.Field, v *doc.Node) ([]reference, *doc.Node, error) {
	if f.To == "" {
		return nil, v, nil
	}
	if f.Type == spec.Ref {
		if v.Kind != doc.Object {
			return nil, v, nil
		}
		r, err := oneReference(f, v)
		return []reference{r}, nil, err
	}
	if v.Kind != doc.Array {
		return nil, v, nil
	}
	var refs []reference
	for i := range v.Items {
		if v.Items[i].Kind != doc.Object {
			continue
		}
		r, err := oneReference(f, &v.Items[i])
		if err != nil {
			return nil, nil, err
		}
		refs = append(refs, r)
	}
	if len(refs) == 0 {
		return nil, v, nil
	}
	if len(refs) < len(v.Items) {
		return nil, nil, fault.New(fault.Invalid, "%s mixes ids and {by, value}", f.Name)
	}
	return refs, nil, nil
}

func oneReference(f *spec.Field, v *doc.Node) (reference, error) {
	m, err := fields(v, "by", "value")
	if err != nil {
		return reference{}, err
	}
	if m["by"] == nil || m["value"] == nil {
		return reference{}, fault.New(fault.Invalid, "%s refers by {by: FIELD, value: VALUE}", f.Name)
	}
	return reference{f, m.text("by"), []string{m.text("value")}}, nil
}

// link makes references of the ids by which records of the file refer to each other, and puts what is referred
// to first: only a circle is left to be closed when all of them are there.
func (s *set) link() {
	at := map[string]int{}
	for i, r := range s.records {
		if id, ok := r.body.Get("id"); ok && data.ValidID(id.Text) {
			at[id.Text] = i
		}
	}
	if len(at) == 0 || !slices.ContainsFunc(s.of.Fields, func(f *spec.Field) bool { return f.To == s.of.Name }) {
		return
	}
	before := make([][]int, len(s.records)) // by places: what a record refers to
	for i := range s.records {
		r := &s.records[i]
		for _, f := range s.of.Fields {
			if f.To != s.of.Name {
				continue
			}
			ids := idsOf(r.body, f.Name)
			if slices.ContainsFunc(ids, func(id string) bool { _, ok := at[id]; return ok }) {
				r.body = without(r.body, f.Name)
				for _, id := range ids {
					r.refs = append(r.refs, reference{f, "id", []string{id}})
				}
			}
		}
		for _, ref := range r.refs {
			if j, ok := at[ref.values[0]]; ok && ref.by == "id" && ref.field.To == s.of.Name {
				before[i] = append(before[i], j)
			}
		}
	}
	s.order(before)
}

// idsOf are the ids in a field that refers; none when something else is among them.
func idsOf(body *doc.Node, name string) []string {
	v, ok := body.Get(name)
	if !ok {
		return nil
	}
	items := []doc.Node{*v}
	if v.Kind == doc.Array {
		items = v.Items
	}
	var ids []string
	for i := range items {
		if items[i].Kind != doc.String || !data.ValidID(items[i].Text) || slices.Contains(ids, items[i].Text) {
			return nil
		}
		ids = append(ids, items[i].Text)
	}
	return ids
}

// order puts those records before each that it refers to, as far as they go in no circle.
func (s *set) order(before [][]int) {
	ordered := make([]record, 0, len(s.records))
	seen := make([]bool, len(s.records))
	for i := range s.records {
		if seen[i] {
			continue
		}
		seen[i] = true
		for path := []int{i}; len(path) > 0; {
			last := path[len(path)-1]
			if rest := before[last]; len(rest) == 0 {
				ordered = append(ordered, s.records[last])
				path = path[:len(path)-1]
			} else if before[last] = rest[1:]; !seen[rest[0]] {
				seen[rest[0]] = true
				path = append(path, rest[0])
			}
		}
	}
	s.records = ordered
}

// resolve puts the ids of what a record refers to into its body: of what is there, or made before it in the same
// transaction. What is not there yet, and may come later in the same file, is left: it is returned.
func (l *loader) resolve(ctx context.Context, s *set, r *record, made map[string]bool) (later bool, err error) {
	lists := map[*spec.Field][]*doc.Node{}
	open := map[*spec.Field]bool{}
	own, _ := r.body.Get("id")
	for _, ref := range r.refs {
		if first := ref.values[0]; ref.by == "id" && ref.field.To == s.of.Name && (made[first] || own != nil && own.Text == first) {
			lists[ref.field] = append(lists[ref.field], doc.NewString(first))
			continue
		}
		id, err := l.referred(ctx, ref)
		if err != nil {
			return false, err
		}
		if id == "" {
			if ref.field.To != s.of.Name || !s.mayHave(ref) {
				return false, notThere(ref)
			}
			open[ref.field], later = true, true
			continue
		}
		lists[ref.field] = append(lists[ref.field], doc.NewString(id))
	}
	for f := range open {
		if f.Required && f.Type == spec.Ref && own != nil { // until what it refers to is there, itself is
			r.body.Set(f.Name, own)
		}
	}
	for f, ids := range lists {
		switch {
		case open[f]:
		case f.Type == spec.List:
			r.body.Set(f.Name, doc.NewArray(ids...))
		default:
			r.body.Set(f.Name, ids[0])
		}
	}
	return later, nil
}

// mayHave says whether the file may have the record that is referred to: where all of its records tell
// the field, it can be seen.
func (s *set) mayHave(ref reference) bool {
	if s.values[ref.by] == nil {
		seen := map[string]bool{}
		for _, r := range s.records {
			v, ok := r.body.Get(ref.by)
			if !ok {
				return true // init or default may give it
			}
			seen[v.Text] = true
		}
		if s.values == nil {
			s.values = map[string]map[string]bool{}
		}
		s.values[ref.by] = seen
	}
	return slices.ContainsFunc(ref.values, func(value string) bool { return s.values[ref.by][value] })
}

func notThere(ref reference) error {
	return fault.New(fault.Invalid, "%s: there is no record of %s whose %s is %q", ref.field.Name, ref.field.To, ref.by, ref.values[0])
}

// referred finds the id of the record that is referred to; "" when it is not there.
func (l *loader) referred(ctx context.Context, ref reference) (string, error) {
	to, ok := l.db.App().Collection(ref.field.To)
	if !ok {
		return "", fault.New(fault.Invalid, "there is no collection %q", ref.field.To)
	}
	if err := findable(to, ref.by); err != nil {
		return "", err
	}
	for _, value := range ref.values {
		at := place{to.Name, ref.by, value}
		if id, ok := l.ids[at]; ok {
			return id, nil
		}
		id, _, err := l.find(ctx, at)
		if err != nil {
			return "", err
		}
		if id != "" {
			l.ids[at] = id
			return id, nil
		}
	}
	return "", nil
}

// find looks a record up; "" when there is none.
func (l *loader) find(ctx context.Context, at place) (id string, rev int64, err error) {
	t := data.Target{Collection: at.collection, By: at.by, Value: at.value}
	if at.by == "id" {
		t = data.Target{Collection: at.collection, ID: at.value}
	}
	b, rev, err := l.db.Get(ctx, data.System, t, data.View{}, nil)
	if fault.Is(err, fault.NotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	n, err := doc.Parse(b, doc.Limits{})
	if err != nil {
		return "", 0, fault.Wrap(fault.Internal, "read a record", err)
	}
	v, _ := n.Get("id")
	return v.Text, rev, nil
}
