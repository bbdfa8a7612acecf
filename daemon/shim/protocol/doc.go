// Package protocol is what both ends of a shim agree on.
//
// # Design
//
// To be written.
package protocol
