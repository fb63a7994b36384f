package spec

import (
	"encoding/json"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// A snapshot is what of an app the database has to know: collections, fields, indexes. It is kept
// in the database when an app has been applied, and compared with the next one.

const snapshotVersion = 1

type snapshot struct {
	Version     int                  `json:"version"`
	Collections []snapshotCollection `json:"collections"`
}

type snapshotCollection struct {
	Name    string          `json:"name"`
	Was     string          `json:"was,omitempty"`
	System  bool            `json:"system,omitempty"`
	Users   bool            `json:"users,omitempty"`
	Fields  []snapshotField `json:"fields"` // in the order of their ordinals, all of them
	Indexes []snapshotIndex `json:"indexes,omitempty"`
}

type snapshotField struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Of         string   `json:"of,omitempty"`
	Companion  string   `json:"companion,omitempty"`
	For        string   `json:"for,omitempty"` // the field a fold or key belongs to, or the index
	Was        string   `json:"was,omitempty"`
	To         string   `json:"to,omitempty"`
	OnDelete   string   `json:"onDelete,omitempty"`
	Inverse    string   `json:"inverse,omitempty"`
	Required   bool     `json:"required,omitempty"`
	Unique     bool     `json:"unique,omitempty"`
	CI         bool     `json:"ci,omitempty"`
	Encrypted  bool     `json:"encrypted,omitempty"`
	Searchable bool     `json:"searchable,omitempty"`
	Personal   bool     `json:"personal,omitempty"`
	Fixed      bool     `json:"fixed,omitempty"`
	Hidden     bool     `json:"hidden,omitempty"`
	Made       bool     `json:"made,omitempty"`
	MinLen     int      `json:"minLen,omitempty"`
	MaxLen     int      `json:"maxLen,omitempty"`
	ItemMax    int      `json:"itemMax,omitempty"`
	Precision  int      `json:"precision,omitempty"`
	Scale      int      `json:"scale,omitempty"`
	MaxFiles   int      `json:"maxFiles,omitempty"`
	Values     []string `json:"values,omitempty"`
}

type snapshotIndex struct {
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
	Unique bool     `json:"unique,omitempty"`
	Where  string   `json:"where,omitempty"`
	Key    string   `json:"key,omitempty"`
}

var companionNames = [...]string{Own: "", Fold: "fold", Key: "key", Partial: "partial"}

// Snapshot is the canonical text of what the database has to know of an app. Equal apps have
// equal texts; rules, labels and limits that only Plinth enforces do not show.
func Snapshot(app *App) []byte {
	s := snapshot{Version: snapshotVersion, Collections: []snapshotCollection{}}
	for _, c := range app.Collections {
		out := snapshotCollection{Name: c.Name, Was: c.Was, System: c.System, Users: c.Users}
		for _, f := range c.Fields {
			out.Fields = append(out.Fields, f.snapshot())
		}
		for _, i := range c.Indexes {
			x := snapshotIndex{Name: i.Name, Unique: i.Unique}
			for _, f := range i.Fields {
				x.Fields = append(x.Fields, f.Name)
			}
			if i.Where != nil {
				x.Where = i.Where.Source
			}
			if i.Key != nil {
				x.Key = i.Key.Name
			}
			out.Indexes = append(out.Indexes, x)
		}
		s.Collections = append(s.Collections, out)
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts, numbers and lists only
	}
	return b
}

func (f *Field) snapshot() snapshotField {
	out := snapshotField{
		Name: f.Name, Type: f.Type.String(), Companion: companionNames[f.Companion], Was: f.Was,
		Required: f.Required, Unique: f.Unique, CI: f.CI, Encrypted: f.Encrypted, Searchable: f.Searchable,
		Personal: f.Personal, Fixed: f.Fixed, Hidden: f.Hidden, Made: f.Made, MinLen: f.MinLen, MaxLen: f.MaxLen, ItemMax: f.ItemMax,
		Precision: f.Precision, Scale: f.Scale, MaxFiles: f.MaxFiles, To: f.To, Inverse: f.Inverse,
	}
	if f.Type == List {
		out.Of = f.Elem.String()
	}
	if f.Type == Ref {
		out.OnDelete = f.OnDelete.String()
	}
	if f.Of != nil {
		out.For = f.Of.Name
	}
	if f.Index != nil {
		out.For = f.Index.Name
	}
	for _, v := range f.Values {
		out.Values = append(out.Values, v.Value)
	}
	return out
}

