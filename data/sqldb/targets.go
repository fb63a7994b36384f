package sqldb

import (
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Target is what new records refer to in one collection and must be asked for.
type Target struct {
	C   *spec.Collection
	ids []string
	has map[string]bool // the ids
}

// IDs are the ids to ask for, each once.
func (t *Target) IDs() []expr.Value {
	values := make([]expr.Value, len(t.ids))
	for i, id := range t.ids {
		values[i] = expr.TextOf(id)
	}
	return values
}

// Targets collects what records that are inserted in this order refer to. What an earlier one makes is there
// once that is inserted; it is not asked for.
func Targets(all []driver.Insertion) (targets []*Target) {
	type key struct {
		c  *spec.Collection
		id string
	}
	made, within := map[key]bool{}, within(all)
	for _, one := range all {
		for _, r := range one.Refers {
			if within && made[key{r.C, r.ID}] {
				continue
			}
			var to *Target
			for _, t := range targets {
				if t.C == r.C {
					to = t
				}
			}
			if to == nil {
				to = &Target{C: r.C, has: make(map[string]bool, len(all))}
				targets = append(targets, to)
			}
			if !to.has[r.ID] {
				to.has[r.ID] = true
				to.ids = append(to.ids, r.ID)
			}
		}
		if within && len(all) > 1 {
			made[key{one.C, one.R[spec.OrdID].Text()}] = true
		}
	}
	return targets
}

// within says whether one of the records may refer to another.
func within(all []driver.Insertion) bool {
	var last *spec.Collection
	for i := range all {
		for j := range all[i].Refers {
			c := all[i].Refers[j].C
			if c != last && slices.ContainsFunc(all, func(o driver.Insertion) bool { return o.C == c }) {
				return true
			}
			last = c
		}
	}
	return false
}

// Refer says whether one of the records refers to another.
func Refer(all []driver.Insertion) bool {
	return slices.ContainsFunc(all, func(one driver.Insertion) bool { return len(one.Refers) > 0 })
}

// Missing marks what a record refers to in vain: it was asked for and is not there, by target.
func Missing(targets []*Target, there []map[string]bool, one *driver.Insertion) (missing bool) {
	for i := range one.Refers {
		r := &one.Refers[i]
		for n, t := range targets {
			if t.C == r.C && t.has[r.ID] && !there[n][r.ID] {
				r.Missing, missing = true, true
			}
		}
	}
	return missing
}
