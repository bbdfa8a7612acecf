package doctor

import "io/fs"

func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }

// handOver: what is in a folder is its daemon's too, by what it inherits.
func handOver(dir, above string) error { return nil }
