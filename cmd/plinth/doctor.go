package main

import (
	"cmp"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) doctor() *cobra.Command {
	var e plinth.Examination
	cmd := &cobra.Command{
		Use:   "doctor [DIR]",
		Short: "Say how the machine, an app and its data are",
		Long: `Say how the machine, an app and its data are, point by point: good, consider (somebody should look), or wrong, with
which it fails; each that is not good says what helps. It only reads, works beside a running server, and should run as the user
who serves. A database in a file is looked through for damage, which reads it whole.

Without --net nobody is asked but this machine and the database. With it name servers are asked too, the server that takes
mails (as far as before a mail), the providers with whom people sign in, and the issuer of certificates.`,
		Example: "  plinth doctor examples/agency\n  plinth doctor --net --json /srv/agency | jq '.points[] | select(.verdict != \"good\")'",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("listen") {
				e.Listen = "" // where nothing else is said
			}
			trustRoots()
			p := &posture{dir: folder(args, 0)}
			p.Say("program", plinth.Good, "plinth %s, %s for %s on %s", plinth.Version(), runtime.Version(), runtime.GOARCH, runtime.GOOS)
			p.Say("authorities", plinth.Good, "certificates of others are checked by %s", cmp.Or(systemRoots(), "the list in this program: the system has none"))
			p.Points = append(p.Points, plinth.Examine(cmd.Context(), p.dir, e, c.examining())...)
			p.disk(c.at.engine)
			return c.points(p.Points, "not all is well")
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&e.Net, "net", false, "also ask others whether they can be reached")
	cmd.Flags().StringVar(&e.Listen, "listen", "127.0.0.1:8080", "where the app is to be served")
	fromEnvironment(cmd.Flags(), "listen")
	return cmd
}
