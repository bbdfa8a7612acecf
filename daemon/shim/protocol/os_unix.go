//go:build unix

package protocol

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Create makes the file dir/name, of which there is none, and returns when it is on disk. It takes one commit of the file
// system, where Write takes two: a power failure before it returns can leave a name without all of its data. Nothing else can.
func Create(dir, name string, data []byte) error {
	path := dir + string(os.PathSeparator) + name
	f, err := os.OpenFile(path+suffixPart, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = os.Rename(path+suffixPart, path)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = SyncDir(dir)
	}
	if err != nil {
		_, _ = os.Remove(path+suffixPart), os.Remove(path)
	}
	return err
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// lockFile uses flock, not fcntl: an fcntl lock goes when any descriptor of the file is closed.
func lockFile(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		case err != nil:
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		default:
			return nil
		}
	}
}

// MakeFIFO makes a FIFO unless there is one.
func MakeFIFO(path string) error {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return nil
}
