package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bluell/plinth"
)

func (c *cli) jobs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List, show, retry and cancel jobs",
		Long: `Jobs are what an app does beside its requests: what Go code has enqueued, and what schedules do. These
commands work beside a running server. A finished job is kept for a day, a dead one for 30 days.`,
		Example: "  plinth jobs list --state dead\n  plinth jobs retry 0193a1f0-5c00-7a10-8b01-5d1f0c2e0001",
		Args:    cobra.ArbitraryArgs,
		RunE:    subcommand,
	}
	cmd.AddCommand(c.jobsList(), c.jobsOne("show", "Show a job", "Show a job, with its payload and the error of its last attempt.", (*plinth.Plinth).JobByID),
		c.jobsOne("retry", "Try a job again", "Try a job again that is dead, cancelled or delayed, at once. Steps that it has finished stay finished.", (*plinth.Plinth).RetryJob),
		c.jobsOne("cancel", "Cancel a job", "Cancel a job that is not finished. One that is running is told to end, within a second or two.", (*plinth.Plinth).CancelJob))
	return cmd
}

func (c *cli) jobsList() *cobra.Command {
	var f plinth.JobFilter
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List jobs",
		Long:    "List jobs, the newest first, 100 unless --limit says otherwise.",
		Example: "  plinth jobs list --state dead --kind report --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.Limit < 1 || f.Limit > 500 {
				return misused("--limit is from 1 to 500, not %d", f.Limit)
			}
			return c.opening(cmd.Context(), folder(args, 0), func(p *plinth.Plinth) error {
				jobs, next, err := p.Jobs(cmd.Context(), f)
				if err != nil {
					return asked(err)
				}
				if c.json {
					list := make([]jobAnswer, len(jobs))
					for i, j := range jobs {
						list[i] = answerOf(j)
					}
					answer := map[string]any{"jobs": list}
					if next != "" {
						answer["next"] = next
					}
					c.print(answer)
					return nil
				}
				for _, j := range jobs {
					c.say("%s", jobLine(j))
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
	cmd.Flags().StringVar(&f.State, "state", "", "those in this state: held, later, waiting, running, done, dead or cancelled")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "those of this kind")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many, at most 500")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "continue where an earlier list ended")
	return cmd
}

// jobAction is what is done with one job.
type jobAction func(p *plinth.Plinth, ctx context.Context, id string) (plinth.JobInfo, error)

// jobsOne is a command about one job.
func (c *cli) jobsOne(use, short, long string, do jobAction) *cobra.Command {
	cmd := &cobra.Command{
		Use:     use + " ID [DIR]",
		Short:   short,
		Long:    long,
		Example: "  plinth jobs " + use + " 0193a1f0-5c00-7a10-8b01-5d1f0c2e0001",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.opening(cmd.Context(), folder(args, 1), func(p *plinth.Plinth) error {
				j, err := do(p, cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if c.json {
					c.print(answerOf(j))
					return nil
				}
				c.say("%s", jobText(j))
				return nil
			})
		},
	}
	c.dbFlag(cmd)
	c.jsonFlag(cmd)
	return cmd
}

// jobAnswer is a job as --json prints it.
type jobAnswer struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	State    string          `json:"state"`
	Priority int             `json:"priority"`
	Due      time.Time       `json:"due"`
	Attempt  int             `json:"attempt"`
	Attempts int             `json:"attempts"`
	Timeout  string          `json:"timeout"`
	Key      string          `json:"key,omitempty"`
	Payload  json.RawMessage `json:"payload"`
	Error    string          `json:"error,omitempty"`
	Steps    []string        `json:"steps,omitempty"`
	Worker   string          `json:"worker,omitempty"`
	Batch    string          `json:"batch,omitempty"`
	Cancel   bool            `json:"cancel,omitempty"`
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
}

func answerOf(j plinth.JobInfo) jobAnswer {
	return jobAnswer{j.ID, j.Kind, j.State, j.Priority, j.Due, j.Attempt, j.Attempts, j.Timeout.String(), j.Key, j.Payload, j.Error, j.Steps,
		j.Worker, j.Batch, j.Cancel, j.Created, j.Updated}
}

func jobLine(j plinth.JobInfo) string {
	line := fmt.Sprintf("%s  %s  %s", j.ID, j.Kind, j.State)
	switch j.State {
	case "later":
		line += " from " + j.Due.Format(time.RFC3339)
	case "running":
		line += " since " + j.Updated.Format(time.RFC3339)
	default:
		line += " " + j.Updated.Format(time.RFC3339)
	}
	if j.Attempt > 1 || j.Error != "" {
		line += fmt.Sprintf(", attempt %d of %d", j.Attempt, j.Attempts)
	}
	if j.Error != "" {
		text, _, _ := strings.Cut(j.Error, "\n")
		line += ": " + text
	}
	return line
}

func jobText(j plinth.JobInfo) string {
	lines := []string{
		fmt.Sprintf("id:       %s", j.ID),
		fmt.Sprintf("kind:     %s", j.Kind),
		fmt.Sprintf("state:    %s", j.State),
		fmt.Sprintf("created:  %s", j.Created.Format(time.RFC3339)),
		fmt.Sprintf("updated:  %s", j.Updated.Format(time.RFC3339)),
		fmt.Sprintf("due:      %s", j.Due.Format(time.RFC3339)),
		fmt.Sprintf("attempt:  %d of %d, %s each", j.Attempt, j.Attempts, j.Timeout),
		fmt.Sprintf("priority: %d", j.Priority),
		fmt.Sprintf("payload:  %s", j.Payload),
	}
	for _, more := range []struct{ name, text string }{
		{"key", j.Key}, {"steps", strings.Join(j.Steps, ", ")}, {"worker", j.Worker}, {"batch", j.Batch}, {"error", j.Error}} {
		if more.text != "" {
			lines = append(lines, fmt.Sprintf("%-9s %s", more.name+":", more.text))
		}
	}
	if j.Cancel {
		lines = append(lines, "it is told to end")
	}
	return strings.Join(lines, "\n")
}
