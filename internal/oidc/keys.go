package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// asymmetric are the algorithms by which a token may be signed: not none, and none whose key both sides know, for the
// public key would be taken for it (RFC 8725, 2.1 and 3.1).
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// key is one of a provider's keys.
type key struct {
	jose.JSONWebKey
	issuer string // for which it is good, where the set says so (Microsoft); may have {tenantid} in it
}

const mostKeys = 100

// fetchKeys reads a JWK Set (RFC 7517). Keys that are not understood are left out (RFC 7517, 5), and those for encryption.
func fetchKeys(ctx context.Context, client *http.Client, address string) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, client, address, "", &set); err != nil {
		return nil, fmt.Errorf("the keys: %w", err)
	}
	var keys []key
	for _, raw := range set.Keys {
		var k key
		if json.Unmarshal(raw, &k.JSONWebKey) != nil || !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		var of struct {
			Issuer string `json:"issuer"`
		}
		_ = json.Unmarshal(raw, &of) // of another type it is not what is meant
		if k.issuer = of.Issuer; len(keys) < mostKeys {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the keys: there is none for signatures")
	}
	return keys, nil
}

// keySet verifies signatures by a provider's keys. A key that is not known has them fetched anew, as OpenID Connect
// Core 10.1.1 says, but not for each token.
type keySet struct {
	algs []jose.SignatureAlgorithm
	keys *kept[[]key]
}

func algorithms(names []string) []jose.SignatureAlgorithm {
	var list []jose.SignatureAlgorithm
	for _, a := range names {
		list = append(list, jose.SignatureAlgorithm(a))
	}
	return list
}

// VerifySignature is for package oidc of go-oidc.
func (s *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	jws, err := jose.ParseSigned(jwt, s.algs)
	if err != nil {
		return nil, err
	}
	if len(jws.Signatures) != 1 {
		return nil, errors.New("there is not one signature")
	}
	keys, err := s.keys.get(ctx, false)
	if err != nil {
		return nil, failed(err)
	}
	if payload, ok := verified(jws, keys); ok {
		return payload, nil
	}
	if keys, err = s.keys.get(ctx, true); err != nil {
		return nil, failed(err)
	}
	if payload, ok := verified(jws, keys); ok {
		return payload, nil
	}
	return nil, errors.New("no key of the provider has signed it")
}

func verified(jws *jose.JSONWebSignature, keys []key) ([]byte, bool) {
	head := jws.Signatures[0].Header
	for i := range keys {
		k := &keys[i]
		if head.KeyID != "" && k.KeyID != "" && head.KeyID != k.KeyID || k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.JSONWebKey); err == nil && k.issuedBy(payload) {
			return payload, true
		}
	}
	return nil, false
}

// issuedBy says whether a key is good for the issuer of a token: of a provider with many tenants each key is said to be of
// one of them or of all.
func (k *key) issuedBy(payload []byte) bool {
	if k.issuer == "" {
		return true
	}
	var of struct {
		Issuer string `json:"iss"`
		Tenant string `json:"tid"`
	}
	return json.Unmarshal(payload, &of) == nil && of.Issuer == strings.ReplaceAll(k.issuer, tenantID, of.Tenant)
}
