package main

import (
	"io"
	"io/fs"

	"durable/ipc/atomicfile"
)

// replaceFile puts what from gives in the place of file, all of it or nothing, and durable when it returns.
func replaceFile(file string, mode fs.FileMode, from io.Reader) error {
	f, err := atomicfile.Create(file)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	if err := f.SetMode(mode); err != nil {
		return err
	}
	return f.Commit()
}
