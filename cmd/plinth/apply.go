package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) apply() *cobra.Command {
	var loss bool
	cmd := &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Bring the database to the app file",
		Long: `Run the steps that plan shows. Each is written down, so that after a crash apply goes on where it
ended. Steps that lose data run only with --allow-loss; without it nothing at all is done.`,
		Example: "  plinth apply examples/agency\n  plinth apply --allow-loss .",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := folder(args, 0)
			p := c.progress()
			m, err := plinth.Apply(cmd.Context(), dir, plinth.ApplyOptions{AllowLoss: loss, Progress: p.count}, c.on())
			p.end()
			if err != nil {
				return err
			}
			if c.json {
				c.print(stepsOf(m))
				return nil
			}
			if len(m.Steps) == 0 {
				c.say("the database has the schema of the app file")
				return nil
			}
			for _, s := range m.Steps {
				c.say("%s", s.Text)
			}
			c.say("applied %s", plinth.Counted(len(m.Steps), "step"))
			return nil
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&loss, "allow-loss", false, "run steps that lose data too")
	return cmd
}
