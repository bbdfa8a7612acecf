package protocol

import (
	"errors"
	"os"
	"path/filepath"
)

// ErrLocked: another process has the folder's lock.
var ErrLocked = errors.New("locked by another process")

// suffixPart is what the name of a file has at its end before it is whole.
const suffixPart = ".tmp"

// Write replaces the file dir/name as a whole. With sync it is on disk when Write returns, name and all.
func Write(dir, name string, data []byte, sync bool) error {
	path := dir + string(os.PathSeparator) + name
	f, err := os.OpenFile(path+suffixPart, os.O_CREATE|os.O_WRONLY, 0o600) // not emptied: see Reserve
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(path+suffixPart, path)
	}
	if err != nil {
		_ = os.Remove(path + suffixPart)
		return err
	}
	if sync {
		return SyncDir(dir)
	}
	return nil
}

// Furnish makes the files of dir that a holder opens in any case, as far as that goes: the holder makes what is missing, and
// says why it cannot. To make a file can take a file system longer than all the rest of a start.
func Furnish(dir string) {
	for _, name := range []string{FileAlive, FileControl} {
		_ = MakeFIFO(filepath.Join(dir, name))
	}
	for _, name := range []string{FileLock, FileStdout, FileStderr, FileStarted + suffixPart, FileChild + suffixPart, FileExit + suffixPart} {
		if f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			_ = f.Close()
		}
	}
}

// reserved is what a file takes on most disks, if it takes anything.
const reserved = 4 << 10

// Reserve takes the space that a later Write of a short dir/name needs: it works also when the disk is full by then.
func Reserve(dir, name string) {
	_ = os.WriteFile(dir+string(os.PathSeparator)+name+suffixPart, make([]byte, reserved), 0o600) // full already: then it has to wait
}

// Exists reports whether dir has that file. It is careful: what cannot be looked at is there.
func Exists(dir, name string) bool {
	_, err := os.Lstat(dir + string(os.PathSeparator) + name)
	return err == nil || !errors.Is(err, os.ErrNotExist)
}

// TryLock takes the lock of dir, and never waits: the error is ErrLocked where another has it. The lock goes with
// the descriptor, however its process ends.
func TryLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir+string(os.PathSeparator)+FileLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
