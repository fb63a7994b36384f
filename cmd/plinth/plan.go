package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) plan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [DIR]",
		Short: "Show the steps from the database to the app file",
		Long: `Show the steps that lead from the database as it is to the schema of the app file, and what each
tells the database. Nothing is changed.`,
		Example: "  plinth plan examples/agency\n  plinth plan --json . | jq '.steps[] | select(.lossy)'",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := folder(args, 0)
			m, err := plinth.Plan(cmd.Context(), dir, c.looking(dir))
			if err != nil {
				return err
			}
			if c.json {
				c.print(stepsOf(m))
				return nil
			}
			c.show(m)
			return nil
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

// steps is a plan for programs.
type steps struct {
	Steps []step   `json:"steps"`
	Drift []string `json:"drift,omitempty"`
}

type step struct {
	Text  string   `json:"text"`
	SQL   []string `json:"sql"`
	Lossy bool     `json:"lossy"`
}

func stepsOf(m *plinth.Migration) steps {
	s := steps{Steps: []step{}, Drift: m.Drift}
	for _, x := range m.Steps {
		s.Steps = append(s.Steps, step{x.Text, x.SQL, x.Lossy})
	}
	return s
}

func (c *cli) show(m *plinth.Migration) {
	for _, d := range m.Drift {
		c.say("drift: %s", d)
	}
	if len(m.Steps) == 0 {
		c.say("the database has the schema of the app file")
		return
	}
	for _, s := range m.Steps {
		loss := ""
		if s.Lossy {
			loss = "  (loses data: needs --allow-loss)"
		}
		c.say("%s%s", s.Text, loss)
		for _, sql := range s.SQL {
			c.say("    %s", sql)
		}
	}
}
