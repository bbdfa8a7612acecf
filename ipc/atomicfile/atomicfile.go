// Package atomicfile replaces files so that whoever looks, also after a power cut, finds the old one or the new one, whole.
//
// # Design
//
// A file beside the one to be replaced is written, synced and renamed, and then the folder is synced: without the last step a name that
// was given is gone after a power cut. The two steps, [Create] and [File.Commit], leave room between them for what has to be looked at
// before the old file goes. Rejected: renameio, which does not build on Windows and does not sync the folder; natefinch/atomic, which
// syncs neither.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// File is what will stand in the place of another. Only one goroutine may use it.
type File struct {
	*os.File
	path string
	done bool
}

// Create makes a file beside path, for what is to stand there. It is readable by its owner alone; [File.SetMode] changes that.
// The caller defers [File.Discard].
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".durable-*")
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// SetMode sets the permissions, whatever the umask. Windows has no such modes: nothing happens there.
func (f *File) SetMode(mode fs.FileMode) error { return Chmod(f.File, mode) }

// Commit puts the file in its place. When it returns nil, a power cut does not take it back; after an error the old file may
// be there or the new one, but nothing in between.
func (f *File) Commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return SyncDir(filepath.Dir(f.path))
}

// Discard removes what was not committed. It may always be called.
func (f *File) Discard() {
	if !f.done {
		_ = f.Close() // twice, if Commit has failed
		_ = os.Remove(f.Name())
	}
}

// Write puts data in the place of path: Create, SetMode, Commit.
func Write(path string, data []byte, mode fs.FileMode) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.SetMode(mode); err != nil {
		return err
	}
	return f.Commit()
}

// Chmod sets the permissions of f. Windows has no such modes: nothing happens there.
func Chmod(f *os.File, mode fs.FileMode) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return f.Chmod(mode)
}

// SyncDir makes the names in dir durable. Windows has no such call, and journals its names by itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
