package mail

import (
	"context"
	"errors"
	"fmt"

	"github.com/bluell/plinth/data"
)

// Deliver sends the mail of a job, or keeps it. An error of which Final holds will be the same another time; after any
// other the job is to be tried again. The mail of a job has the same Message-ID and the same date at each try, so that
// one that was sent twice can be known by it.
func (r *Room) Deliver(ctx context.Context, j data.Job) error {
	p, m, err := r.read(j.Payload)
	if err != nil {
		return err
	}
	if !r.o.Clock().Before(p.Until) {
		return &finality{expired: true, text: "the mail was not sent: what it carries has expired at " + p.Until.Format("2006-01-02 15:04:05Z")}
	}
	letter, err := r.compose(&m, r.base(), j.ID, j.Created)
	if err != nil {
		return err
	}
	switch {
	case r.server != nil:
		return r.server.send(ctx, letter, nil)
	case r.keeps():
		return r.keep(j.ID, letter)
	}
	return errors.New("the app file names no smtp server any more")
}

// Final says whether an error of Deliver makes another try pointless.
func Final(err error) bool {
	var f *finality
	return errors.As(err, &f)
}

// Expired says whether a mail was not sent because it was too late: what it carried is of no use to anybody.
func Expired(err error) bool {
	var f *finality
	return errors.As(err, &f) && f.expired
}

type finality struct {
	text    string
	expired bool
}

func (f *finality) Error() string { return f.text }

func final(format string, args ...any) error { return &finality{text: fmt.Sprintf(format, args...)} }
