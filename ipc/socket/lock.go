package socket

import (
	"errors"
	"os"
)

// ErrLocked: another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is an advisory lock on a file, held until Unlock or the end of the process, whichever way that
// ends. It is the test for "is somebody there": a PID in a file may be another process by now.
type Lock struct{ file *os.File }

// TryLock takes the lock on the file at path, which it makes if there is none. It never waits: where
// another process, or another Lock of this one, holds it, the error is [ErrLocked]. The file
// stays when the lock goes: to remove it would let two processes lock two files of one name.
func TryLock(path string) (*Lock, error) { return tryLock(path, os.O_CREATE) }

// TryExisting is TryLock for those who only want to know whether somebody has the lock: it makes no file. Where there is none the
// error is an [io/fs.ErrNotExist], and nobody has it.
func TryExisting(path string) (*Lock, error) { return tryLock(path, 0) }

// tryLock follows no link: root looks at locks in folders that are other users'.
func tryLock(path string, create int) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|noFollow|create, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{file: f}, nil
}

// Unlock gives the lock back. It may be called once.
func (l *Lock) Unlock() error { return l.file.Close() }
