//go:build !linux

package daemon

// spread does nothing: only ext4 is known to need it.
func spread(string) {}
