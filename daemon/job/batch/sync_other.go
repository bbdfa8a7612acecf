//go:build !linux

package batch

import "os"

// datasync makes the content of f durable, and its length.
func datasync(f *os.File) error { return f.Sync() }
