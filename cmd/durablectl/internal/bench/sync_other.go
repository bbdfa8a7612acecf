//go:build !linux

package bench

import "os"

// syncName is what syncData does here.
const syncName = "fsync"

// syncData is what the store does at each commit.
func syncData(f *os.File) error { return f.Sync() }
