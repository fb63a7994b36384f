package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/spec"
)

// behind is the filter of the rows that come after the one that After names: those that are equal in the first
// keys and later in the next one, as legs of an $or, each of which an index serves. The bound of the first key,
// which all legs share, stands beside them. Null is the smallest: it comes last where the order descends.
func behind(c *spec.Collection, sort []driver.Key, a *driver.After) bson.D {
	name := func(i int) string { return stored(c.Fields[sort[i].Ord].Name) }
	nullable := func(i int) bool { return sort[i].Ord >= spec.OrdFirst }
	equal := func(i int) bson.D {
		if a.Null[i] {
			return field(name(i), nil)
		}
		return field(name(i), after{a.Args[i]})
	}
	legs := bson.A{}
	same := bson.A{}
	leg := func(last bson.D) {
		legs = append(legs, op("$and", append(same[:len(same):len(same)], last)))
	}
	for i, k := range sort {
		switch {
		case a.Null[i] && k.Desc: // nothing is smaller
		case a.Null[i]:
			leg(is(name(i), "$ne", nil))
		case k.Desc:
			leg(is(name(i), "$lt", after{a.Args[i]}))
			if nullable(i) {
				leg(field(name(i), nil))
			}
		default:
			leg(is(name(i), "$gt", after{a.Args[i]}))
		}
		same = append(same, equal(i))
	}
	if len(legs) == 0 {
		return constant(false)
	}
	either := op("$or", legs)
	if len(sort) < 2 || a.Null[0] && !sort[0].Desc {
		return either
	}
	bound := is(name(0), "$gte", after{a.Args[0]})
	switch {
	case a.Null[0]:
		bound = field(name(0), nil)
	case sort[0].Desc && nullable(0):
		bound = op("$or", bson.A{is(name(0), "$lte", after{a.Args[0]}), field(name(0), nil)})
	case sort[0].Desc:
		bound = is(name(0), "$lte", after{a.Args[0]})
	}
	return op("$and", bson.A{bound, either})
}
