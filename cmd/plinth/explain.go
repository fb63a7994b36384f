package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
)

var questions = []string{"list", "read", "create", "update", "delete"}

func (c *cli) explain() *cobra.Command {
	var as string
	var q plinth.ListQuery
	cmd := &cobra.Command{
		Use:   "explain [DIR] list COLLECTION | read|create|update|delete COLLECTION [ID]",
		Short: "Say which rule decides, and which index serves",
		Long: `explain list shows how a list is answered: the rule that is joined to it, the statement, the steps of
the database, the index that serves it or the one that is missing.

explain read, create, update and delete judge an operation, part by part of its rule, and say of one that is
denied who may do it. A rule that looks at the record needs the record's id.

The question is asked as somebody who is not signed in, or with --as as somebody with a role or as a user, with the
user's own fields and teams.`,
		Example: `  plinth explain examples/agency list calls --filter 'status == "requested"' --as staff
  plinth explain examples/agency update contacts --as member`,
		Args: arguments(2, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if !slices.Contains(questions, args[0]) {
				dir, args = args[0], args[1:]
			}
			if !slices.Contains(questions, args[0]) {
				return misused("explain %q%s", args[0], meant(args[0], questions))
			}
			if len(args) < 2 || len(args) > 3 || args[0] == "list" && len(args) > 2 || args[0] == "create" && len(args) > 2 {
				return misused("plinth explain [DIR] %s COLLECTION%s", args[0], map[bool]string{true: " [ID]"}[args[0] != "list" && args[0] != "create"])
			}
			return c.opening(cmd.Context(), dir, func(p *plinth.Plinth) error {
				if !strings.Contains(as, "@") && !data.ValidID(as) { // else it is a user
					if err := roleOf(p.App(), as, "operator"); err != nil {
						return err
					}
				}
				if err := collectionOf(p.App(), args[1]); err != nil {
					return err
				}
				if args[0] == "list" {
					q.Collection = args[1]
					return c.explainList(cmd, p, as, &q)
				}
				return c.explainOne(cmd, p, as, args[0], args[1], strings.Join(args[2:], ""))
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringVar(&as, "as", "", "a role of the app, operator, or the address or id of a user (default: nobody)")
	cmd.Flags().StringVar(&q.Filter, "filter", "", "the list's filter")
	cmd.Flags().StringVar(&q.Sort, "sort", "", "the list's sort, like -created,title")
	cmd.Flags().StringVar(&q.Expand, "expand", "", "the list's expand")
	cmd.Flags().StringVar(&q.Fields, "fields", "", "the list's fields")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "the list's limit (default 30)")
	return cmd
}

func (c *cli) explainList(cmd *cobra.Command, p *plinth.Plinth, as string, q *plinth.ListQuery) error {
	x, err := p.Explain(cmd.Context(), as, q)
	if err != nil {
		return asked(err)
	}
	if c.json {
		c.print(map[string]any{"rule": x.Rule, "statement": x.Statement, "nothing": x.Nothing, "steps": some(x.Engine.Steps),
			"indexes": some(x.Engine.Indexes), "scans": some(x.Engine.Scans), "sorts": x.Engine.Sorts, "advice": some(x.Advice)})
		return nil
	}
	switch {
	case x.Rule != "":
		c.say("rule       %s", x.Rule)
	default:
		c.say("rule       none is asked: operators pass every rule")
	}
	if x.Nothing != "" {
		c.say("answer     always empty: %s", x.Nothing)
		return nil
	}
	c.say("statement  %s", x.Statement)
	for _, s := range x.Engine.Steps {
		c.say("step       %s", s)
	}
	for _, s := range x.Engine.Indexes {
		c.say("index      %s", s)
	}
	for _, s := range x.Engine.Scans {
		c.say("scan       %s is read whole", s)
	}
	if x.Engine.Sorts {
		c.say("sort       rows are sorted after they are found")
	}
	for _, s := range x.Advice {
		c.say("advice     %s", s)
	}
	return nil
}

func some(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (c *cli) explainOne(cmd *cobra.Command, p *plinth.Plinth, as, operation, collection, id string) error {
	v, err := p.Why(cmd.Context(), as, operation, collection, id)
	if err != nil {
		return err
	}
	// What may not be read is not found, whatever the rule of the operation says.
	var unfound *plinth.Verdict
	if id != "" && (operation == "update" || operation == "delete") {
		read, err := p.Why(cmd.Context(), as, "read", collection, id)
		if err != nil {
			return err
		}
		if read.Rule != "" && !read.Holds {
			unfound = read
		}
	}
	allowed := v.Holds && unfound == nil
	may := []string{}
	if !allowed {
		may = whoMay(p.DB().Matrix(), collection, operation)
	}
	if c.json {
		parts := make([]map[string]any, len(v.Parts))
		for i, x := range v.Parts {
			parts[i] = map[string]any{"text": x.Text, "holds": x.Holds, "depth": x.Depth}
		}
		c.print(map[string]any{"operation": v.Operation, "rule": v.Rule, "allowed": allowed, "found": unfound == nil, "parts": parts, "may": may})
		return nil
	}
	answer := "denied"
	switch {
	case unfound != nil:
		answer = "not found"
	case v.Holds:
		answer = "allowed"
	}
	c.say("%s: %s for %s", v.Operation, answer, whom(as))
	if unfound != nil {
		c.say("read       %s  (what may not be read is not found)", unfound.Rule)
		for _, x := range unfound.Parts {
			c.say("%-9s  %s%s", holds(x.Holds), strings.Repeat("  ", x.Depth), x.Text)
		}
	}
	switch {
	case v.Rule == "":
		c.say("rule       none: it is closed to everyone but operators")
	case as == "operator" && v.Holds:
		c.say("rule       %s  (operators pass every rule)", v.Rule)
	default:
		c.say("rule       %s", v.Rule)
	}
	for _, x := range v.Parts {
		c.say("%-9s  %s%s", holds(x.Holds), strings.Repeat("  ", x.Depth), x.Text)
	}
	for i, who := range may {
		c.say("%-9s  %s", map[bool]string{true: "may"}[i == 0], who)
	}
	return nil
}

// whoMay lists who may do an operation, and where.
func whoMay(m *plinth.Matrix, collection, operation string) []string {
	out := []string{}
	for i := range m.Tables {
		t := &m.Tables[i]
		at := slices.Index(t.Operations, operation)
		if t.Name != collection || t.Channel || len(t.Fields) > 0 || at < 0 {
			continue
		}
		who := map[string]string{}
		var cells []string
		for _, row := range matrixRows(m, t) {
			cell := row[at+1]
			switch {
			case cell == string(data.Never):
			case who[cell] != "":
				who[cell] += ", " + row[0]
			default:
				who[cell] = row[0]
				cells = append(cells, cell)
			}
		}
		for _, cell := range cells {
			out = append(out, who[cell]+": "+cell)
		}
	}
	return out
}

func holds(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func whom(as string) string {
	if as == "" {
		return "somebody who is not signed in"
	}
	return as
}
