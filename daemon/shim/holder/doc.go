// Package holder is the holder's end of a shim.
//
// # Design
//
// To be written.
package holder

// Main runs the holder of the attempt whose folder is the only argument, and returns its exit status.
func Main(args []string) int { return 2 }
