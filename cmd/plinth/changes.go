package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

func (c *cli) changes() *cobra.Command {
	var follow, consumers bool
	var after, collection string
	cmd := &cobra.Command{
		Use:   "changes [DIR]",
		Short: "Show the log of changes",
		Long: `Show what was changed, in the order of commits: the position in the log, when, what, and which record. With
--json each change is an object of one line, with the record before and after it.

The log goes back as far as the app file says (changes: {keep: 24h, most: 1000000}). It is read beside a running server.`,
		Example: "  plinth changes examples/agency\n  plinth changes --follow --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if consumers && (follow || after != "" || collection != "") {
				return misused("--consumers shows no changes: leave --follow, --after and --collection out")
			}
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				if collection != "" {
					if err := collectionOf(p.App(), collection); err != nil {
						return err
					}
				}
				if consumers {
					return c.showConsumers(cmd, p.DB())
				}
				return c.showChanges(cmd, p.DB(), after, collection, follow)
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with those that come (from now on, unless --after is given)")
	cmd.Flags().StringVar(&after, "after", "", "a position: only what was changed behind it")
	cmd.Flags().StringVar(&collection, "collection", "", "only changes in this collection")
	cmd.Flags().BoolVar(&consumers, "consumers", false, "show who follows the log instead, and how many changes each has not done yet")
	return cmd
}

func (c *cli) showChanges(cmd *cobra.Command, db *data.DB, after, collection string, follow bool) error {
	ctx := cmd.Context()
	var at data.Position
	var err error
	switch {
	case after != "":
		if at, err = data.ParsePosition(after); err != nil {
			return misused("--after: %v", err)
		}
	case follow:
		at, err = db.Head(ctx)
	default:
		at, err = db.Oldest(ctx)
	}
	if err != nil {
		return err
	}
	show := func(all []*data.Change, to data.Position) error {
		for _, change := range all {
			if collection != "" && change.Collection != collection {
				continue
			}
			if c.json {
				b, err := db.AppendChange(nil, to.Epoch, change)
				if err != nil {
					return err
				}
				c.say("%s", b)
				continue
			}
			c.say("%s  %s  %-6s  %s/%s  rev %d", data.Position{Epoch: to.Epoch, Number: change.Position}, change.At.Format(time.RFC3339), change.Op, change.Collection, change.ID, change.Rev)
		}
		return nil
	}
	if follow {
		err = db.Follow(ctx, at, show)
		if ctx.Err() != nil {
			return nil
		}
		return notThere(ctx, db, at, err)
	}
	for {
		all, next, err := db.Changes(ctx, at)
		if err != nil {
			return notThere(ctx, db, at, err)
		}
		if err := show(all, next); err != nil || next == at {
			return err
		}
		at = next
	}
}

// showConsumers shows the consumers that Go programs register.
func (c *cli) showConsumers(cmd *cobra.Command, db *data.DB) error {
	all, err := db.Consumers(cmd.Context())
	if err != nil {
		return err
	}
	if c.json {
		for _, one := range all {
			o := doc.NewObject()
			o.Set("name", doc.NewString(one.Name))
			o.Set("at", doc.NewNull())
			if one.At != (data.Position{}) {
				o.Set("at", doc.NewString(one.At.String()))
			}
			o.Set("behind", doc.NewInt(one.Behind))
			o.Set("running", doc.NewBool(one.Holder != ""))
			c.say("%s", o.Append(nil))
		}
		return nil
	}
	if len(all) == 0 {
		c.say("nobody follows the log: a Go program registers who does (plinth.Consume)")
	}
	for _, one := range all {
		state, behind := "is not running", fmt.Sprintf("%d behind", one.Behind)
		if one.Holder != "" {
			state = "runs"
		}
		switch {
		case one.At == (data.Position{}):
			c.say("%s  %s  has not begun", one.Name, state)
			continue
		case one.Behind < 0:
			behind = "has lost some"
		}
		c.say("%s  %s  %s  at %s", one.Name, state, behind, one.At)
	}
	return nil
}

// notThere says what is wrong with the position of --after where the log does not go on from it, and what to do.
func notThere(ctx context.Context, db *data.DB, after data.Position, err error) error {
	var old *data.TooOld
	if !errors.As(err, &old) {
		return err
	}
	head, err := db.Head(ctx)
	switch {
	case err != nil:
		return err
	case after.Epoch != head.Epoch:
		return fault.New(fault.Invalid, "--after %s is a position of another log, whose database was another or was restored since: leave it out for the oldest changes that are kept", after)
	case after.Number > head.Number:
		return fault.New(fault.Invalid, "--after %s has not been reached: the newest position is %s; --follow without --after shows what comes", after, head)
	}
	return fault.New(fault.Invalid, "the log of changes does not go back to --after: leave it out for the oldest that are kept")
}
