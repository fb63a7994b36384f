package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// metadata is what a provider says of itself (OpenID Connect Discovery 1.0, 3; RFC 8414, 2), as far as it is used.
type metadata struct {
	issuer   string // may have {tenantid} in it: see microsoft.go
	endpoint oauth2.Endpoint
	userInfo string
	always   bool // iss is in every answer (RFC 9207, 3)
	pkce     bool
	keys     *keySet
	algs     []string
}

// published is the document in which they stand.
type published struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	UserInfo      string   `json:"userinfo_endpoint"`
	Always        bool     `json:"authorization_response_iss_parameter_supported"`
	PKCE          []string `json:"code_challenge_methods_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Algs          []string `json:"id_token_signing_alg_values_supported"`
}

// publishedBy reads it. That its issuer is the one that was asked is checked (Discovery 4.3).
func publishedBy(ctx context.Context, client *http.Client, k *kind, issuer string) (*published, error) {
	said := &published{}
	if err := getJSON(ctx, client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", "", said); err != nil {
		return nil, fmt.Errorf("the metadata of %s: %w", issuer, brief(err))
	}
	if said.Issuer != issuer && !(k.work && tenantIssuer(k.discovery, issuer, said.Issuer)) {
		return nil, fmt.Errorf("the metadata of %s are of another issuer, %q", issuer, clip(said.Issuer, 200))
	}
	if !usable(said.Keys, issuer) {
		return nil, fmt.Errorf("the metadata of %s: jwks_uri is no https address", issuer)
	}
	return said, nil
}

// keySet are the keys, as they are fetched; they are asked for signatures by some algorithms.
func (s *published) keySet(client *http.Client, clock func() time.Time, algs []string) *keySet {
	return &keySet{algs: algorithms(algs), keys: keep(clock, func(ctx context.Context) ([]key, error) { return fetchKeys(ctx, client, s.Keys) })}
}

// discover reads the metadata of a provider with whom people sign in.
func discover(ctx context.Context, client *http.Client, clock func() time.Time, k *kind, issuer string) (*metadata, error) {
	said, err := publishedBy(ctx, client, k, issuer)
	if err != nil {
		return nil, err
	}
	m := &metadata{issuer: said.Issuer, endpoint: oauth2.Endpoint{AuthURL: said.Authorization, TokenURL: said.Token}, userInfo: said.UserInfo, always: said.Always,
		pkce: said.PKCE == nil || slices.Contains(said.PKCE, "S256")}
	for name, address := range map[string]string{"authorization_endpoint": m.endpoint.AuthURL, "token_endpoint": m.endpoint.TokenURL, "userinfo_endpoint": m.userInfo} {
		if address == "" && name == "userinfo_endpoint" {
			continue
		}
		if !usable(address, issuer) {
			return nil, fmt.Errorf("the metadata of %s: %s is no https address", issuer, name)
		}
	}
	switch { // Discovery 3: client_secret_basic when nothing is said
	case said.Methods == nil || slices.Contains(said.Methods, "client_secret_basic"):
		m.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	case slices.Contains(said.Methods, "client_secret_post"):
		m.endpoint.AuthStyle = oauth2.AuthStyleInParams
	default:
		return nil, fmt.Errorf("the metadata of %s: the token endpoint takes no client secret, by client_secret_basic or client_secret_post", issuer)
	}
	for _, a := range said.Algs {
		if slices.Contains(asymmetric, a) {
			m.algs = append(m.algs, a)
		}
	}
	if m.algs == nil {
		m.algs = []string{"RS256"} // which everybody knows (Discovery 3)
	}
	m.keys = said.keySet(client, clock, m.algs)
	return m, nil
}

// usable says whether an endpoint may be used: over https, or over http where the issuer is, which the app file allows on
// this machine alone.
func usable(address, issuer string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && strings.HasPrefix(issuer, "http://"))
}

// getJSON asks for JSON, as who has an access token where there is one.
func getJSON(ctx context.Context, client *http.Client, address, token string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return &statusError{res.StatusCode, r.URL.Redacted()}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", r.URL.Redacted(), err)
	}
	return nil
}

type statusError struct {
	status int
	at     string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answered %d", e.at, e.status) }

// brief bounds the text of an error, which may have a provider's answer in it.
func brief(err error) error {
	if text := err.Error(); len(text) > 300 {
		return &briefError{clip(text, 300) + "…", err}
	}
	return err
}

type briefError struct {
	text string
	err  error
}

func (e *briefError) Error() string { return e.text }
func (e *briefError) Unwrap() error { return e.err }

// Microsoft has one issuer for each tenant. Who lets people of many tenants in asks for the metadata of "common",
// "organizations" or "consumers", and is told an issuer with {tenantid} in it, to be filled in with the tid of each token
// (https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer). A tenant that was asked
// for by its domain has its id in its issuer.
const (
	tenantID  = "{tenantid}"
	consumers = "9188040d-6c67-4c5b-b112-36a304b66dad" // the tenant of all personal accounts, as the same page says
)

var guid = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`) })

// tenantIssuer says whether an issuer may be that of metadata that were asked for at asked, below base.
func tenantIssuer(base, asked, said string) bool {
	of := func(issuer string) string {
		rest, ok := strings.CutPrefix(issuer, base)
		tenant, fits := strings.CutSuffix(rest, "/v2.0")
		if !ok || !fits {
			return ""
		}
		return tenant
	}
	tenant, is := of(asked), of(said)
	switch {
	case tenant == "common" || tenant == "organizations":
		return is == tenantID
	case tenant == "consumers":
		return is == consumers
	case guid().MatchString(tenant):
		return is == tenant
	}
	return guid().MatchString(is)
}

// issuerOf is the issuer that a token must have which says that it is of a tenant.
func (m *metadata) issuerOf(tenant string) (string, error) {
	if !strings.Contains(m.issuer, tenantID) {
		return m.issuer, nil
	}
	if !guid().MatchString(tenant) {
		return "", errors.New("the token does not say of which tenant it is")
	}
	return strings.ReplaceAll(m.issuer, tenantID, tenant), nil
}
