package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
)

func (c *cli) operator() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Add, list and remove operators",
		Long: `Operators are the people who run the app. They pass every rule and are a list of their own, apart
from the app's users. They sign in with a password and a second factor.`,
		Example: "  plinth operator add ops@example.com",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.operatorAdd(), c.operatorList(), c.operatorReset(), c.operatorRemove())
	return cmd
}

// opening opens the app for a command beside a running server.
func (c *cli) opening(ctx context.Context, dir string, fn func(*plinth.Plinth) error) error {
	p, err := plinth.Open(ctx, dir, c.on())
	if err != nil {
		return err
	}
	err = fn(p)
	if closing := p.Close(); err == nil {
		err = closing
	}
	return err
}

func (c *cli) operatorAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add EMAIL [DIR]",
		Short: "Add an operator",
		Long: `Add an operator by e-mail address. The operator sets a password with the token that is told here, once, and
then a second factor (docs/identity.md).`,
		Example: "  plinth operator add ops@example.com examples/agency",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.Contains(args[0], "@") { // the folder alone was named
				return fault.New(fault.Invalid, "%q is not an e-mail address", args[0])
			}
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				w, err := p.AddOperator(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				c.welcome(w, "is an operator")
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

// welcome tells the token with which an operator sets a password.
func (c *cli) welcome(w plinth.Welcome, is string) {
	if c.json {
		c.print(w)
		return
	}
	c.say("%s %s", w.Email, is)
	c.say("until %s this token sets a password, once (POST /api/auth/operators/reset/confirm {token, password}):\n%s", w.Expires.Format("2006-01-02 15:04 MST"), w.Token)
}

func (c *cli) operatorReset() *cobra.Command {
	var factors bool
	cmd := &cobra.Command{
		Use:   "reset EMAIL [DIR]",
		Short: "Have an operator set a new password",
		Long: `End the sessions and the password of an operator, by e-mail address or id. The operator sets a new password with the
token that is told here, once. With --factors the authenticator app, the passkeys and the recovery codes are good for nothing too.`,
		Example: "  plinth operator reset ops@example.com --factors",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				w, err := p.ResetOperator(cmd.Context(), args[0], factors)
				if err != nil {
					return err
				}
				c.welcome(w, "has no password any more")
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&factors, "factors", false, "remove the second factors too: they are lost")
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) operatorList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List the operators",
		Long:    "List the operators, the oldest first.",
		Example: "  plinth operator list --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				list, err := p.Operators(cmd.Context())
				if err != nil {
					return err
				}
				if c.json {
					if list == nil {
						list = []plinth.Operator{}
					}
					c.print(map[string]any{"operators": list})
					return nil
				}
				for _, o := range list {
					c.say("%s  %s  since %s", o.ID, o.Email, o.Created.Format("2006-01-02"))
				}
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) operatorRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove EMAIL [DIR]",
		Short:   "Remove an operator",
		Long:    "Remove an operator, by e-mail address or id.",
		Example: "  plinth operator remove ops@example.com",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				if err := p.RemoveOperator(cmd.Context(), args[0]); err != nil {
					return err
				}
				if c.json {
					c.print(map[string]string{"removed": args[0]})
					return nil
				}
				c.say("%s is an operator no more", args[0])
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}
