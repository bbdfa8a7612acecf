package store

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// ownerOf: there is no number for it; the folder's descriptor decides who gets in.
func ownerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
func isNotDir(err error) bool   { return errors.Is(err, windows.ERROR_DIRECTORY) }
