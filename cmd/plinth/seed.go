package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) seed() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed [DIR]",
		Short: "Load the records of seed/ into the database",
		Long: `Load the files of DIR/seed in the order of their names: *.yaml *.json *.ndjson *.csv. A record that
is there already, by the field that the file names with "by", is brought up to date; so seeding
twice changes nothing. Rules of access are not asked, all else that makes a record valid is. Users may
bring what another system has stored of their passwords.`,
		Example: "  plinth seed examples/agency",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				bar := c.progress()
				s, err := p.Seed(cmd.Context(), bar.count)
				bar.end()
				if err != nil {
					return err
				}
				if c.json {
					c.print(s)
					return nil
				}
				for _, file := range s.SkippedFiles {
					c.note("seed/%s was skipped: nothing in it says which records are there already (an id, or a unique field that each has), and its collection is not empty", file)
				}
				c.say("%s: %d created, %d updated, %d as they were", plinth.Counted(s.Records, "record"), s.Created, s.Updated, s.Same)
				if s.Passwords > 0 {
					c.say("%s kept as another system has stored them", plinth.Counted(s.Passwords, "password"))
				}
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}
