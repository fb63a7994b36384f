// Package jobs works off what package data has enqueued: it claims jobs for which it has room, runs the functions of
// their kinds, notes what became of them, and enqueues the ticks of schedules.
//
//	held ──────────────┐ the batch is finished
//	later ──── due ──→ waiting ── Claim ──→ running ── nil ────────→ done
//	  ↑                   ↑                    │ ├── cancelled ────→ cancelled
//	  │                   └── stop, time up ───┘ ├── too often ────→ dead ── retry ──→ waiting
//	  └─────────── an error, with a pause ───────┘
//
// Every move is one transaction of package data, which knows nothing of goroutines; this package knows nothing of
// records. A job is begun at least once. What it writes with Work.Commit or Work.Step is written once.
package jobs
