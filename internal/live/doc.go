// Package live is the realtime door: lists and records whose changes are sent as they are committed (CONTRACT, "Live
// updates"), as server-sent events.
//
// A stream is asked for in stream.go, which tells what there is already: a snapshot, or what was missed since an event.
// Then it becomes a client of the hub (hub.go), which follows the log of changes for all of them. Clients that see the same
// in the same way are a group (group.go): what is told to it is judged and printed once. What is sent to a client never waits
// for another (client.go): one that does not take it is cut off, and comes back to where it was.
package live
