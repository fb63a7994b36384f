// Package oidc is the client's side of signing in with somebody else: OAuth 2 with the authorization code (RFC 6749, RFC
// 9700), OpenID Connect Core 1.0 and Discovery 1.0. It knows neither sessions nor accounts nor routes: Begin says where a
// browser is sent, and Finish says of the answer who came back, as an Identity.
//
// What is checked, in this order:
//
//	the answer      iss, where it is there or where the provider says that it always is (RFC 9207); error; code
//	the code        exchanged with PKCE (RFC 7636, S256 only) where the provider takes it, and the secret
//	the ID token    signed by one of the provider's keys with an algorithm that is not none and not symmetric; iss, aud, azp,
//	                exp, iat, nonce, at_hash; a key that the token itself names (jwk, jku, x5u, x5c) is not looked at
//	UserInfo        asked where the ID token has no address; its sub is the ID token's
//
// Providers without OpenID Connect are asked who it is with the access token. An address counts as verified only where
// the provider says so; which do, and how, is in known.go.
//
// What a provider tells of itself is fetched when somebody first signs in, kept for an hour, and used for a day when it
// cannot be fetched again. A provider that is away is an Error with the code Unavailable, for this sign-in alone.
package oidc
