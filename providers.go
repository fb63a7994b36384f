package plinth

import (
	"context"
	"errors"
	"net/url"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/oidc"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// providers are those with whom people of the app can sign in. None is asked anything before somebody does.
func (p *Plinth) providers(app *spec.App) ([]auth.Provider, error) {
	var list []auth.Provider
	for _, conf := range app.Auth.Providers {
		client, err := oidc.New(conf, oidc.Options{Clock: p.o.clock})
		if err != nil {
			return nil, err
		}
		list = append(list, auth.Provider{Name: conf.Name, Label: client.Label(), Posts: client.Posts(), Client: outside{client}})
	}
	return list, nil
}

// outside is a provider as auth asks it.
type outside struct{ client *oidc.Provider }

func (o outside) Begin(ctx context.Context, f auth.Flow) (string, error) {
	defer web.Aside(ctx)()
	address, err := o.client.Begin(ctx, oidc.Flow(f))
	return address, refusal(err)
}

func (o outside) Finish(ctx context.Context, f auth.Flow, answer url.Values) (*auth.Identity, error) {
	defer web.Aside(ctx)()
	who, err := o.client.Finish(ctx, oidc.Flow(f), answer)
	if err != nil {
		return nil, refusal(err)
	}
	return (*auth.Identity)(who), nil
}

func refusal(err error) error {
	var e *oidc.Error
	if errors.As(err, &e) {
		return &auth.Refusal{Code: e.Code, Err: e.Err}
	}
	return err
}

// trusted checks the tokens of issuers that the app trusts.
type trusted struct{ bearer *oidc.Bearer }

func (t trusted) Check(ctx context.Context, text string) (*auth.Foreign, error) {
	defer web.Aside(ctx)()
	token, err := t.bearer.Check(ctx, text)
	if err != nil {
		return nil, refusal(err)
	}
	return (*auth.Foreign)(token), nil
}

// returns refuses to serve an app to which providers do not know the way back.
func (p *Plinth) returns() error {
	app := p.App()
	if len(app.Auth.Providers) == 0 || app.Server.URL != "" || p.o.dev {
		return nil
	}
	at := app.Server.Pos
	if at.File == "" {
		at = spec.Pos{File: spec.FileName, Line: 1, Column: 1}
	}
	return &spec.Problems{List: []spec.Problem{{File: at.File, Line: at.Line, Column: at.Column, Code: "required",
		Message: "auth.providers send browsers back to the app, and nothing says where it is: add server: {url: https://app.example.com}"}}}
}
