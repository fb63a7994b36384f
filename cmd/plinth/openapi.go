package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

func (c *cli) openapi() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "openapi [DIR]",
		Short: "Print the OpenAPI description of the API",
		Long: `Print the OpenAPI 3.1 description of the app's API, as somebody who is not signed in may see it, or
with --as somebody with a role. --as operator sees all of it. No database is needed.`,
		Example: "  plinth openapi --as staff examples/agency > openapi.json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := folder(args, 0)
			app, err := spec.Load(dir, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := roleOf(app, as, "operator"); err != nil {
				return err
			}
			b, err := plinth.OpenAPI(cmd.Context(), dir, as, inMemory())
			if err != nil {
				return err
			}
			_, err = c.out.Write(append(b, '\n'))
			return err
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "a role of the app, or operator (default: nobody)")
	return cmd
}
