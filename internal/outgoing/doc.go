// Package outgoing makes the HTTP requests that the server itself makes of others, so that nobody who has a say in where
// they go can have it ask what stands beside it (SSRF), wait for ever, or read without end.
//
// A Client looks at the address that is dialled, after the name was resolved: loopback, private, link-local and other
// addresses that are not of the public internet are refused, whatever name led there. Redirects are not followed: they
// are answers, which whoever asks takes for a failure. An answer has an end in time and in bytes. Proxies of the
// environment are not used: behind one there would be no address to look at.
package outgoing
