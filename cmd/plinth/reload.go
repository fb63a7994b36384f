package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) reload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [DIR]",
		Short: "Replace a running server, without a refused connection",
		Long: `Replace the servers that run here with the app in DIR by new processes: started from the program as it is
now, with the arguments and the environment of the old one, and the app file as it is now.

The old process hands its sockets over when the new one answers requests; those under way are answered, live
connections are told to come back. When the new one cannot serve, because the app file is wrong, or the database has
another schema, it says why, and the old one goes on.

Run it as the user who runs the server. A container is replaced by another container instead. Where only the
app file has changed, SIGHUP does it in the same process.`,
		Example: "  plinth reload /srv/agency",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var told []string
			err := plinth.TakeOver(cmd.Context(), folder(args, 0), func(text string) {
				if told = append(told, text); !c.json {
					c.say("%s", text)
				}
			})
			if err == nil && c.json {
				c.print(struct {
					OK   bool     `json:"ok"`
					Done []string `json:"done"`
				}{true, told})
			}
			return err
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
