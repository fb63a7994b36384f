package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
)

func (c *cli) user() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "List, show, invite, disable, enable and delete users",
		Long: `Users are the people who sign in to the app. They are named by e-mail address or id. These commands work
beside a running server: who is disabled or deleted is signed out everywhere within 5 seconds.`,
		Example: "  plinth user list\n  plinth user disable anna@example.com",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.userList(), c.userShow(), c.userInvite(),
		c.userOne("disable", "Let a user in no more", "Let a user in no more, by whatever way. The user's records stay as they are.", "is disabled",
			func(p *plinth.Plinth, ctx context.Context, who string) (plinth.User, error) {
				return p.DisableUser(ctx, who, true)
			}),
		c.userOne("enable", "Let a user in again", "Let a user in again who was disabled. Sessions of before have ended.", "is enabled",
			func(p *plinth.Plinth, ctx context.Context, who string) (plinth.User, error) {
				return p.DisableUser(ctx, who, false)
			}),
		c.userOne("delete", "Delete a user", `Delete a user, with the records that go with one by the app file (onDelete: cascade). A record that refers to the
user and does not go keeps the user.`, "is deleted", (*plinth.Plinth).RemoveUser))
	return cmd
}

func (c *cli) userList() *cobra.Command {
	var cursor string
	var limit int
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List the users",
		Long:    "List the users, the newest first, 100 unless --limit says otherwise.",
		Example: "  plinth user list --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 500 {
				return misused("--limit is from 1 to 500, not %d", limit)
			}
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				list, next, err := p.Users(cmd.Context(), cursor, limit)
				if err != nil {
					return asked(err)
				}
				if c.json {
					if list == nil {
						list = []plinth.User{}
					}
					answer := map[string]any{"users": list}
					if next != "" {
						answer["next"] = next
					}
					c.print(answer)
					return nil
				}
				for _, u := range list {
					c.say("%s", userLine(u))
				}
				if next != "" {
					c.note("there are more: --cursor %s", next)
				}
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "how many, at most 500")
	cmd.Flags().StringVar(&cursor, "cursor", "", "continue where an earlier list ended")
	return cmd
}

// nameOf is a user for people: not all have an address.
func nameOf(u plinth.User) string {
	if u.Email == "" {
		return u.ID
	}
	return u.Email
}

func userLine(u plinth.User) string {
	line := u.ID + "  " + cmp.Or(u.Email, "-") + "  " + cmp.Or(u.Role, "-")
	for _, mark := range []struct {
		is   bool
		word string
	}{{u.Anonymous, "anonymous"}, {u.Email != "" && !u.Verified, "not verified"}, {u.Disabled, "disabled"}} {
		if mark.is {
			line += ", " + mark.word
		}
	}
	return line + "  since " + u.Created.Format("2006-01-02")
}

func (c *cli) userShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show EMAIL|ID [DIR]",
		Short:   "Show a user",
		Long:    "Show a user: how the user signs in, and where the user is signed in.",
		Example: "  plinth user show anna@example.com",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				u, err := p.UserDetail(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if c.json {
					c.print(u)
					return nil
				}
				c.say("%s", userLine(u.User))
				c.say("signs in with  %s", cmp.Or(strings.Join(waysOf(u), ", "), "nothing"))
				seen := ""
				if u.Seen != nil {
					seen = ", last seen about " + u.Seen.Format("2006-01-02 15h")
				}
				c.say("sessions       %d%s", u.Sessions, seen)
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func waysOf(u plinth.UserDetail) []string {
	var ways []string
	if u.Password {
		ways = append(ways, "password")
	}
	ways = append(ways, u.Providers...)
	if u.Passkeys > 0 {
		ways = append(ways, fmt.Sprintf("passkeys (%d)", u.Passkeys))
	}
	if u.TOTP {
		ways = append(ways, "authenticator app")
	}
	return ways
}

// userOne is a command that does something with one user; done says what is then true of the user.
func (c *cli) userOne(use, short, long, done string, do func(*plinth.Plinth, context.Context, string) (plinth.User, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:     use + " EMAIL|ID [DIR]",
		Short:   short,
		Long:    long,
		Example: "  plinth user " + use + " anna@example.com",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				u, err := do(p, cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if c.json {
					c.print(u)
					return nil
				}
				c.say("%s %s", nameOf(u), done)
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) userInvite() *cobra.Command {
	var o plinth.InviteOptions
	cmd := &cobra.Command{
		Use:   "invite EMAIL [DIR]",
		Short: "Invite somebody",
		Long: `Invite somebody by e-mail address, with a role or the first one. A running server sends the mail, whose link is
good once, for 7 days. With --link there is no mail, and the link is printed: whoever has it can accept.`,
		Example: "  plinth user invite anna@example.com --role staff\n  plinth user invite anna@example.com --role admin --link",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Email = args[0]
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				v, err := p.InviteUser(cmd.Context(), o)
				if fault.Is(err, fault.Lacking) {
					return fault.New(fault.Lacking, "%s; with --link the link is printed instead", plain(err))
				}
				if err != nil {
					return err
				}
				switch {
				case c.json:
					c.print(v)
				case o.Link:
					c.say("%s", v.Link)
					if strings.HasPrefix(v.Link, "/") {
						fmt.Fprintln(c.err, "plinth: server.url is missing in the app file: the server's address goes before this")
					}
				default:
					c.say("%s is invited as %s, until %s", v.Email, v.Role, v.Expires.Format("2006-01-02 15:04 MST"))
				}
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringVar(&o.Role, "role", "", "the role (default: the first)")
	cmd.Flags().StringVar(&o.Lang, "lang", "", "the language of the mail, like de")
	cmd.Flags().BoolVar(&o.Link, "link", false, "print the link instead of sending a mail")
	return cmd
}
