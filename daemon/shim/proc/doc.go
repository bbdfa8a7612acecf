// Package proc tells processes apart and finds their trees.
//
// # Design
//
// To be written.
package proc

// BootID returns the identity of this boot.
func BootID() string { return "" }
