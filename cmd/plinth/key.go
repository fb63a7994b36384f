package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

func (c *cli) key() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Add, list and remove API keys",
		Long: `An API key acts with a role of the app. Programs send it as Authorization: Bearer KEY. Keys are
added and removed beside a running server; a removed key is dead within 5 seconds.`,
		Example: "  plinth key add --role staff\n  plinth key list",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.keyAdd(), c.keyList(), c.keyRemove())
	return cmd
}

func (c *cli) keyAdd() *cobra.Command {
	var o plinth.KeyOptions
	cmd := &cobra.Command{
		Use:   "add [DIR]",
		Short: "Make an API key",
		Long: `Make an API key and print it. It is printed this once: what is kept is a hash.

A key acts with a role (--role), or passes every rule (--operator).`,
		Example: "  plinth key add --role staff examples/agency\n  plinth key add --operator --read-only --expires 720h --label reports --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.Role == "" && !o.Operator:
				return misused("name a role with --role, or give --operator")
			case o.Role != "" && o.Operator:
				return misused("--role and --operator do not go together")
			case o.Role == "operator":
				return misused("operator is no role: give --operator")
			case cmd.Flags().Changed("expires") && o.Expires < time.Second:
				return misused("--expires is a time from now, like 720h")
			}
			app, err := spec.Load(folder(args, 0), os.LookupEnv)
			if err == nil {
				err = roleOf(app, o.Role) // before a database is made
			}
			if err != nil {
				return err
			}
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error { return c.addKey(cmd, p, o) })
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringVar(&o.Role, "role", "", "the role it acts with")
	cmd.Flags().BoolVar(&o.Operator, "operator", false, "it passes every rule")
	cmd.Flags().BoolVar(&o.ReadOnly, "read-only", false, "it writes nothing")
	cmd.Flags().DurationVar(&o.Expires, "expires", 0, "how long it lives, like 720h (default: until it is removed)")
	cmd.Flags().StringVar(&o.Label, "label", "", "what it is for")
	return cmd
}

func (c *cli) addKey(cmd *cobra.Command, p *plinth.Plinth, o plinth.KeyOptions) error {
	id, token, err := p.AddKey(cmd.Context(), o)
	if err != nil {
		return err
	}
	if !c.json {
		c.say("%s", token)
		if plinth.Terminal(c.out) {
			c.note("keep it: it is not shown again")
		}
		return nil
	}
	answer := struct {
		ID       string `json:"id"`
		Key      string `json:"key"`
		Role     string `json:"role,omitempty"`
		Operator bool   `json:"operator,omitempty"`
		ReadOnly bool   `json:"readOnly,omitempty"`
	}{id, token, o.Role, o.Operator, o.ReadOnly}
	c.print(answer)
	return nil
}

func (c *cli) keyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List the API keys",
		Long:    "List the API keys, the oldest first: what they may do, when they end, when they were used.",
		Example: "  plinth key list --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				keys, err := p.Keys(cmd.Context())
				if err != nil {
					return err
				}
				if c.json {
					if keys == nil {
						keys = []plinth.Key{}
					}
					c.print(map[string]any{"keys": keys})
					return nil
				}
				for _, k := range keys {
					c.say("%s", keyLine(k))
				}
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func keyLine(k plinth.Key) string {
	line := k.ID + "  " + k.Role
	if k.Operator {
		line += "operator"
	}
	if k.ReadOnly {
		line += ", read-only"
	}
	if k.Expires != nil {
		line += ", until " + k.Expires.Format(time.RFC3339)
	}
	if k.Used == nil {
		line += ", never used"
	} else {
		line += ", last used about " + k.Used.Format("2006-01-02 15h")
	}
	if k.Label != "" {
		line += "  " + k.Label
	}
	return line
}

func (c *cli) keyRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove ID [DIR]",
		Short:   "Remove an API key",
		Long:    "Remove an API key, by the id that key list shows. Servers forget it within 5 seconds.",
		Example: "  plinth key remove 0193a1f0-5c00-7a10-8b01-5d1f0c2e0001",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				if err := p.RemoveKey(cmd.Context(), args[0]); err != nil {
					return err
				}
				if c.json {
					c.print(map[string]string{"removed": args[0]})
					return nil
				}
				c.say("removed")
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}