// Restore makes the model of a snapshot: what Snapshot keeps, and nothing else. Conditions of
// indexes have their Source only.
func Restore(b []byte) (*App, error) {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fault.Wrap(fault.Internal, "read the stored model", err)
	}
	if s.Version != snapshotVersion {
		return nil, fault.New(fault.Internal, "the stored model has version %d; this Plinth reads %d", s.Version, snapshotVersion)
	}
	app := &App{byName: map[string]*Collection{}}
	for _, sc := range s.Collections {
		c, err := sc.restore()
		if err != nil {
			return nil, err
		}
		app.Collections = append(app.Collections, c)
		app.byName[c.Name] = c
	}
	for _, c := range app.Collections {
		for _, f := range c.Fields {
			if to, ok := app.byName[f.To]; ok && f.Inverse != "" {
				to.Inverses = append(to.Inverses, &Inverse{Name: f.Inverse, Of: c, Field: f})
			}
		}
	}
	return app, nil
}

func (sc snapshotCollection) restore() (*Collection, error) {
	broken := fault.New(fault.Internal, "the stored model of %s is damaged", sc.Name)
	c := &Collection{Name: sc.Name, Was: sc.Was, System: sc.System, Users: sc.Users, byName: map[string]*Field{}}
	all := map[string]*Field{}
	for _, sf := range sc.Fields {
		f, ok := sf.restore()
		if !ok {
			return nil, broken
		}
		c.add(f)
		all[f.Name] = f
		if f.Companion == Fold || f.Companion == Key {
			of, ok := all[sf.For]
			if !ok {
				return nil, broken
			}
			f.Of = of
			if f.Companion == Fold {
				of.FoldOrd = f.Ord
			} else {
				of.KeyOrd = f.Ord
			}
		}
	}
	for _, si := range sc.Indexes {
		i := &Index{Name: si.Name, Unique: si.Unique}
		for _, name := range si.Fields {
			f, ok := all[name]
			if !ok {
				return nil, broken
			}
			i.Fields = append(i.Fields, f)
		}
		if si.Where != "" {
			i.Where = &expr.Expr{Source: si.Where}
		}
		if si.Key != "" {
			if i.Key = all[si.Key]; i.Key == nil {
				return nil, broken
			}
			i.Key.Index = i
		}
		c.Indexes = append(c.Indexes, i)
	}
	return c, nil
}

func (sf snapshotField) restore() (*Field, bool) {
	t, ok := typeOf(sf.Type)
	f := &Field{
		Name: sf.Name, Type: t, Was: sf.Was, To: sf.To, Inverse: sf.Inverse,
		Required: sf.Required, Unique: sf.Unique, CI: sf.CI, Encrypted: sf.Encrypted, Searchable: sf.Searchable,
		Personal: sf.Personal, Fixed: sf.Fixed, Hidden: sf.Hidden, Made: sf.Made, MinLen: sf.MinLen, MaxLen: sf.MaxLen, ItemMax: sf.ItemMax,
		Precision: sf.Precision, Scale: sf.Scale, MaxFiles: sf.MaxFiles,
	}
	if sf.Of != "" {
		var known bool
		f.Elem, known = typeOf(sf.Of)
		ok = ok && known
	}
	for i, name := range companionNames {
		if name == sf.Companion {
			f.Companion = Companion(i)
		}
	}
	for i, name := range onDeleteNames {
		if name == sf.OnDelete {
			f.OnDelete = OnDelete(i)
		}
	}
	for _, v := range sf.Values {
		f.Values = append(f.Values, EnumValue{Value: v})
	}
	return f, ok
}
