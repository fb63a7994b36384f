package main

import (
	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) mail() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mail",
		Short:   "Try whether mails arrive",
		Long:    "Mails are what an app sends by itself: links that confirm an address, codes, notices.",
		Example: "  plinth mail test anna@example.com",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.mailTest())
	return cmd
}

func (c *cli) mailTest() *cobra.Command {
	var m plinth.TestMail
	cmd := &cobra.Command{
		Use:   "test ADDRESS [DIR]",
		Short: "Send a test mail",
		Long: `Send a mail to an address at once, by the server that mail.smtp names, and tell each step. With
--template one of the app's mails is sent, with examples for what it says; its link leads nowhere.`,
		Example: "  plinth mail test anna@example.com\n  plinth mail test anna@example.com examples/agency --template reset --lang de",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.To = args[0]
			steps := []string{}
			err := plinth.SendTestMail(cmd.Context(), folder(args, 1), m, func(step string) {
				steps = append(steps, step)
				if !c.json {
					c.say("%s", step)
				}
			})
			if err != nil {
				return asked(err)
			}
			if c.json {
				c.print(map[string]any{"ok": true, "steps": steps})
			}
			return nil
		},
	}
	c.jsonFlag(cmd)
	cmd.Flags().StringVar(&m.Template, "template", "", "which mail: verify, reset, code, email-change, email-changed, taken, invite, password-changed")
	cmd.Flags().StringVar(&m.Lang, "lang", "", "its language, like de (default en)")
	return cmd
}
