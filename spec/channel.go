package spec

import (
	"github.com/bluell/plinth/expr"
)

// Channel is a place for what is not stored: messages, and who is there. Its name, with a key, is one of many that have the
// same rules: room/42.
type Channel struct {
	Name        string
	To          string     // the collection whose ids its keys are; "": a key is any text, or none
	Read, Write *expr.Expr // about key, auth and now. They may not be nil
	Presence    bool       // who reads it is seen by those who do
	Pos         Pos

	key *Field
}

// OrdKey is the ordinal of key in the row that a channel's rules are asked about: it is the only one.
const OrdKey = 0

// Channel finds a channel by name.
func (a *App) Channel(name string) (*Channel, bool) {
	for _, c := range a.Channels {
		if c.Name == name {
			return c, true
		}
	}
	return nil, false
}

// channels reads the channels section, when all collections are there.
func (l *loader) channels() {
	n := l.channeled
	if n == nil || n.kind != object {
		return
	}
	for i, k := range n.keys {
		s := l.section(n.items[i], channelShape)
		if !l.name(k, "a channel", reservedWords...) {
			continue
		}
		c := &Channel{Name: k.text, Presence: s.bool("presence"), Pos: k.pos(), key: &Field{Name: "key", Type: Text, FoldOrd: -1, KeyOrd: -1}}
		if to := s.values["to"]; to != nil {
			if found, ok := l.app.byName[to.text]; !ok || found.System {
				l.suggest(to, l.collectionNames(), "ref", "there is no collection %s", to.show())
				continue // its rules are about something that is not there
			}
			c.To = to.text
			c.key.Type, c.key.To = Ref, c.To
		}
		c.Read, c.Write = l.channelRule(s.values["read"], c), l.channelRule(s.values["write"], c)
		l.app.Channels = append(l.app.Channels, c)
	}
}

// channelRule compiles a rule of a channel. It is only asked in Go.
func (l *loader) channelRule(n *node, c *Channel) *expr.Expr {
	if n == nil {
		return nil
	}
	e, err := expr.Compile(n.text, channelEnv{env{l.app}, c}, c.place(), expr.InWrite)
	return l.compiled(n, &Collection{Name: c.place(), byName: map[string]*Field{"key": c.key}}, e, err)
}

// place is what the channel is called where collections are: no collection has such a name.
func (c *Channel) place() string { return "channel " + c.Name }

// channelEnv is what the rules of a channel can name: key, where others have the fields of a record.
type channelEnv struct {
	env
	c *Channel
}

func (e channelEnv) Member(collection, name string) (expr.Member, bool) {
	if collection != e.c.place() {
		return e.env.Member(collection, name)
	}
	if name != "key" {
		return expr.Member{}, false
	}
	return expr.Member{Name: name, Ord: OrdKey, Type: e.c.key.ExprType(), Fold: -1, Key: -1}, true
}

func (e channelEnv) Members(collection string) []string {
	if collection == e.c.place() {
		return []string{"key"}
	}
	return e.env.Members(collection)
}
