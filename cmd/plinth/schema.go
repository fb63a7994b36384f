package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth/spec"
)

func (c *cli) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the app file",
		Long: `Print the JSON Schema of the app file, for completion in editors. An editor with the YAML language
server finds it by a first line like this in plinth.yaml:

  # yaml-language-server: $schema=plinth.schema.json`,
		Example: "  plinth schema > plinth.schema.json",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(spec.Schema())
			return err
		},
	}
}
