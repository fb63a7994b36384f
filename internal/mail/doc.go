// Package mail writes the mails of an app and sees to it that they arrive: a mail is a job, enqueued in the transaction
// of the write that needs it, so it is sent exactly when that was committed, and at least once.
//
//	Post ── Tx.Enqueue ──→ the job: what is to be said, sealed ── Deliver ──→ the template, filled in ──→ a server by SMTP
//	                                                                                             └─────→ with --dev and no server: kept, and shown at /_dev/mail
//
// What a mail carries (a link that resets a password, a code) is a secret until it has expired. It rests in the job
// sealed under a key of its own, so that nobody who looks at jobs reads it; it is removed from the job when the mail was
// sent; and a mail whose secret has expired is not sent any more.
//
// Links lead to server.url, or to the first domain, and never to what a request's header says.
package mail
