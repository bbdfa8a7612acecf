// Package shim runs programs that outlive the daemon, each under a holder.
//
// # Design
//
// To be written.
package shim
