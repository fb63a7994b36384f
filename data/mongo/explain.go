package mongo

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

func quoted(s string) string { return string(doc.AppendString(nil, s)) }

// Explain reads the plan that the server has chosen (MongoDB's manual, "Explain Results").
func (s *stmt) Explain(ctx context.Context, args []expr.Value) (driver.Explanation, error) {
	var x driver.Explanation
	if s.each {
		args = slices.Clone(args)
		args[s.q.Per.Arg] = expr.TextOf("")
	}
	a, err := s.ask(args, false)
	if err != nil {
		return x, err
	}
	raw, err := s.e.server.explain(ctx, a)
	if err != nil {
		return x, during(ctx, "explain", err)
	}
	look(&x, raw, a.from, 0)
	if len(x.Steps) == 0 { // a server that does not tell
		x.Steps = []string{"ask " + a.from}
	}
	return x, nil
}

// look tells the stages of a plan, and those below them.
func look(x *driver.Explanation, d bson.Raw, table string, depth int) {
	if stage, ok := d.Lookup("stage").StringValueOK(); ok {
		step := stage
		if name, ok := d.Lookup("indexName").StringValueOK(); ok {
			step += " using " + name
			name = strings.TrimSuffix(name, "$items")
			if name == "_id_" {
				name = "id"
			}
			if !slices.Contains(x.Indexes, name) {
				x.Indexes = append(x.Indexes, name)
			}
		}
		if stage == "IDHACK" && !slices.Contains(x.Indexes, "id") {
			x.Indexes = append(x.Indexes, "id")
		}
		if stage == "COLLSCAN" && !slices.Contains(x.Scans, table) {
			x.Scans = append(x.Scans, table)
		}
		x.Sorts = x.Sorts || strings.HasPrefix(stage, "SORT") && stage != "SORT_MERGE"
		x.Steps = append(x.Steps, strings.Repeat("  ", depth)+step)
		depth++
	}
	elements, err := d.Elements()
	if err != nil {
		return
	}
	for _, e := range elements {
		switch key := e.Key(); key {
		case "rejectedPlans", "command", "parsedQuery", "serverInfo", "serverParameters", "optimizedPipeline", "slotBasedPlan":
		case "$sort":
			x.Sorts = true
			x.Steps = append(x.Steps, strings.Repeat("  ", depth)+"SORT")
		default:
			if inner, ok := e.Value().DocumentOK(); ok {
				look(x, inner, table, depth)
			} else if array, ok := e.Value().ArrayOK(); ok {
				values, _ := array.Values()
				for _, v := range values {
					if inner, ok := v.DocumentOK(); ok {
						look(x, inner, table, depth)
					}
				}
			}
		}
	}
}
