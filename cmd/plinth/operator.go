package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) operator() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Add, list and remove operators",
		Long: `Operators are the people who run the app. They pass every rule and are a list of their own, apart
from the app's users.`,
		Example: "  plinth operator add ops@example.com",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.operatorAdd(), c.operatorList(), c.operatorRemove())
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
		Use:     "add EMAIL [DIR]",
		Short:   "Add an operator",
		Long:    "Add an operator by e-mail address.",
		Example: "  plinth operator add ops@example.com examples/agency",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				id, err := p.AddOperator(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if c.json {
					c.print(map[string]string{"id": id, "email": args[0]})
					return nil
				}
				c.say("%s is an operator", args[0])
				return nil
			})
		},
	}
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
