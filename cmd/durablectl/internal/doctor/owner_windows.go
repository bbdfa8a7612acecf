package doctor

import "io/fs"

func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }
